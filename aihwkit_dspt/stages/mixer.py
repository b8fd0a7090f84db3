"""The mixer: the mixed weight at which the model is evaluated."""

from __future__ import annotations

from typing import Optional

from torch import Tensor, add, addcmul

from aihwkit_dspt.fused.table import fused_mixer
from aihwkit_dspt.stages.chopper import Chopper


class MixedWeight:
    r"""Keeps :math:`\bar W = W + \gamma\, c \circ (P - \tilde Q)` up to date in place.

    The part :math:`W - \gamma\, c \circ \tilde Q` changes only in the lines that were
    transferred, so it is stored; after an update one multiply-add over :math:`P` is left. With more
    than two arrays the residuals of those between slowest and fastest belong to the stored part.
    By torch, or in a fused pass with the same roundings where there is one.
    Source: paper sec. 3, Algorithms 2 and 3.

    Args:
        output: ``[d_size, x_size]`` tensor that forward and backward use; it is written to.
        gamma: residual scale :math:`\gamma`.
        transfer_columns: whether lines are columns (``[d_size, x_size]`` second index) or rows.
        has_reference: whether :math:`\tilde Q` can differ from zero.
        fuses: whether fused passes are used.
    """

    def __init__(
        self,
        output: Tensor,
        gamma: float,
        transfer_columns: bool,
        has_reference: bool,
        fuses: bool = True,
    ) -> None:
        self.output = output
        self.gamma = float(gamma)
        self.transfer_columns = transfer_columns
        self.has_reference = has_reference
        self.stored = output.clone()
        self.fused = fused_mixer(self) if fuses else None

    def oriented(self, values: Tensor) -> Tensor:
        """Return ``[in_size, out_size]`` values of lines as ``[d_size, x_size]``, or back."""
        return values.t() if self.transfer_columns else values

    def store(
        self,
        slow: Tensor,
        reference: Tensor,
        chopper: Chopper,
        lines: slice,
        between: Optional[Tensor] = None,
    ) -> None:
        r"""Recompute :math:`W - \gamma\, c \circ \tilde Q`, and the residuals of arrays between.

        Args:
            slow: ``[d_size, x_size]`` weights of the slowest array.
            reference: ``[in_size, out_size]`` reference of the fastest array.
            chopper: the signs of the fastest array.
            lines: which lines.
            between: ``[n_lines, out_size]`` sum of the residuals of the arrays between.
        """
        fused = self.fused
        if fused is None or not fused.store(slow, reference, chopper, lines):
            self.store_by_torch(slow, reference, chopper, lines)
        if between is not None:
            self.oriented(self.stored)[lines].add_(between)

    def store_by_torch(
        self, slow: Tensor, reference: Tensor, chopper: Chopper, lines: slice
    ) -> None:
        r"""Write :math:`W - \gamma\, c \circ \tilde Q` of lines in plain torch."""
        target = self.oriented(self.stored)[lines]
        target.copy_(self.oriented(slow)[lines])
        if self.has_reference:
            # No fused multiply-add: the same roundings as in fused passes.
            target.sub_(reference[lines] * (chopper.signs(lines) * self.gamma))

    def refresh(self, fast: Tensor, chopper: Chopper) -> None:
        """Write the mixed weight for the ``[d_size, x_size]`` fast weights to the output."""
        fused = self.fused
        if fused is None or not fused.refresh(fast, chopper):
            self.renew(fast, chopper)

    def renew(self, fast: Tensor, chopper: Chopper) -> None:
        """Do what :meth:`refresh` does in plain torch: outside of a step, nothing is compiled."""
        if fast.is_cuda and not (chopper.has_input or chopper.has_output):
            add(self.stored, fast, alpha=self.gamma, out=self.output)
            return
        # Signs of columns fit the weight as they are; views of them would take a microsecond each.
        in_sign = chopper.in_sign if self.transfer_columns else chopper.in_sign.unsqueeze(1)
        if chopper.has_output:
            fast = fast * self.oriented(chopper.out_sign.unsqueeze(0))
        addcmul(self.stored, fast, in_sign, value=self.gamma, out=self.output)
