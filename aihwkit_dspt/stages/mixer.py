"""The mixer: the mixed weight at which the model is evaluated."""

from __future__ import annotations

from typing import Optional

from torch import Tensor, add, addcmul, float32, float64, get_num_threads

from aihwkit_dspt import fused
from aihwkit_dspt.fused.gpu.support import gpu_kernels
from aihwkit_dspt.fused.shared import SharedArrays
from aihwkit_dspt.stages.chopper import Chopper

COMPILED = (float32, float64)
"""Data types for which there is a compiled pass."""

MANY_CELLS = 2**18
"""From so many cells on, several threads of torch are faster than the compiled pass, which has one.
"""


class MixedWeight:
    r"""Keeps :math:`\bar W = W + \gamma\, c \circ (P - \tilde Q)` up to date in place.

    The part :math:`W - \gamma\, c \circ \tilde Q` changes only in the lines that were
    transferred, so it is stored; after an update one multiply-add over :math:`P` is left. With more
    than two arrays the residuals of those between slowest and fastest belong to the stored part.
    Source: paper sec. 3, Algorithms 2 and 3.

    Args:
        output: ``[d_size, x_size]`` tensor that forward and backward use; it is written to.
        gamma: residual scale :math:`\gamma`.
        transfer_columns: whether lines are columns (``[d_size, x_size]`` second index) or rows.
        has_reference: whether :math:`\tilde Q` can differ from zero.
    """

    def __init__(
        self, output: Tensor, gamma: float, transfer_columns: bool, has_reference: bool
    ) -> None:
        self.output = output
        self.gamma = float(gamma)
        self.transfer_columns = transfer_columns
        self.has_reference = has_reference
        self.stored = output.clone()
        self._of_lines, self._of_cells = SharedArrays(), SharedArrays()

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
        self._store(slow, reference, chopper, lines)
        if between is not None:
            self.oriented(self.stored)[lines].add_(between)

    def _store(self, slow: Tensor, reference: Tensor, chopper: Chopper, lines: slice) -> None:
        # All of them are stored outside of a step, too, where nothing shall be compiled for it.
        is_part = lines.stop - lines.start < len(reference)
        if is_part and _is_compiled(slow, chopper):
            stored, weights, held, signs = self._of_lines(
                self.stored, slow, reference, chopper.in_sign
            )
            if self.transfer_columns:
                stored, weights = stored.T, weights.T
            which = lines.start, lines.stop, self.gamma
            fused.line_kernels_cpu.store_lines(stored, weights, held, signs, *which)
            return
        if slow.is_cuda and slow.dtype is float32 and (kernels := gpu_kernels()) is not None:
            arrays = self.oriented(self.stored), self.oriented(slow), reference
            signs = chopper.in_sign, chopper.out_sign
            kernels.lines.store_lines(*arrays, *signs, lines, self.gamma)
            return
        target = self.oriented(self.stored)[lines]
        target.copy_(self.oriented(slow)[lines])
        if self.has_reference:
            # No fused multiply-add: the same roundings as in the compiled pass.
            target.sub_(reference[lines] * (chopper.signs(lines) * self.gamma))

    def refresh(self, fast: Tensor, chopper: Chopper) -> None:
        """Write the mixed weight for the ``[d_size, x_size]`` fast weights to the output."""
        if _is_compiled(fast, chopper) and not is_shared_out(fast):
            stored, values, signs, output = self._of_cells(
                self.stored, fast, chopper.in_sign, self.output
            )
            columns, gamma = self.transfer_columns, self.gamma
            fused.line_kernels_cpu.mix(stored, values, signs, columns, gamma, output)
        else:
            self.renew(fast, chopper)

    def renew(self, fast: Tensor, chopper: Chopper) -> None:
        """Do what :meth:`refresh` does, by torch in any case, with the same roundings."""
        if fast.is_cuda and not (chopper.has_input or chopper.has_output):
            add(self.stored, fast, alpha=self.gamma, out=self.output)
            return
        # Signs of columns fit the weight as they are; views of them would take a microsecond each.
        in_sign = chopper.in_sign if self.transfer_columns else chopper.in_sign.unsqueeze(1)
        if chopper.has_output:
            fast = fast * self.oriented(chopper.out_sign.unsqueeze(0))
        addcmul(self.stored, fast, in_sign, value=self.gamma, out=self.output)


def _is_compiled(values: Tensor, chopper: Chopper) -> bool:
    """Return whether there is a compiled pass for arrays like these."""
    return not (values.is_cuda or chopper.has_output) and values.dtype in COMPILED


def is_shared_out(values: Tensor) -> bool:
    """Return whether the pass over a whole array on the CPU is left to threads of torch.

    Its roundings are those of the compiled pass.
    """
    return not values.is_cuda and values.numel() >= MANY_CELLS and get_num_threads() > 1
