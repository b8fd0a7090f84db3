"""Connect joblib to a cluster that is there.

The workers import this package by name and read the images from the same path. Start those of
Dask from a checkout on each machine, one run at a time each::

    PYTHONPATH=examples:examples/paper dask worker tcp://HOST:8786 --nworkers 8 --nthreads 1
    python examples/paper/table2.py --backend dask --scheduler tcp://HOST:8786 --jobs -1

Without ``--scheduler`` Dask starts its workers on this machine.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator, Optional

BACKENDS = ("loky", "dask", "ray")


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
            from ray.util.joblib import register_ray

            ray.init(address=scheduler)
            register_ray()
            yield
            ray.shutdown()
        else:
            yield
    except ModuleNotFoundError as error:
        package = {"distributed": "dask[distributed]"}.get(error.name or "", error.name)
        raise SystemExit(f"--backend {backend}: {error}: pip install '{package}'") from error
