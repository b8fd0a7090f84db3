"""Arguments that the scripts have in common, and the runs that they ask for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from core.cluster import BACKENDS, connected
from core.results_file import read_results
from core.run import Run
from core.sweep import sweep

RESULTS = Path(__file__).parents[1] / "results"


def make_parser(description: Optional[str], default: str) -> argparse.ArgumentParser:
    """Return a parser with the common arguments, to which a script may add its own.

    Args:
        description: docstring of the script, of which the first line is shown.
        default: name of the results file.
    """
    parser = argparse.ArgumentParser(description=(description or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--data-root", help="folder of the MNIST files (or set DSPT_DATA_ROOT)")
    parser.add_argument("--results", type=Path, default=RESULTS / default)
    parser.add_argument("--epochs", type=int, help="instead of the number of the script")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of those of the script")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, -1 for all cores")
    parser.add_argument("--backend", default="loky", choices=BACKENDS)
    parser.add_argument("--scheduler", help="address of the dask scheduler or ray cluster")
    parser.add_argument("--table", action="store_true", help="only show what is there")
    return parser


def results_of(runs: Sequence[Run], args: argparse.Namespace) -> List[Dict[str, Any]]:
    """Return the results of the runs as the arguments say: those that are there, or all."""
    if args.table:
        done = read_results(args.results)
        return [done[run.key] for run in runs if run.key in done]
    with connected(args.backend, args.scheduler):
        return sweep(runs, args.results, args.data_root, args.jobs, args.backend)
