"""Run the paper's scripts, and results to show without a run."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any, Dict, List, Optional, Sequence

from core.run import Run

from tests import scripts
from tests.paper import PAPER


def command(script: str, *arguments: Any) -> List[str]:
    """Return the command of a script."""
    return [sys.executable, str(PAPER / script), *map(str, arguments)]


def run(script: str, *arguments: Any) -> str:
    """Run a script in this process and return what it prints."""
    return scripts.run(f"paper/{script}", *arguments)


def tiny(method: str = "digital SGD", seed: int = 1, **changes: Any) -> Run:
    """Return a run on the digits that takes less than a second."""
    settings: Dict[str, Any] = {"epochs": 1, "lr": 0.05, **changes}
    return Run(method, "fcn", 0.4, 0.4, seed, **settings)


def result_of(
    run_: Run,
    accuracy: Sequence[float],
    loss: Sequence[float] = (1.0,),
    pulses: int = 300_000,
    command_: Optional[str] = None,
) -> Dict[str, Any]:
    """Return a result on MNIST as if the run had been executed."""
    result: Dict[str, Any] = {
        "key": run_.key,
        "run": asdict(run_),
        "data": "MNIST",
        "accuracy": list(accuracy),
        "loss": list(loss),
        "epoch_seconds": [60.0] * len(accuracy),
        "pulses": pulses,
        "versions": {"python": "3.11.7", "aihwkit": "1.1.0"},
        "revision": "0123456789ab",
    }
    return result if command_ is None else {**result, "command": command_}
