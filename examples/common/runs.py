"""What one training depends on."""

from __future__ import annotations

import argparse
import ast
import json
from dataclasses import dataclass, field
from typing import Any, Dict, List


@dataclass(frozen=True)
class Run:
    """Everything that a run depends on, but for random pulses."""

    network: str
    device: str
    """``"-"`` where there is none."""

    shift: float
    competitor: str
    lr: float
    seed: int
    steps: int
    changes: Dict[str, Any] = field(default_factory=dict)
    """What differs from E-RIDER's defaults."""

    @property
    def method(self) -> str:
        """Name of the competitor with what differs from its defaults."""
        changes = "".join(f", {name}={self.changes[name]}" for name in self.changes)
        return f"{self.competitor}{changes}"

    @property
    def key(self) -> str:
        """Readable name that is equal for equal runs only."""
        changes = "".join(f", {name}={json.dumps(self.changes[name])}" for name in self.changes)
        return (
            f"{self.network}, {self.device}, shift {self.shift:g}, {self.competitor}, "
            f"lr {self.lr:g}, seed {self.seed}, {self.steps} steps{changes}"
        )


def setting(text: str) -> List[Any]:
    """Return name and value of ``NAME=VALUE``; what is no Python value is a string."""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid: pass NAME=VALUE")
    try:
        return [name, ast.literal_eval(value)]
    except (SyntaxError, ValueError):
        return [name, value]
