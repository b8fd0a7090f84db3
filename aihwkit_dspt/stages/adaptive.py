"""An estimator whose gain follows from the reads."""

from __future__ import annotations

from math import ceil, inf
from typing import Dict

import torch
from torch import Tensor, dtype, full, zeros

from aihwkit_dspt.stages.estimator import SymmetricPointEstimator

SHORT, MOST_SHORT = 16, 4
"""Reads in a short block, and short blocks in a long one at most."""

MEMORY, SHORT_MEMORY = 1.0 - 1.0 / 16.0, 1.0 - 1.0 / 64.0
"""What is left of the statistics of a line after a long and a short block."""

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
    The expectations are means over the cells of a line and its last blocks, since one cell has far
    too few reads. :math:`q` counts by the share :math:`1 - (2\sigma/q)^2`, at least 0, with its
    standard error :math:`\sigma`. For :math:`r` blocks have 16 reads, in which most of the scatter
    is seen and little of the walk. For :math:`q` they grow from 16 to 64, but not beyond
    :math:`2/\eta^*`: long ones show slow walks. Where the chopper takes longer to come back
    (``chop_period``), the gradient moves reads from one such block to the next as a walk does.
    There blocks are as long as that, so that both of its signs are in each of them.

    A cell that got no pulse only shows where it is, not where its symmetric point is. It is unknown
    (:meth:`known_cells`) until its reads scatter more than the noise of a read explains. Till then
    its estimate is the mean of its reads, so that it transfers nothing, and it takes no part in the
    statistics; then it starts anew. A cell that stays at a bound has reads that neither move nor
    scatter: it adds nothing to either expectation and has the gain of its line. So it neither
    opens that gain nor closes it.

    ``eta`` is used for calibrated points only (:meth:`set_points`). Nine numbers are kept for a
    cell. There is no fused pass.

    Source: Kalman, *A new approach to linear filtering and prediction problems*, 1960; for the
    mask: Laurent and Massart, *Adaptive estimation of a quadratic functional*, 2000, Lemma 1.

    Attributes:
        gain: ``[in_size, out_size]`` :math:`K`.
        movement: ``[in_size]`` :math:`s` of a line.
        is_known: ``[in_size, out_size]`` mask of cells that have moved.
        scatter: ``[in_size, out_size]`` squares of the reads of a cell about their mean, while it
            is unknown.
        n_reads: ``[in_size]`` reads of a line.
        short_blocks: ``[in_size, 2, out_size]`` sum of the short block that is under way, and the
            mean of the one before; infinite where there is none.
        blocks: ``[in_size, 4, out_size]`` the same of long blocks: sum of means of short ones, and
            three long ones before, the newest first.
        n_in_short: ``[in_size]`` reads of the short block that is under way.
        n_in_block: ``[in_size]`` short blocks of the long one that is under way.
        block_length: ``[in_size]`` short blocks in a long one, unless a chopper asks for more.
        n_blocks: ``[in_size]`` long blocks since they grew.
        short_sums: ``[in_size, 2]`` decayed number of cells, and sum over them of the squared
            distances of short neighbours.
        sums: ``[in_size, 3]`` the same of the differences :math:`q B` and of their squares.
    """

    gain: Tensor
    movement: Tensor
    is_known: Tensor
    scatter: Tensor
    n_reads: Tensor
    blocks: Tensor
    short_blocks: Tensor
    n_in_short: Tensor
    n_in_block: Tensor
    block_length: Tensor
    n_blocks: Tensor
    short_sums: Tensor
    sums: Tensor

    def __init__(self, in_size: int, out_size: int, eta: float, data_type: dtype) -> None:
        super().__init__(in_size, out_size, eta, data_type)
        for name, value in self._at_first().items():
            self.register_buffer(name, value)

    def _at_first(self) -> Dict[str, Tensor]:
        """Return what is held before the first read."""
        in_size, out_size = sizes = self.sp_estimate.shape
        data_type = self.sp_estimate.dtype
        return {
            "gain": full(sizes, inf, dtype=data_type),
            "movement": zeros(in_size, dtype=data_type),
            "is_known": zeros(sizes, dtype=torch.bool),
            "scatter": zeros(sizes, dtype=data_type),
            "n_reads": zeros(in_size, dtype=torch.long),
            # The sum of the block that is under way, and the means before, the newest first.
            "short_blocks": full((in_size, 2, out_size), inf, dtype=data_type),
            "blocks": full((in_size, 4, out_size), inf, dtype=data_type),
            "n_in_short": zeros(in_size, dtype=torch.long),
            "n_in_block": zeros(in_size, dtype=torch.long),
            "block_length": full((in_size,), 1, dtype=torch.long),
            "n_blocks": zeros(in_size, dtype=torch.long),
            # Decayed numbers of cells, and sums over them.
            "short_sums": zeros(in_size, 2, dtype=data_type),
            "sums": zeros(in_size, 3, dtype=data_type),
        }

    def set_points(self, points: Tensor) -> None:
        r"""Take over known symmetric points, which count as :math:`1/\eta` reads of every cell.

        The statistics start anew: a calibration has moved the cells.
        """
        super().set_points(points)
        for name, value in self._at_first().items():
            getattr(self, name).copy_(value)
        self.is_known.fill_(True)
        self.gain.fill_(self.eta)

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
        total, n_in_short = self.short_blocks[lines, 0], self.n_in_short[lines]
        starts = (n_in_short == 0).unsqueeze(1)
        total.copy_(read.masked_fill(~is_known, inf).where(starts, total + read))
        n_in_short += 1
        ends = n_in_short == SHORT
        # On a GPU nobody waits to hear whether there is one.
        if ends.is_cuda or bool(ends.any()):
            self._end_short_block(lines, ends)

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

    def _end_short_block(self, lines: slice, ends: Tensor) -> None:
        """Compare short blocks of lines that end with those before, and add them to long ones."""
        (total, last), of_line = self.short_blocks[lines].unbind(1), ends.unsqueeze(1)
        mean, sums, n_in_block = total / SHORT, self.short_sums[lines], self.n_in_block[lines]
        sums.copy_(_added(sums, SHORT_MEMORY, (mean - last).square()).where(of_line, sums))
        last.copy_(mean.where(of_line, last))
        self.n_in_short[lines].masked_fill_(ends, 0)
        long = self.blocks[lines, 0]
        starts = (n_in_block == 0).unsqueeze(1)
        long.copy_(mean.where(starts, long + mean).where(of_line, long))
        n_in_block += ends
        self._end_block(lines, ends & (n_in_block >= self._length(lines)))

    def _length(self, lines: slice) -> Tensor:
        """Return how many short blocks a long one of each line has."""
        length = self.block_length[lines]
        if self.chop_period <= SHORT * MOST_SHORT:
            return length
        return length.clamp(min=ceil(self.chop_period / SHORT))

    def _end_block(self, lines: slice, ends: Tensor) -> None:
        """Compare the blocks of lines that end with those before, and set their movement."""
        blocks, sums, of_line = self.blocks[lines], self.sums[lines], ends.unsqueeze(1)
        length, n_blocks = self._length(lines), self.n_blocks[lines]
        total, last, before, first = blocks.unbind(1)
        mean = total / length.unsqueeze(1)
        near = ((mean - last).square() + (last - before).square()) / 2.0
        growth = (mean - before).square() - near
        sums.copy_(_added(sums, MEMORY, growth, growth.square()).where(of_line, sums))
        found = ends & (sums[:, 0] > 0.0)
        movement = self.movement[lines]
        movement.copy_(self._movement(sums, self.short_sums[lines], length).where(found, movement))
        n_blocks += ends
        self.n_in_block[lines].masked_fill_(ends, 0)
        grows = ends & (n_blocks >= 4) & (length < MOST_SHORT) & self._is_slow(lines)
        of_growing = grows.unsqueeze(1)
        pairs = (mean + last) / 2.0, (before + first) / 2.0
        # The oldest first: these are views.
        for place, value in ((3, before), (2, last), (1, mean)):
            blocks[:, place] = value.where(of_line, blocks[:, place])
        for place, value in enumerate(pairs, start=1):
            blocks[:, place] = value.where(of_growing, blocks[:, place])
        self.block_length[lines] *= 1 + grows.long()
        n_blocks.masked_fill_(grows, 2)
        sums.masked_fill_(of_growing, 0.0)

    def _is_slow(self, lines: slice) -> Tensor:
        """Return which lines walk so slowly that longer blocks show more."""
        ratio = self.movement[lines]
        final = ((ratio.square() + 4.0 * ratio).sqrt() - ratio) / 2.0
        return final * SHORT * self._length(lines) < FASTEST

    def _movement(self, sums: Tensor, short_sums: Tensor, length: Tensor) -> Tensor:
        """Return the ratio of walk and scatter that sums over the cells of lines tell."""
        count, short_count = sums[:, 0].clamp(min=1.0), short_sums[:, 0].clamp(min=1.0)
        growth, square = sums[:, 1] / count, sums[:, 2] / count
        near = short_sums[:, 1] / short_count
        error = (square - growth.square()).clamp(min=0.0) / count
        share = 1.0 - CERTAINTY**2 * error / growth.square()
        walk = growth.clamp(min=0.0) * share.clamp(min=0.0).nan_to_num(0.0) / (SHORT * length)
        scatter = SHORT * near / 2.0 - walk * (2.0 * SHORT**2 + 1.0) / 6.0
        # Rounding and chance may leave nothing of the scatter of cells that walk fast.
        least = self.read_noise**2 + near * 1e-2
        return (walk / scatter.maximum(least)).nan_to_num(0.0)


def _added(sums: Tensor, memory: float, *values: Tensor) -> Tensor:
    """Return decayed ``[n_lines, 1 + n_values]`` sums, with number and sums of finite values."""
    seen = values[0].isfinite()
    found = [seen.to(sums), *(value.masked_fill(~seen, 0.0) for value in values)]
    return sums * memory + torch.stack([each.sum(1) for each in found], dim=1)
