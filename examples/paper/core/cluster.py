"""Run a function on the cores of this machine, or on a cluster that is there.

The workers import this package by name and read the images from the same path. Start those of
Dask from a checkout on each machine, one run at a time each; those of Ray need a checkout at the
same path as here::

    PYTHONPATH=examples:examples/paper dask worker tcp://HOST:8786 --nworkers 8 --nthreads 1
    python examples/paper/table2.py --backend dask --scheduler tcp://HOST:8786 --jobs -1

    ray start --address HOST:6379
    python examples/paper/table2.py --backend ray --scheduler HOST:6379 --jobs -1

Without ``--scheduler`` both start their workers on this machine. Tested on one machine only.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence, TypeVar

from joblib import Parallel, delayed, effective_n_jobs, parallel_config

BACKENDS = ("loky", "dask", "ray")
EXAMPLES = Path(__file__).parents[2]

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def connected(backend: str, scheduler: Optional[str]) -> Iterator[None]:
    """Keep a connection to the cluster; nothing is to do for ``"loky"``.

    Args:
        backend: ``"loky"`` (processes on this machine), ``"dask"`` or ``"ray"``.
        scheduler: address of the Dask scheduler or of the Ray cluster.

    Raises:
        SystemExit: if the package of the backend is not installed.
    """
    # pylint: disable=import-outside-toplevel
    try:
        if backend == "dask":
            from distributed import Client

            with Client(scheduler) if scheduler else Client(threads_per_worker=1):
                yield
        elif backend == "ray":
            import ray

            path = os.pathsep.join(map(str, (EXAMPLES, EXAMPLES / "paper")))
            environment = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
            with ray.init(
                address=scheduler,
                runtime_env={"env_vars": environment},
                include_dashboard=None if scheduler else False,
            ):
                yield
        else:
            yield
    except ModuleNotFoundError as error:
        package = {"distributed": "dask[distributed]"}.get(error.name or "", error.name)
        raise SystemExit(f"--backend {backend}: {error}: pip install '{package}'") from error


def n_workers(jobs: int, backend: str) -> int:
    """Return how many items are worked on at a time for ``jobs``, which may be -1 for all."""
    if backend == "ray":
        import ray  # pylint: disable=import-outside-toplevel

        return int(ray.cluster_resources()["CPU"]) if jobs == -1 else jobs
    with parallel_config(backend=backend, n_jobs=jobs):
        return int(effective_n_jobs(jobs))


def unordered(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int, backend: str
) -> Iterator[Result]:
    """Yield what the function returns for the items, as soon as it does.

    Args:
        function: a function that can be pickled.
        items: its arguments.
        jobs: items at a time, -1 for as many as there are cores or workers.
        backend: one of :data:`BACKENDS`, connected.
    """
    if backend == "ray":
        # Not by Ray's backend of joblib: it returns nothing before all are done.
        from ray.util.multiprocessing import Pool  # pylint: disable=import-outside-toplevel

        with Pool(n_workers(jobs, backend)) as pool:
            yield from pool.imap_unordered(function, items)
        return
    with parallel_config(backend=backend, n_jobs=jobs):
        parallel = Parallel(return_as="generator_unordered")
        yield from parallel(delayed(function)(item) for item in items)
