"""What a tile does around the reads of its arrays."""

from __future__ import annotations

from typing import Any, Optional

from aihwkit.simulator.tiles.analog import AnalogTile
from torch import Tensor

from aihwkit_dspt.reads.output_bound import outputs_at_bound, without


class TilePeriphery(AnalogTile):
    """aihwkit's analog tile, leaving out what nobody asks for."""

    @property
    def _is_bare(self) -> bool:
        """Whether no scales and no input range lie around the array."""
        # Not by attribute: torch looks for a buffer last.
        scales = self._buffers.get("mapping_scales")
        return scales is None and self.input_range is None

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
        if self._is_bare:
            return x_output
        output: Tensor = super().post_forward(x_output, dim, is_test, None)
        return output

    def pre_backward(self, d_input: Tensor, dim: int, ctx: Any = None) -> Tensor:
        """Apply aihwkit's output periphery to errors; those of outputs at the bound are zero."""
        output = d_input if self._is_bare else super().pre_backward(d_input, dim, None)
        masks = getattr(ctx, "outputs_at_bound", None)
        if masks:
            # aihwkit's learned input range looks for the mask here.
            ctx.saved_analog_tensors = (ctx.saved_analog_tensors[0], *masks)
            output = without(output, *masks)
        return output

    def backward(self, d_input: Tensor, ctx: Any = None) -> Optional[Tensor]:
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

    def backward_indexed(self, d_input: Tensor, ctx: Any = None) -> Optional[Tensor]:
        """Return the input gradients of an indexed convolution, as :meth:`backward` does."""
        if self._needs_no_input_gradient(ctx):
            return None
        output: Tensor = super().backward_indexed(d_input, ctx)
        return output
