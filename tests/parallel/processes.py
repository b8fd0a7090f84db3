"""Runs a function in several processes of one group."""

from __future__ import annotations

import os
import traceback
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Callable, List

import torch
from torch import distributed

TIMEOUT = timedelta(seconds=300)
"""Of a test that fails; those that pass take seconds."""

# A clean process that has imported everything, of which the others are copies: starting one takes
# no second, and no thread of the tests is in it.
CONTEXT = get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.parallel.processes", "tests.parallel.warm"])


def run(
    n_ranks: int,
    function: Callable[..., Any],
    folder: Path,
    *args: Any,
    timeout: timedelta = TIMEOUT,
    backend: str = "gloo",
) -> List[Any]:
    """Return what a function returns on each rank; an error on a rank is one of the test.

    Args:
        n_ranks: number of processes.
        function: a function of a module, called with the rank and ``args``.
        folder: an empty folder for what the processes share.
        args: more arguments.
        timeout: how long ranks wait for each other.
        backend: what sends.
    """
    store = folder / f"store_{function.__name__}_{len(list(folder.iterdir()))}"
    processes = [
        CONTEXT.Process(target=_one, args=(rank, n_ranks, function, store, args, timeout, backend))
        for rank in range(n_ranks)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT.total_seconds() * 2)
        assert process.exitcode is not None, "a rank hangs"
    results = []
    for rank in range(n_ranks):
        found = Path(f"{store}_{rank}.pt")
        results.append(torch.load(found, weights_only=False) if found.exists() else None)
    errors = [text for text in results if isinstance(text, Failed)]
    assert not errors, "\n".join(errors)
    return results


class Failed(str):
    """What a rank said before it ended."""


def _one(
    rank: int,
    n_ranks: int,
    function: Any,
    store: Path,
    args: Any,
    timeout: timedelta,
    backend: str,
) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    distributed.init_process_group(
        backend, init_method=f"file://{store}", rank=rank, world_size=n_ranks, timeout=timeout
    )
    try:
        result = function(rank, *args)
    except BaseException:  # of any kind: it is the result
        result = Failed(f"rank {rank}: {traceback.format_exc()}")
    torch.save(result, f"{store}_{rank}.pt")
    if not isinstance(result, Failed):
        distributed.destroy_process_group()
