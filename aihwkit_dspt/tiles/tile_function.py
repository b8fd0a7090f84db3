"""The passes of a tile as a function of torch's autograd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Optional, Tuple

import torch
from torch import Tensor, is_grad_enabled
from torch._C._functorch import unwrap_if_dead
from torch.autograd import Function, no_grad

from aihwkit_dspt.optim.wanted import refuse_second_derivatives

if TYPE_CHECKING:
    from aihwkit.optim.context import AnalogContext

    from aihwkit_dspt.tiles.tile import TrackingTile

_same_memory: Callable[..., Tensor] = torch.ops.aten._unsafe_view.default
"""Returns a tensor in the memory of another one that is no view to torch."""

_is_transformed: Callable[[], bool] = torch._C._are_functorch_transforms_active


class TileFunction(Function):
    """aihwkit's ``AnalogFunction``, for tiles that an analog optimizer updates.

    It leaves out what these never have (weights that are torch parameters), and enters no
    ``no_grad`` that is in force already: both take as long as the product of a small array. Learned
    output scales belong to it, since operations of their own take longer.
    """

    @staticmethod
    def forward(
        ctx: Any,
        context: AnalogContext,
        tile: TrackingTile,
        x_input: Tensor,
        is_test: bool,
        scales: Optional[Tensor],
    ) -> Tensor:
        """Return the outputs of the tile for inputs; see :meth:`TrackingTile.forward`.

        Args:
            ctx: autograd context.
            context: analog context of the tile.
            tile: the tile.
            x_input: the inputs.
            is_test: whether the layer is in evaluation mode.
            scales: learned output scales, in a shape that fits the outputs; ``None`` for none.
        """
        ctx.context, ctx.tile = context, tile
        # Under this name aihwkit's periphery looks for the inputs.
        saved = ctx.saved_analog_tensors = [x_input]
        run = tile.joint_forward_indexed if context.use_indexed else tile.joint_forward
        output: Tensor = run(x_input, is_test, ctx)
        if tile.rpu_config.runtime.offload_input:
            saved[0] = x_input.cpu()
        scaled = () if scales is None else (output, scales)
        ctx.save_for_backward(*ctx.saved_analog_tensors, *scaled)
        ctx.saved_analog_tensors = []
        if scales is not None:
            return output * scales
        if output._is_view():
            # Rows of a product in the shape of the layer: torch would refuse `output += ...`.
            return _same_memory(output, output.shape)
        return output

    @staticmethod
    def backward(ctx: Any, errors: Tensor) -> Tuple[object, ...]:
        """Return the errors of inputs and scales, and keep inputs and errors for the optimizer."""
        context, tile = ctx.context, ctx.tile
        x_input, *scaled = ctx.saved_tensors
        if is_grad_enabled():  # of create_graph=True
            refuse_second_derivatives(type(tile).__name__, errors, *scaled[1:])
            with no_grad():
                return TileFunction.backward(ctx, errors)
        scale_errors = None
        if scaled:
            output, scales = scaled
            if ctx.needs_input_grad[4]:
                scale_errors = _summed(errors * output, scales)
            errors = errors * scales
        saved = ctx.saved_analog_tensors = (x_input,)
        back = tile.backward_indexed if context.use_indexed else tile.backward
        input_errors = back(errors, ctx)
        kept = errors.cpu() if tile.rpu_config.runtime.offload_gradient else errors
        context.analog_input.append(saved[0])
        context.analog_grad_output.append(kept)
        ctx.saved_analog_tensors = []
        return None, None, input_errors, None, scale_errors


def _summed(values: Tensor, like: Tensor) -> Tensor:
    """Return values summed to the shape of others, which were broadcast to theirs."""
    if values.numel() == like.numel():
        return values.view(like.shape)
    return values.sum_to_size(like.shape)


# Up to torch 2.10 the way in is written in Python, and looks at every argument.
_apply: Callable[..., Tensor] = super(Function, TileFunction).apply
_checked_apply: Callable[..., Tensor] = TileFunction.apply


def through_tile(
    tile: TrackingTile, context: AnalogContext, x_input: Tensor, scales: Optional[Tensor]
) -> Tensor:
    """Return the outputs of a tile for inputs; the backward pass of torch finds its way back.

    Args:
        tile: the tile.
        context: its analog context.
        x_input: the inputs.
        scales: learned output scales, in a shape that fits the outputs; ``None`` for none.
    """
    if _is_transformed():
        return _checked_apply(context, tile, x_input, not tile.training, scales)
    return _apply(context, tile, unwrap_if_dead(x_input), not tile.training, scales)
