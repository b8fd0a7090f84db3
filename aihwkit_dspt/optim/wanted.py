"""Which backward passes are asked for the gradient of an array."""

from __future__ import annotations

from typing import Any, Callable

import torch
from aihwkit.exceptions import TileError
from torch._C import DisableTorchFunctionSubclass

_task: Callable[[], int] = torch._C._current_graph_task_id
_executes: Callable[[Any], bool] = torch._C._will_engine_execute_node


def is_wanted(context: Any) -> bool:
    """Return whether the backward pass that is running computes the gradient of a context.

    ``torch.autograd.grad(loss, x)`` and ``backward(inputs=[x])`` leave parameters without a
    gradient. aihwkit's function runs all the same on the way to ``x``, and keeps the vectors.

    Args:
        context: the analog context of a tile, a parameter.
    """
    if _task() == -1:
        return True
    with torch.enable_grad(), DisableTorchFunctionSubclass():  # type: ignore[no-untyped-call]
        viewed = context.view_as(context).grad_fn  # None where the context is frozen
    if viewed is None:
        return True
    try:
        return _executes(viewed.next_functions[0][0])
    except RuntimeError:  # autograd.grad was asked for this very context
        return True


def refuse_second_derivatives(name: str, errors: torch.Tensor) -> None:
    """Raise ``TileError`` if errors are part of a graph, as with ``create_graph=True``.

    What a tile returns depends on them, and is a constant for torch.

    Args:
        name: of the class of the tile.
        errors: what came to its backward pass.
    """
    if errors.requires_grad:
        raise TileError(
            f"{name} has no second derivative: its backward pass is an operation of the array, no "
            "torch operation. Leave create_graph=True away, or take the second derivative through "
            "convert_to_digital(model)"
        )
