"""Checkpoints of several processes: one file, as with one process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Optional

import torch

from aihwkit_dspt.parallel.wrapper import AnalogDataParallel
from aihwkit_dspt.state_bytes import from_tensor, to_tensor

WHAT = "save a checkpoint"


@contextmanager
def one_writer(model: object) -> Iterator[bool]:
    """Say inside a ``with`` block whether this process is the one that writes.

    Raises:
        RankError: on the other ranks, if the writer has met an error.
    """
    if not isinstance(model, AnalogDataParallel):
        yield True
        return
    error: Optional[Exception] = None
    try:
        yield model.ranks.rank == 0
    except Exception as caught:  # the others have to know of any
        error = caught
    model.ranks.agree(WHAT, error)


def random_of_ranks(model: object, own: Dict[str, object]) -> List[Dict[str, object]]:
    """Return the states of the random number generators of all ranks, given those of this one."""
    if not isinstance(model, AnalogDataParallel):
        return [own]
    said = model.ranks.meet(WHAT, to_tensor(own).numpy().tobytes())
    return [from_tensor(torch.frombuffer(bytearray(each), dtype=torch.uint8)) for each in said]


def random_of_this_rank(model: object, content: Mapping[str, Any]) -> Optional[Dict[str, object]]:
    """Return the states that a checkpoint has for this process.

    With another number of ranks than saved it, rank 0 takes those of rank 0, and the others go on
    with their own (``None``), which are different ones.
    """
    if not isinstance(model, AnalogDataParallel):
        return dict(content["random"])
    of_ranks = content.get("random_of_ranks", [content["random"]])
    if len(of_ranks) == model.ranks.size:
        return dict(of_ranks[model.ranks.rank])
    return dict(content["random"]) if model.ranks.rank == 0 else None
