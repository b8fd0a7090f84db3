"""The analog context of a tile, which differs between aihwkit 1.1 and 1.2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, Union

import torch
from torch._C import DisableTorchFunctionSubclass

if TYPE_CHECKING:
    from aihwkit.optim.context import AnalogContext
    from aihwkit.simulator.tiles.module import TileModule


def follow_device(tile: TileModule, device: Optional[Union[torch.device, str, int]]) -> None:
    """Move the arrays of a tile to a GPU and let the tile and its context say so.

    aihwkit 1.1 keeps the device in attributes, 1.2 derives it from the analog context, which
    has to view the moved weights.
    """
    index = torch.cuda.device(device).idx
    target = torch.device("cuda", torch.cuda.current_device() if index is None else index)
    with torch.cuda.device(target):
        tile.tile.cuda(target)
    context = tile.analog_ctx
    if hasattr(context, "_replace_raw_data"):
        tile._bind_shared_weights()
        context._replace_raw_data(tile.tile.get_weights(as_ref=True))
    else:
        tile.is_cuda = True
        tile.device = target
        context.data = context.data.cuda(target)
    context.reset(tile)


_requires_grad: Callable[[torch.Tensor], bool] = vars(torch._C.TensorBase)["requires_grad"].__get__


def is_frozen(tile: TileModule) -> bool:
    """Return whether a tile is frozen (``requires_grad_(False)``).

    In aihwkit 1.2 the attributes of the context are found by Python code. The training step, which
    asks several times, passes by.
    """
    with DisableTorchFunctionSubclass():  # type: ignore[no-untyped-call]
        return not _requires_grad(tile._parameters["analog_ctx"])


def keep_context(tile: TileModule, context: AnalogContext) -> None:
    """Give a tile that was just loaded the analog context back that it had before.

    aihwkit makes a new one. An optimizer that was made before the load would hold the old one, find
    no gradients there and go on without ever updating the tile.
    """
    loaded = tile.analog_ctx
    if hasattr(context, "_replace_raw_data"):
        context._replace_raw_data(loaded._raw_data())
    else:
        context.data = loaded.data
    context.use_indexed = loaded.use_indexed
    context.reset(tile)


def fitting_context(context: AnalogContext, saved: torch.Tensor) -> torch.Tensor:
    """Return what a state keeps of a context as the aihwkit that runs has it.

    It says where the tile was, and no more: a number in aihwkit 1.1, a view of the weights in 1.2.

    Args:
        context: the context of the tile that takes the state; in aihwkit 1.1 of any tile.
        saved: what the state has.
    """
    shape = context.shape if hasattr(context, "_raw_data") else ()
    return saved if saved.shape == shape else saved.new_zeros(1)[0].expand(shape)


def follow_attributes(tile: TileModule) -> None:
    """Let the context of a tile belong to it, and view its weights where aihwkit's context does."""
    tile.analog_ctx.reset(tile)
    if hasattr(tile, "_sync_analog_ctx_weights"):
        tile._sync_analog_ctx_weights()
