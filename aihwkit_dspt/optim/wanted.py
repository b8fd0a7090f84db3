"""Which backward passes are asked for the gradient of an array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional

import torch
from aihwkit.exceptions import TileError
from torch._C import DisableTorchFunctionSubclass

if TYPE_CHECKING:
    from aihwkit.optim.context import AnalogContext
    from torch.autograd.graph import Node

_task: Callable[[], int] = torch._C._current_graph_task_id
_node: Callable[[], Optional[Node]] = torch._C._current_autograd_node
_executes: Callable[[Node], bool] = torch._C._will_engine_execute_node


def is_wanted(context: AnalogContext) -> bool:
    """Return whether the backward pass that is running computes the gradient of a context.

    ``torch.autograd.grad(loss, x)`` and ``backward(inputs=[x])`` leave parameters without a
    gradient, and so does every pass while they are frozen. aihwkit's function runs all the same on
    the way to ``x``, and keeps the vectors. An array that is trained again later, as in turns of
    two networks, must not learn from them.

    Args:
        context: the analog context of a tile, a parameter.
    """
    if _task() == -1:
        return _accumulator(context) is not None
    node = _node()
    first = node.next_functions[0][0] if node is not None and node.next_functions else None
    # The context is the first argument of the function of a tile, whose node this is.
    is_its_own = getattr(first, "variable", None) is context
    found = first if is_its_own else _accumulator(context)
    if found is None:
        return False
    try:
        return _executes(found)
    except RuntimeError:  # autograd.grad was asked for this very context
        return True


def _accumulator(context: AnalogContext) -> Optional[Node]:
    """Return the node that gradients of a context go to, ``None`` where it is frozen."""
    with torch.enable_grad(), DisableTorchFunctionSubclass():  # type: ignore[no-untyped-call]
        viewed = context.view_as(context).grad_fn
    return None if viewed is None else viewed.next_functions[0][0]


def refuse_second_derivatives(name: str, *errors: torch.Tensor) -> None:
    """Raise ``TileError`` if errors are part of a graph, as with ``create_graph=True``.

    What a tile returns depends on them, and is a constant for torch.

    Args:
        name: of the class of the tile.
        errors: what came to its backward pass, and what that multiplies them with.
    """
    if any(each.requires_grad for each in errors):
        raise TileError(
            f"{name} has no second derivative: its backward pass is an operation of the array, no "
            "torch operation. Leave create_graph=True out, or take the second derivative through "
            "convert_to_digital(model)"
        )
