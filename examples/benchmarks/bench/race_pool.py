"""Runs on a pool of processes; a run that is there is not run again."""

from __future__ import annotations

import traceback
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from common.results import Results
from common.runs import Run
from core.cluster import unordered

from bench.race_execute import execute


def _attempt(data_root: Optional[str], run: Run) -> Tuple[Run, Optional[Dict[str, Any]], str]:
    """Return the run with its result, or with the traceback of its failure."""
    try:
        return run, execute(run, data_root), ""
    except Exception:  # pylint: disable=broad-exception-caught
        return run, None, traceback.format_exc()


def race(
    runs: Sequence[Run],
    results: Results,
    data_root: Optional[str],
    jobs: int,
    backend: str,
    on_result: Callable[[Run, Dict[str, Any], int], None],
) -> List[Dict[str, Any]]:
    """Execute the runs that have no result yet and return the results of all.

    Args:
        runs: the runs.
        results: keeps every result when it comes.
        data_root: folder of the data.
        jobs: runs at a time, -1 for as many as there are cores or workers.
        backend: see :mod:`core.cluster`, connected.
        on_result: called with each new result and the number of runs that are left.

    Raises:
        RuntimeError: when all others are done, if runs failed.
    """
    missing = [run for run in runs if run.key not in results.numbers]
    failures = []
    attempts = unordered(partial(_attempt, data_root), missing, jobs, backend)
    for number, (run, result, trace) in enumerate(attempts, start=1):
        if result is None:
            failures.append(f"{run.key}\n{trace}")
            continue
        results.add(run.key, result)
        on_result(run, result, len(missing) - number)
    if failures:
        raise RuntimeError(
            f"{len(failures)} of {len(missing)} runs failed, the others are kept; the same command "
            "tries only these again:\n\n" + "\n".join(failures)
        )
    return [results.numbers[run.key] for run in runs]
