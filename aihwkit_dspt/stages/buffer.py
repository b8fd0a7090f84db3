"""The digital buffer between the fast and the slow array."""

from __future__ import annotations

from typing import Tuple

from aihwkit.exceptions import TileError
from torch import Tensor, dtype, where, zeros
from torch.nn import Module


class TransferBuffer(Module):
    r"""Accumulates residuals H and releases them in whole pulses.

    .. math:: H \leftarrow H + \Delta, \qquad n = \mathrm{clip}(\mathrm{trunc}(H), \pm n_{max})

    Where :math:`n \neq 0` the buffer keeps ``momentum * H`` (``forget_buffer``) or
    ``H - (1 - momentum) * n``, the latter capped at ``buffer_cap`` times :math:`n_{max}`.
    :math:`H` counts pulses (its threshold is 1). A subclass with another rule says in
    :meth:`release` what leaves the buffer. Source: aihwkit's C++
    ``ChoppedTransferRPUDevice`` and ``DynamicTransferRPUDevice`` (``readAndUpdate``).

    Args:
        in_size: number of lines.
        out_size: number of cells along a line.
        max_steps: most pulses of one transfer (``transfer_update.desired_bl``).
        momentum: share that stays in the buffer after a transfer.
        forget_buffer: whether pulses beyond ``max_steps`` are forgotten.
        buffer_cap: capacity in multiples of ``max_steps``; 0 for none.
        no_buffer: whether the buffer starts from zero at each transfer (TT-v1).
        data_type: data type of the buffer.

    Attributes:
        hidden: ``[in_size, out_size]`` buffer :math:`H`, in pulses.
    """

    def __init__(
        self,
        in_size: int,
        out_size: int,
        max_steps: int,
        momentum: float,
        forget_buffer: bool,
        buffer_cap: float,
        no_buffer: bool,
        data_type: dtype,
    ) -> None:
        super().__init__()
        self.max_steps = max_steps
        self.momentum = momentum
        self.forget_buffer = forget_buffer
        self.capacity = buffer_cap * max_steps
        self.no_buffer = no_buffer
        self.hidden: Tensor
        self.register_buffer("hidden", zeros(in_size, out_size, dtype=data_type))

    def accumulate(self, lines: slice, increment: Tensor) -> Tensor:
        """Add an increment to the given lines and take whole pulses out.

        Args:
            lines: the lines to add to.
            increment: ``[n_lines, out_size]`` increment, in pulses.

        Returns:
            ``[n_lines, out_size]`` signed pulse numbers for the slow array.

        Raises:
            TileError: if :meth:`release` leaves a buffer of another shape.
        """
        hidden = self.hidden[lines]
        if self.no_buffer:
            hidden.zero_()
        hidden.add_(increment)
        steps, left = self.release(hidden)
        if left.shape != hidden.shape:
            raise TileError(
                f"{type(self).__name__} leaves a buffer of shape {list(left.shape)}: return "
                f"{list(hidden.shape)}"
            )
        hidden.copy_(left)
        return steps

    def release(self, hidden: Tensor) -> Tuple[Tensor, Tensor]:
        """Return what leaves the buffer, and what stays: the transfer rule.

        Args:
            hidden: ``[n_lines, out_size]`` buffer with its increment, in pulses; not to be changed.

        Returns:
            ``[n_lines, out_size]`` whole pulse numbers, at most ``max_steps`` up or down, and the
            buffer after them.
        """
        steps = hidden.trunc().clamp_(-self.max_steps, self.max_steps)
        return steps, where(steps != 0.0, self._left(hidden, steps), hidden)

    def _left(self, hidden: Tensor, steps: Tensor) -> Tensor:
        """Return what stays in cells that release pulses."""
        if self.forget_buffer:
            return hidden * self.momentum
        left = hidden - steps * (1.0 - self.momentum)
        return left.clamp_(-self.capacity, self.capacity) if self.capacity > 0.0 else left
