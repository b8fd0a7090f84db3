"""A law of drift in which everything happens."""

from __future__ import annotations

from typing import Dict

LAW: Dict[str, float] = {
    "walk": 0.01,
    "trend": 0.001,
    "wear": 0.002,
    "relaxation": 0.01,
    "jump_rate": 0.02,
    "jump_std": 0.1,
}
