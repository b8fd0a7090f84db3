"""A chain whose arrays join one after the other, in which nothing is random."""

from __future__ import annotations

from typing import Any, Dict

from aihwkit_dspt import TrackingTile
from tests.helpers import quiet_device, quiet_tile
from tests.table import METHODS

N_COLUMNS = 6
STEP = 2
"""Vectors of a step: as many columns are transferred, so a sweep takes three steps."""

SWEEPS = 12
"""Between joins: the first pulses are sent after the first period of the chopper."""


def chain(n_arrays: int = 4, **settings: Any) -> TrackingTile:
    """Return a tile on a chain in which nothing is random and only the fast array is read."""
    between = n_arrays - 2
    own: Dict[str, Any] = {
        "unit_cell_devices": [quiet_device() for _ in range(n_arrays)],
        "gamma": [0.1, *(0.5**distance for distance in range(between, 0, -1))],
        "transfer_lr_vec": [0.3, *[0.0] * between],
        "units_in_mbatch": False,
        "join_sweeps": SWEEPS,
    }
    return quiet_tile(**{**METHODS["E-RIDER"], **own, **settings})
