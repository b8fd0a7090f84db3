"""How the time of a training step grows with the array, the batch and the number of layers.

Each axis is varied alone: n x n arrays (batch 10), the batch on a 1024 x 1024 array, and layers of
256 x 256 (batch 10). Each point has a process of its own, in which E-RIDER and C++ AGAD take turns.
The exponent of the step time against cells, vectors or layers is fitted on logarithms.

A step has a part that does not depend on the size (Python, dispatch, one line read and written).
Small sizes measure that part: their exponents are near zero and would flatter the fit. So it is
made over the points from ``--size-fit-from`` (``--batch-...``, ``--layers-...``) on, which are
named beside it. At the other end arrays leave the caches, which lifts the exponent of anything that
passes over the weights; that is why C++ AGAD's stands beside it.

    python examples/benchmarks/scaling.py --out scaling.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.child import in_child, run
from bench.names import BASELINE, OURS
from bench.tables import spread
from common.fits import exponent
from common.machine import machine
from common.markdown import markdown
from common.results import Results

BATCH_SIZE = 10
BATCH_AXIS_SIZE = 1024
LAYER_SIZE = 256

POINTS: Dict[str, List[int]] = {
    "size": [256, 512, 1024, 2048, 4096],
    "batch": [1, 2, 4, 8, 16, 32, 64, 128],
    "layers": [1, 2, 4, 8, 16, 32],
}
"""Axis -> values that are measured."""

FIT_FROM = {"size": 1024, "batch": 8, "layers": 4}
"""Axis -> smallest value in the fit."""

TASKS: Dict[str, Callable[[int], Tuple[str, int]]] = {
    "size": lambda size: (f"linear-{size}", BATCH_SIZE),
    "batch": lambda batch_size: (f"linear-{BATCH_AXIS_SIZE}", batch_size),
    "layers": lambda layers: (f"stack-{layers}x{LAYER_SIZE}", BATCH_SIZE),
}
"""Axis -> network and batch size for a value."""

CLOCKS = {"wall": "median_ms", "cpu": "cpu_median_ms"}
"""Clock -> name of its number."""

UNITS = {"size": "cells", "batch": "vectors", "layers": "layers"}


def work(**task: Any) -> Dict[str, Any]:
    """Measure one point in this process."""
    from bench.cell import measure

    return measure(**task)


def amount(axis: str, value: int) -> int:
    """Return what the exponent is about: cells, vectors or layers."""
    return value**2 if axis == "size" else value


def fit(
    axis: str, points: Dict[int, Dict[str, Any]], fit_from: int, clock: str = "wall"
) -> Dict[str, Any]:
    """Return exponents of the step time for the points from ``fit_from`` on.

    Args:
        axis: name of the axis.
        points: value -> what was measured there.
        fit_from: smallest value that counts.
        clock: ``"wall"`` or ``"cpu"``.

    Raises:
        ValueError: if less than two points are left.
    """
    used = [value for value in points if value >= fit_from]
    if len(used) < 2:
        raise ValueError(f"{len(used)} points of {axis!r} from {fit_from} on: pass at least two")
    result: Dict[str, Any] = {"values": used, "against": UNITS[axis], "clock": clock}
    for name in (BASELINE, OURS):
        times = [points[value]["competitors"][name][CLOCKS[clock]] for value in used]
        slope, error, _ = exponent([amount(axis, value) for value in used], times)
        # JSON has no nan.
        result[name] = {"exponent": slope, "error": error if len(used) > 2 else None}
    return result


def table(axis: str, points: Dict[int, Dict[str, Any]]) -> str:
    """Return the points of an axis as markdown."""
    rows = []
    for value, point in points.items():
        ours, base = point["competitors"][OURS], point["competitors"][BASELINE]
        per_unit = 1e6 * ours["median_ms"] / amount(axis, value)
        times = [f"{base['median_ms']:.3f}", f"{ours['median_ms']:.3f}"]
        rows.append([str(value), *times, f"{per_unit:.4g}", spread(ours, "ratio")])
    unit = UNITS[axis].removesuffix("s")
    header = [axis, f"{BASELINE}, ms", f"{OURS}, ms", f"ns per {unit}"]
    return markdown([*header, "ratio"], rows)


def words(fitted: Dict[str, Any]) -> str:
    """Return the exponents of a fit as a sentence."""
    parts = []
    for name in (OURS, BASELINE):
        error = fitted[name]["error"]
        sigma = "two points, no error" if error is None else f"+- {error:.3f}"
        parts.append(f"{name} {fitted[name]['exponent']:.3f} {sigma}")
    values = fitted["values"]
    clock = "processor" if fitted["clock"] == "cpu" else "wall-clock"
    return (
        f"exponent of {clock} time against {fitted['against']}, {values[0]} to {values[-1]}: "
        + "; ".join(parts)
    )


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--axes", nargs="+", default=list(POINTS), choices=list(POINTS))
    for axis, values in POINTS.items():
        parser.add_argument(f"--{axis}-values", type=int, nargs="+", default=values)
        parser.add_argument(f"--{axis}-fit-from", type=int, default=FIT_FROM[axis])
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="wall",
        help="for the fit: processor time (one thread) on a machine that is not idle, since points "
        "are measured one after the other",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=60, help="most rounds")
    parser.add_argument("--budget", type=float, default=20.0, help="seconds for the rounds of each")
    parser.add_argument("--fast-lr", type=float, default=0.1)
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    return parser.parse_args()


def main() -> None:
    """Measure, print tables and exponents and write the numbers."""
    args = parse_arguments()
    task = {"rounds": args.rounds, "budget": args.budget, "fast_lr": args.fast_lr}
    results = Results(args.out, {**machine(), **task, "threads": args.threads})
    for axis in args.axes:
        points = {}
        for value in sorted(getattr(args, f"{axis}_values")):
            key = f"{axis} {value}"
            if key not in results.numbers:
                network, batch_size = TASKS[axis](value)
                cell = {"network": network, "batch_size": batch_size, "competitors": [OURS]}
                results.add(key, in_child({**cell, **task}, args.threads))
            points[value] = results.numbers[key]
        fitted = fit(axis, points, getattr(args, f"{axis}_fit_from"), args.clock)
        results.add(f"fit {axis}", fitted)
        print(f"{table(axis, points)}\n\n{words(fitted)}\n", flush=True)


if __name__ == "__main__":
    run(main, work)
