r"""Untuned presets side by side: the same script, optimizer, learning rate and number of steps.

    python examples/benchmarks/race.py --quick --jobs 2                          # ten minutes
    python examples/benchmarks/race.py --data-root DIR --jobs 2 --out race.json  # four hours

Networks are trained for a short while with aihwkit's own presets (``build_config``: TT-v2, c-TTv2,
AGAD), with E-RIDER's defaults, with digital SGD and with arrays that stay as they are, so that only
digital parameters learn. Scores (test accuracy, or validation loss of characters) are taken after
10, 30 and 100 % of the steps, those of E-RIDER at its slow weights, too. Learning rates are 0.03,
0.1 and 0.3.

``DIR`` holds the MNIST files (or ``mnist/`` with them), ``cifar-10-batches-py/`` and ``text/`` with
a ``.txt`` or ``.txt.xz`` file. Without it digits, generated images and made-up text are used. The
JSON file is written after each run; the same command goes on with the runs that it does not have.

One cell, with other settings of E-RIDER (fields of the compound, or places in the configuration)::

    python examples/benchmarks/race.py --networks digits --devices SB-20 --shifts 0 0.4 \
        --competitors E-RIDER AGAD --lrs 0.1 --set gamma=0.3 mapping.weight_scaling_omega=0.6
"""

from __future__ import annotations

import argparse
import sys
from itertools import product
from pathlib import Path
from typing import Any, Dict, List, Optional

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "paper"))

from bench.race_picture import draw
from bench.race_pool import race
from bench.race_report import report
from bench.race_runs import CELLS, LRS, QUICK, QUICK_LR, runs_of
from bench.race_tasks import STEPS
from common.competitors import COMPETITORS
from common.device_choice import DEVICES, SHIFTS
from common.results import Results
from common.runs import Run, setting
from core.cluster import BACKENDS, connected

FEWEST_STEPS = 5
"""With fewer steps, 10, 30 and 100 % of them are not different."""


def parse_arguments(arguments: Optional[List[str]] = None) -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data-root", help="folder of the data (or set DSPT_DATA_ROOT)")
    parser.add_argument("--quick", action="store_true", help="some cells at one learning rate")
    parser.add_argument("--networks", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument(
        "--devices", nargs="+", choices=DEVICES, help="these with all networks and shifts"
    )
    parser.add_argument("--shifts", type=float, nargs="+", default=list(SHIFTS))
    parser.add_argument("--competitors", nargs="+", choices=COMPETITORS, default=list(COMPETITORS))
    parser.add_argument("--lrs", type=float, nargs="+", help=f"default: {LRS}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--steps", type=int, help="instead of those of each network")
    parser.add_argument(
        "--set", type=setting, nargs="+", default=[], metavar="NAME=VALUE", help="of E-RIDER"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, -1 for all cores")
    parser.add_argument("--backend", default="loky", choices=BACKENDS)
    parser.add_argument("--scheduler", help="address of the dask scheduler or ray cluster")
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    parser.add_argument("--picture", type=Path, help="PNG file")
    parser.add_argument("--table", action="store_true", help="only show what is in --out")
    args = parser.parse_args(arguments)
    if args.steps is not None and args.steps < FEWEST_STEPS:
        parser.error(f"--steps {args.steps} is not valid: pass at least {FEWEST_STEPS}")
    return args


def chosen_runs(args: argparse.Namespace) -> List[Run]:
    """Return the runs that the arguments ask for."""
    cells = QUICK if args.quick else CELLS
    if args.devices:
        cells = tuple(product(args.networks, args.devices, args.shifts))
    steps: Dict[str, int] = {name: args.steps or number for name, number in STEPS.items()}
    return runs_of(
        [cell for cell in cells if cell[0] in args.networks and cell[2] in args.shifts],
        steps,
        args.lrs or ((QUICK_LR,) if args.quick else LRS),
        args.seeds,
        args.competitors,
        dict(args.set),
    )


def show(run: Run, result: Dict[str, Any], left: int) -> None:
    """Print a result that has come."""
    scores = "  ".join(map(str, result["scores"]))
    at_w = "  ".join(map(str, result.get("at_slow_weights", [])))
    slow = f"   W: {at_w}" if at_w else ""
    print(f"{run.key}: {scores}{slow}   ({result['cpu_seconds']} s, {left} left)", flush=True)


def main() -> None:
    """Run, print the tables, draw the picture and write the numbers."""
    args = parse_arguments()
    runs = chosen_runs(args)
    results = Results(args.out, {"scores": "after 10, 30 and 100 % of the steps"})
    if args.table:
        found = [results.numbers[run.key] for run in runs if run.key in results.numbers]
    else:
        with connected(args.backend, args.scheduler):
            found = race(runs, results, args.data_root, args.jobs, args.backend, show)
    print("\n" + report(found))
    if args.picture:
        draw(found, args.picture)


if __name__ == "__main__":
    main()
