"""An estimator whose gain follows from the reads."""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor, dtype, full, zeros

from aihwkit_dspt.stages.estimator import SymmetricPointEstimator

SHORTEST, LONGEST = 16, 64
"""Reads in a block, at first and at most."""

MEMORY = 1.0 - 1.0 / 16.0
"""What is left of the statistics of a line after a block: they rest on some 16 blocks."""

CERTAINTY = 2.0
"""Standard errors by which the points must be seen to walk."""

FASTEST = 2.0
"""Blocks grow while their length times the final gain is below."""

UNLIKELY = 16.0
"""A cell at rest counts as moving with a probability below ``exp(-16)`` per read."""


class AdaptiveGain(SymmetricPointEstimator):
    r"""A gain that cells set by themselves: the Kalman filter of a symmetric point that may walk.

    The model is a point that takes a step of variance :math:`q` from read to read, and reads that
    scatter around it with variance :math:`r`. Its filter needs the ratio :math:`s = q/r` only:

    .. math::

        Q \leftarrow Q + K_k\, (P - Q), \qquad K_k = \frac{K_{k-1} + s}{1 + K_{k-1} + s},
        \qquad K_0 = \infty

    For a point that stays this is the mean, :math:`K_k = 1/k`; else :math:`K` ends at
    :math:`\eta^* = (\sqrt{s^2 + 4 s} - s)/2`, the step size :math:`\eta` of the least squared
    error :math:`\eta r/(2-\eta) + q(1-\eta)^2/(\eta(2-\eta))`.

    The reads tell :math:`s`. Successive reads of a cell are alike, as few pulses come between them,
    and the gradient moves them to and fro with the chopper. So means :math:`m_j` of blocks of
    :math:`B` reads are compared, next neighbours and next but one:

    .. math::

        q B = \mathrm E (m_{j+2} - m_j)^2 - \mathrm E (m_{j+1} - m_j)^2, \qquad
        \frac rB = \tfrac12\, \mathrm E (m_{j+1} - m_j)^2 - q\, \frac{2B^2 + 1}{6B}

    What scatters from block to block drops out of the first difference; what moves on does not.
    The expectations are means over the cells of a line and its last 16 blocks, since one cell has
    far too few reads. :math:`q` counts by the share :math:`1 - (2\sigma/q)^2`, at least 0, with its
    standard error :math:`\sigma`. Blocks begin with 16 reads and grow to 64, but not beyond
    :math:`2/\eta^*`, in which a point walks as far as its estimate is off.

    A cell that got no pulse only shows where it is, not where its symmetric point is. It is unknown
    (:meth:`known_cells`) until its reads scatter more than the noise of a read explains. Till then
    its estimate is the mean of its reads, so that it transfers nothing, and it takes no part in the
    statistics; then it starts anew. A cell that stays at a bound has reads that neither move nor
    scatter: it adds nothing to either expectation and has the gain of its line. So it neither
    opens that gain nor closes it.

    ``eta`` is not used. Six numbers are kept for a cell. There is no fused pass.

    Source: Kalman, *A new approach to linear filtering and prediction problems*, 1960; for the
    mask: Laurent and Massart, *Adaptive estimation of a quadratic functional*, 2000, Lemma 1.

    Attributes:
        gain: ``[in_size, out_size]`` :math:`K`.
        movement: ``[in_size]`` :math:`s` of a line.
        is_known: ``[in_size, out_size]`` mask of cells that have moved.
        scatter: ``[in_size, out_size]`` squares of the reads of a cell about their mean, while it
            is unknown.
        n_reads: ``[in_size]`` reads of a line.
        blocks: ``[in_size, 4, out_size]`` sum of the block that is under way, and the means of
            those before, the newest first; infinite where there is none.
        block_length: ``[in_size]`` :math:`B`.
        n_blocks: ``[in_size]`` blocks that have been compared, up to four.
        n_in_block: ``[in_size]`` reads of the block that is under way.
        sums: ``[in_size, 4]`` number of cells, and sums over them: of the squared distances of
            neighbours, of the differences :math:`q B` and of their squares.
    """

    gain: Tensor
    movement: Tensor
    is_known: Tensor
    scatter: Tensor
    n_reads: Tensor
    blocks: Tensor
    block_length: Tensor
    n_blocks: Tensor
    n_in_block: Tensor
    sums: Tensor

    def __init__(self, in_size: int, out_size: int, eta: float, data_type: dtype) -> None:
        super().__init__(in_size, out_size, eta, data_type)
        sizes = in_size, out_size
        for name, value in (
            ("gain", full(sizes, inf, dtype=data_type)),
            ("movement", zeros(in_size, dtype=data_type)),
            ("is_known", zeros(sizes, dtype=torch.bool)),
            ("scatter", zeros(sizes, dtype=data_type)),
            ("n_reads", zeros(in_size, dtype=torch.long)),
            # The sum of the block that is under way, and the means before, the newest first.
            ("blocks", full((in_size, 4, out_size), inf, dtype=data_type)),
            ("block_length", full((in_size,), SHORTEST, dtype=torch.long)),
            ("n_blocks", zeros(in_size, dtype=torch.long)),
            ("n_in_block", zeros(in_size, dtype=torch.long)),
            # Decayed number of cells, and sums of neighbours, of growths and of their squares.
            ("sums", zeros(in_size, 4, dtype=data_type)),
        ):
            self.register_buffer(name, value)

    def known_cells(self) -> Tensor:
        """Return the ``[in_size, out_size]`` mask of cells that have moved."""
        return self.is_known

    def update(self, lines: slice, read: Tensor) -> None:
        """Filter the ``[n_lines, out_size]`` read of the given lines into the estimate."""
        n_reads, is_known = self.n_reads[lines], self.is_known[lines]
        estimate, gain = self.sp_estimate[lines], self.gain[lines]
        n_reads += 1
        # A cell that has not moved averages, whatever the others of its line do.
        prior = gain + self.movement[lines].unsqueeze(1) * is_known
        gain.copy_((1.0 + prior.reciprocal()).reciprocal())
        step = read - estimate
        estimate.lerp_(read, gain)  # exactly the read where the gain is 1
        self._notice(lines, step * (read - estimate))
        total, n_in_block = self.blocks[lines, 0], self.n_in_block[lines]
        starts = (n_in_block == 0).unsqueeze(1)
        total.copy_(read.masked_fill(~is_known, inf).where(starts, total + read))
        n_in_block += 1
        ends = n_in_block == self.block_length[lines]
        # On a GPU nobody waits to hear whether there is one.
        if ends.is_cuda or bool(ends.any()):
            self._end_block(lines, ends)

    def _notice(self, lines: slice, scatter: Tensor) -> None:
        """Add ``[n_lines, out_size]`` squares, and let cells start anew that scatter beyond noise.

        At rest the sum of squares is that of a chi-squared variable of ``n_reads - 1``.
        """
        is_known, free = self.is_known[lines], self.n_reads[lines] - 1
        total = self.scatter[lines]
        total += scatter.masked_fill(is_known, 0.0)
        most = free + 2.0 * (UNLIKELY * free).sqrt() + 2.0 * UNLIKELY
        moves = (total > self.read_noise**2 * most.unsqueeze(1)) & ~is_known
        is_known |= moves
        self.gain[lines].masked_fill_(moves, inf)

    def _end_block(self, lines: slice, ends: Tensor) -> None:
        """Compare the blocks of lines that end with those before, and set their movement."""
        blocks, sums, of_line = self.blocks[lines], self.sums[lines], ends.unsqueeze(1)
        length, n_blocks = self.block_length[lines], self.n_blocks[lines]
        total, last, before, first = blocks.unbind(1)
        mean = total / length.unsqueeze(1)
        near = ((mean - last).square() + (last - before).square()) / 2.0
        growth = (mean - before).square() - near
        seen = growth.isfinite()
        found = torch.stack([seen.to(near), near, growth, growth.square()], dim=-1)
        found = found.masked_fill(~seen.unsqueeze(-1), 0.0).sum(1)
        sums.copy_((sums * MEMORY + found).where(of_line, sums))
        self.movement[lines] = self._movement(sums, length).where(
            ends & (sums[:, 0] > 0.0), self.movement[lines]
        )
        n_blocks += ends
        self.n_in_block[lines].masked_fill_(ends, 0)
        grows = ends & (n_blocks >= 4) & (length < LONGEST) & self._is_slow(lines)
        of_growing = grows.unsqueeze(1)
        pairs = (mean + last) / 2.0, (before + first) / 2.0
        # The oldest first: these are views.
        for place, value in ((3, before), (2, last), (1, mean)):
            blocks[:, place] = value.where(of_line, blocks[:, place])
        for place, value in enumerate(pairs, start=1):
            blocks[:, place] = value.where(of_growing, blocks[:, place])
        length += length * grows
        n_blocks.masked_fill_(grows, 2)
        sums.masked_fill_(of_growing, 0.0)

    def _is_slow(self, lines: slice) -> Tensor:
        """Return which lines walk so slowly that longer blocks show more."""
        ratio = self.movement[lines]
        final = ((ratio.square() + 4.0 * ratio).sqrt() - ratio) / 2.0
        return final * self.block_length[lines] < FASTEST

    def _movement(self, sums: Tensor, length: Tensor) -> Tensor:
        """Return the ratio of walk and scatter that ``[n_lines, 4]`` sums tell."""
        count = sums[:, 0].clamp(min=1.0)
        near, growth, square = (sums[:, 1:] / count.unsqueeze(1)).unbind(1)
        error = (square - growth.square()).clamp(min=0.0) / count
        share = 1.0 - CERTAINTY**2 * error / growth.square()
        walk = growth.clamp(min=0.0) * share.clamp(min=0.0).nan_to_num(0.0) / length
        scatter = length * near / 2.0 - walk * (2.0 * length**2 + 1.0) / 6.0
        # Rounding and chance may leave nothing of the scatter of cells that walk fast.
        least = self.read_noise**2 + near * 1e-2
        return (walk / scatter.maximum(least)).nan_to_num(0.0)
