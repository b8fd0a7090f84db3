"""Gradient norms of the analog tiles of a model."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Dict

from torch import nn
from torch.autograd import no_grad

from aihwkit_dspt.optim.gradient import gradient_norm
from aihwkit_dspt.tiles.of_model import analog_tiles

if TYPE_CHECKING:
    from aihwkit.simulator.tiles.module import TileModule


@no_grad()
def analog_grad_norms(model: nn.Module) -> Dict[str, float]:
    r"""Return the norm of the gradient of each analog tile, as a step would use it now.

    .. math:: \|G\| = \Big\|\sum_n d_n x_n^T\Big\|_F

    over the inputs :math:`x_n` (``[in_size]``, one more entry of 1 for an analog bias) and errors
    :math:`d_n` (``[out_size]``) of all backward passes since the last step. It is the gradient with
    regard to the layer's weight, mapping scales included: a digital layer at the same place has
    the same ``weight.grad.norm()``. What has been clipped or unscaled counts as it is now. The
    gradient is never in memory as a whole.

    Args:
        model: a model after a backward pass and before the step; its tiles may be of any kind.

    Returns:
        name of the tile -> norm; 0 for a tile that keeps nothing (it is frozen, was not used, or
        has taken its step).

    Raises:
        ArgumentError: if ``model`` is not a module.
        TileError: if there is no analog tile, or for an indexed convolution on a C++ tile, which
            alone knows its index matrix.
    """
    norms = {}
    for name, tile in analog_tiles(model).items():
        context = getattr(tile, "analog_ctx", None)  # aihwkit's tiles of torch may have none
        if context is not None and context.analog_input:
            grad = context.grad
            norms[name] = float(gradient_norm(context) if grad is None else grad)
        else:
            norms[name] = _of_parameters(tile)
    return norms


def _of_parameters(tile: TileModule) -> float:
    """Return the norm of the gradient of weights that torch trains, as in inference tiles."""
    total = 0.0
    for parameter in tile.parameters():
        if parameter.dim() == 2 and parameter.grad is not None:
            # aihwkit divides by the mapping scales, so that a step of the layer's weight is right.
            scales = tile.get_scales() if hasattr(tile, "get_scales") else None
            grad = parameter.grad
            if scales is not None:
                grad = grad * scales.detach().to(grad).reshape(-1, 1)
            total += float(grad.square().sum())
    return sqrt(total)
