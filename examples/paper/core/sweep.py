"""A list of runs that skips what is there, survives being killed and uses all cores."""

from __future__ import annotations

import os
import traceback
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from common.provenance import command_line

from core.cluster import n_workers, unordered
from core.execute import execute
from core.progress import Progress
from core.results_file import append_result, read_results
from core.run import Run


class SweepError(RuntimeError):
    """Some runs of a sweep failed; the results of the others are kept."""


def _stop_if_left(sweep_process: Optional[int]) -> None:
    """End this process if it was started by a sweep that is gone, e.g. killed.

    Nobody takes its result, and the next sweep starts the same run.
    """
    if sweep_process not in (None, os.getpid(), os.getppid()):
        os._exit(1)


def _attempt(
    data_root: Optional[str], sweep_process: Optional[int], run: Run
) -> Tuple[Run, Optional[Dict[str, Any]], str]:
    """Return the run with its result, or with the traceback of its failure."""
    try:
        return run, execute(run, data_root, partial(_stop_if_left, sweep_process)), ""
    except Exception:  # pylint: disable=broad-exception-caught
        return run, None, traceback.format_exc()


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
        jobs: runs at a time, or -1 for as many as there are cores or workers.
        backend: ``"loky"`` for this machine, ``"dask"`` or ``"ray"`` for a cluster to which this
            process is connected, see :mod:`core.cluster`.

    Raises:
        SweepError: when all others are done, if runs failed.
    """
    done = read_results(path)
    missing = list({run.key: run for run in runs if run.key not in done}.values())
    failures = []
    # On a cluster the workers are not children of this process, and outlive it.
    sweep_process = os.getpid() if backend == "loky" else None
    attempt = partial(_attempt, data_root, sweep_process)
    with Progress(missing, n_workers(jobs, backend), done.values()) as progress:
        for run, result, trace in unordered(attempt, missing, jobs, backend):
            if result is not None:
                result["command"] = command_line()
                append_result(path, result)
                done[run.key] = result
            else:
                failures.append(f"{run.label}\n{trace}")
            progress.finish(run, result)
    if failures:
        raise SweepError(
            f"{len(failures)} of {len(missing)} runs failed, the others are in {path}; the same "
            "command tries only these again:\n\n" + "\n".join(failures)
        )
    return [done[run.key] for run in runs]
