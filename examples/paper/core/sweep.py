"""A list of runs that skips what is there, survives being killed and uses all cores."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from joblib import Parallel, delayed, parallel_config
from tqdm import tqdm

from core.run import Run, execute

RESULTS = Path(__file__).parents[1] / "results"


def read_results(path: Path) -> Dict[str, Dict[str, Any]]:
    """Return the results of a file by the key of their run; a half-written last line is left."""
    results = {}
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                result = json.loads(line)
            except json.JSONDecodeError:
                continue
            results[result["key"]] = result
    return results


def _append(path: Path, result: Dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # A killed run may have left half a line: end it first.
    text = "" if not path.exists() or path.read_bytes()[-1:] in (b"\n", b"") else "\n"
    with path.open("a") as file:
        file.write(text + json.dumps(result) + "\n")
        file.flush()
        os.fsync(file.fileno())


def sweep(
    runs: Sequence[Run],
    path: Path,
    data_root: Optional[str] = None,
    jobs: int = 1,
    backend: str = "loky",
) -> List[Dict[str, Any]]:
    """Execute the runs that are not in the file yet and return the results of all.

    Args:
        runs: the runs.
        path: file with one JSON line per result; every result is written when it comes.
        data_root: folder of the MNIST files, the same on all machines.
        jobs: processes at a time (``"loky"``), or -1 for all cores or workers.
        backend: a backend of joblib: ``"loky"`` for this machine, ``"dask"`` or ``"ray"`` for a
            cluster to which a client of this process is connected.
    """
    done = read_results(path)
    missing = [run for run in runs if run.key not in done]
    with parallel_config(backend=backend, n_jobs=jobs):
        results = Parallel(return_as="generator_unordered")(
            delayed(execute)(run, data_root) for run in missing
        )
        with tqdm(results, total=len(missing), desc="runs", unit="run") as bar:
            for result in bar:
                _append(path, result)
                run = Run(**result["run"])
                bar.write(f"{run.label}: {result['accuracy'][-1]:.2f} %")
                done[result["key"]] = result
    return [done[run.key] for run in runs]


def parse_arguments(description: str, default: str) -> argparse.Namespace:
    """Return the arguments that all scripts have in common."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data-root", help="folder of the MNIST files (or set DSPT_DATA_ROOT)")
    parser.add_argument("--results", type=Path, default=RESULTS / default)
    parser.add_argument("--epochs", type=int, help="instead of the number of the paper")
    parser.add_argument("--seeds", type=int, nargs="+", help="instead of those of the script")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, -1 for all cores")
    parser.add_argument("--backend", default="loky", choices=["loky", "dask", "ray"])
    parser.add_argument("--scheduler", help="address of the dask scheduler or ray cluster")
    parser.add_argument("--table", action="store_true", help="only show what is there")
    return parser.parse_args()


def results_of(runs: Sequence[Run], args: argparse.Namespace) -> List[Dict[str, Any]]:
    """Return the results of the runs as the arguments say: those that are there, or all."""
    if args.table:
        done = read_results(args.results)
        return [done[run.key] for run in runs if run.key in done]
    client = connect(args.backend, args.scheduler)
    results = sweep(runs, args.results, args.data_root, args.jobs, args.backend)
    if client is not None:
        client.close()
    return results


def connect(backend: str, scheduler: Optional[str]) -> Any:
    """Connect to a cluster and return the client; nothing is to do for ``"loky"``."""
    # pylint: disable=import-outside-toplevel
    if backend == "dask":
        from distributed import Client

        return Client(scheduler)
    if backend == "ray":
        import ray
        from ray.util.joblib import register_ray

        ray.init(address=scheduler)
        register_ray()
    return None
