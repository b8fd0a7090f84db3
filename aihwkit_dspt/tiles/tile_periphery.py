"""What a tile does around the reads of its arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional, Tuple, Union

from aihwkit.exceptions import TileError
from aihwkit.simulator.tiles.analog import AnalogTile
from torch import Tensor

from aihwkit_dspt.reads.output_bound import outputs_at_bound, without
from aihwkit_dspt.tiles.given import require_omega, require_rate, require_scales

if TYPE_CHECKING:
    from aihwkit.optim.context import AnalogContext


class TilePeriphery(AnalogTile):
    """aihwkit's analog tile, leaving out what nobody asks for."""

    def _mapping_scales(self, dim: int, n_dims: int) -> Optional[Tensor]:
        """Return the mapping scales in a shape that fits ``n_dims`` dimensions, outputs in one."""
        scales: Optional[Tensor] = self._buffers.get("mapping_scales")
        if scales is None or dim == n_dims - 1:
            return scales
        return scales.view(self.get_tensor_view(n_dims, dim))

    def _learned_scales(
        self, context: AnalogContext, n_dims: int, tensor_view: Optional[Tuple[int, ...]]
    ) -> Optional[Tensor]:
        """Return the learned output scales in a shape that fits ``n_dims`` dimensions."""
        scales: Optional[Tensor] = self.out_scaling_alpha
        if scales is None:
            return None
        if tensor_view is None:
            if not (self.out_trans or context.use_indexed):
                return scales  # outputs are in the last dimension
            tensor_view = self.get_tensor_view(n_dims)
        return scales.view(*tensor_view)

    def set_learning_rate(self, learning_rate: Optional[float]) -> None:
        """Set the learning rate of the optimizer; ``None`` leaves it as it is.

        Raises:
            ArgumentError: if it is no number, or negative.
        """
        if learning_rate is not None:
            self.tile.set_learning_rate(require_rate(learning_rate) * self.mapping_lr_scale)

    def set_scales(self, scales: Optional[Union[Tensor, float]]) -> None:
        """Set the mapping scales, and all other output scales to 1.

        Args:
            scales: one number, or one for each output; ``None`` for no mapping scales.

        Raises:
            TileError: if they do not fit, are not finite or zero, which errors are divided by; the
                tile is left as it was.
        """
        if scales is not None:
            # aihwkit's mapped layers map memory that nobody has set before their first weights.
            is_first = not self.tile.was_set
            scales = require_scales("scales", self, scales, (1, self.out_size), is_first)
            if not is_first and not bool(scales.all()):
                raise TileError("scales has zeros: pass others; set_weights sets weights to zero")
        super().set_scales(scales)

    def set_learned_out_scales(self, alpha: Union[Tensor, float]) -> None:
        """Set the output scales that are learned, if there are any.

        Args:
            alpha: one number, or one for each scale.

        Raises:
            TileError: if they do not fit or are not finite; the tile is left as it was.
        """
        if self.out_scaling_alpha is not None:
            sizes = 1, self.out_scaling_alpha.numel()
            alpha = require_scales("alpha", self, alpha, sizes)
        super().set_learned_out_scales(alpha)

    def remap_weights(self, weight_scaling_omega: Optional[float] = 1.0) -> None:
        """Set the weights again, scaled so that the largest has this size, as aihwkit does.

        Raises:
            ArgumentError: if ``weight_scaling_omega`` is no number, or negative.
        """
        require_omega(weight_scaling_omega)
        super().remap_weights(weight_scaling_omega)

    def _needs_no_input_gradient(self, ctx: Any) -> bool:
        # A learned input range gets its gradient from the backward pass.
        return ctx is not None and self.input_range is None and not ctx.needs_input_grad[2]

    def post_forward(
        self, x_output: Tensor, dim: int, is_test: bool = False, ctx: Any = None
    ) -> Tensor:
        """Apply aihwkit's output periphery.

        aihwkit keeps a mask of the outputs at the bound, whose input gradient it sets to zero. That
        is left out where nobody asks for the gradient and, on the CPU, where no output is at the
        bound; to find that out on a GPU would wait for it.
        """
        bound = self.get_forward_out_bound() if self.handle_output_bound else None
        if ctx is not None and bound is not None and not self._needs_no_input_gradient(ctx):
            # Not among the saved tensors: activation checkpointing wants equally many in the second
            # forward pass, in which noise may take other outputs to the bound.
            ctx.outputs_at_bound = outputs_at_bound(x_output, bound)
        if self.input_range is None:
            scales = self._mapping_scales(dim, x_output.dim())
            return x_output if scales is None else x_output.mul_(scales)  # nobody else has it
        output: Tensor = super().post_forward(x_output, dim, is_test, None)
        return output

    def pre_backward(self, d_input: Tensor, dim: int, ctx: Any = None) -> Tensor:
        """Apply aihwkit's output periphery to errors; those of outputs at the bound are zero."""
        scales = self._mapping_scales(dim, d_input.dim())
        output = d_input if scales is None else d_input * scales
        masks = getattr(ctx, "outputs_at_bound", None)
        if masks:
            # aihwkit's learned input range looks for the mask here.
            ctx.saved_analog_tensors = (ctx.saved_analog_tensors[0], *masks)
            output = without(output, *masks)
        return output

    def pre_update(
        self, x_input: Tensor, x_dim: int, d_input: Tensor, d_dim: int
    ) -> Tuple[Tensor, Tensor]:
        """Apply aihwkit's periphery to what an update gets: errors are divided by the scales."""
        if self.input_range is not None:
            pair: Tuple[Tensor, Tensor] = super().pre_update(x_input, x_dim, d_input, d_dim)
            return pair
        scales = self._mapping_scales(d_dim, d_input.dim())
        if scales is None:
            return x_input, d_input
        rate = self.mapping_lr_scale
        return x_input, d_input / (scales if rate == 1.0 else scales * rate)

    def backward(self, d_input: Tensor, ctx: object = None) -> Optional[Tensor]:
        """Return the input gradients; ``None`` if the layer's input asks for none.

        aihwkit computes them in any case. The first layer of a network has no use for them, and
        there the backward product is one of the larger parts of a step.

        Args:
            d_input: ``[*, out_size]`` errors, ``[out_size, *]`` if ``out_trans``.
            ctx: autograd context.
        """
        if self._needs_no_input_gradient(ctx):
            return None
        output: Tensor = super().backward(d_input, ctx)
        return output

    def backward_indexed(self, d_input: Tensor, ctx: object = None) -> Optional[Tensor]:
        """Return the input gradients of an indexed convolution, as :meth:`backward` does."""
        if self._needs_no_input_gradient(ctx):
            return None
        output: Tensor = super().backward_indexed(d_input, ctx)
        return output
