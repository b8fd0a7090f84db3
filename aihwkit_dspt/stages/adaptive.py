"""An estimator whose gain follows from the reads."""

from __future__ import annotations

from math import ceil, inf, pi
from typing import Dict

import torch
from torch import Tensor, dtype, full, zeros

from aihwkit_dspt.stages.estimator import SymmetricPointEstimator

SHORTEST, LONGEST = 16, 64
"""Reads in a block at first, and at most."""

ENOUGH = 12.0
"""Whole reads that a cell needs in a block to be compared with others: it forgets in a quarter."""

MEMORY, SPREAD_MEMORY, MOVE_MEMORY = 1.0 - 1.0 / 16.0, 1.0 - 1.0 / 64.0, 16
"""What is left of the statistics of a line after a block, of its spread after a read; reads over
which the moves of a cell are averaged."""

SEEN = 16.0
"""Squared moves that many times the variance of a read are not its noise."""

WHOLE = 1.5
"""Weight of a read where squared moves are as the variance of reads, at most 1."""

LEAST_WEIGHT = 1e-3
"""Weight of a read of a cell that stayed where it was."""

FEWEST = 30.0
"""Comparisons of cells below which their standard error is not known."""

CERTAINTY = 2.0
"""Standard errors by which the points must be seen to walk."""

FASTEST = 1.0
"""Blocks grow while their length times the final gain is below."""

UNLIKELY = 16.0
"""A cell at rest counts as moving with a probability below ``exp(-16)`` per read."""


class AdaptiveGain(SymmetricPointEstimator):
    r"""A gain that cells set by themselves: the Kalman filter of a symmetric point that may walk.

    The model is a point that takes a step of variance :math:`q` from read to read, and reads that
    scatter around it with variance :math:`r`. A read of weight :math:`i` is as good as
    :math:`i` independent ones. The filter needs the ratio :math:`s = q/r` and the weights:

    .. math::

        Q \leftarrow Q + i_k K_k\, (P - Q), \qquad
        K_k = \frac{1}{1/(K_{k-1} + s) + i_k}, \qquad K_0 = \infty

    For a point that stays this is the weighted mean of the reads, :math:`K_k = 1/\sum i`; else
    :math:`K` ends, with whole reads, at :math:`\eta^* = (\sqrt{s^2 + 4 s} - s)/2`, the step size
    :math:`\eta` of the least squared error :math:`\eta r/(2-\eta) + q(1-\eta)^2/(\eta(2-\eta))`.

    **What a read is worth.** A cell that took no pulse since its last read shows again what it
    showed before. So a read counts by how far the cell has moved of late:

    .. math:: i = \min\left(1.5\, \frac{\mathrm E(P_k - P_{k-1})^2 - 4 n^2}{r - n^2},\ 1\right),
        \qquad i \ge 0.001

    with the mean over some 16 reads of the cell and the noise :math:`n` of a read. It is 1 for
    reads of which neighbours correlate by two thirds or less, else it goes as one over the number
    of reads that a cell remembers. :math:`r` is the larger of two means over the cells of a line
    and its last 64 reads: that of :math:`(P - Q_{before})(P - Q_{after})`, weighted with
    :math:`i`, and :math:`(\mathrm E\,\Delta^2 / \mathrm E\,|\Delta|)^2/\pi` of the moves
    :math:`\Delta = P_k - P_{k-1}` beyond noise. Both are :math:`r` for independent normal reads;
    the second also for cells of which few move, and whose estimates follow them closely.

    **Whether points walk.** Means :math:`m_j` of blocks of :math:`B` reads are compared, those
    three apart with those two apart:

    .. math::

        q B = \mathrm E (m_{j+3} - m_j)^2 - \mathrm E (m_{j+2} - m_j)^2

    What scatters from block to block drops out; what moves on does not. A cell counts if its reads
    in each of the blocks are worth 12 whole ones: slower cells, which still remember the block
    before, move from block to block as if their points did. The expectations are means over the
    cells of a line and its last 16 blocks, 30 at least, after 32 reads. :math:`q` counts by the
    share :math:`1 - (2\sigma/q)^2`, at least 0, with its standard error :math:`\sigma`. Blocks grow
    from 16 reads to 64, but not beyond :math:`1/\eta^*`: long ones show slow walks, short ones miss
    less of walks that turn back. Where the chopper takes longer to come back (``chop_period``), the
    gradient moves reads from one such block to the next as a walk does. There blocks are as long as
    that, so that both of its signs are in each of them.

    A cell that got no pulse only shows where it is, not where its symmetric point is. It is unknown
    (:meth:`known_cells`) until its reads scatter more than the noise of a read explains. Till then
    its estimate is the mean of its reads, so that it transfers nothing, and it takes no part in the
    statistics; then it starts anew. A cell that stays at a bound has reads that do not move: they
    hardly count, so that it neither opens the gain of its line nor closes it.

    ``eta`` is used for calibrated points only (:meth:`set_points`). Ten numbers are kept for a
    cell. There is no fused pass.

    Source: Kalman, *A new approach to linear filtering and prediction problems*, 1960; for the
    mask: Laurent and Massart, *Adaptive estimation of a quadratic functional*, 2000, Lemma 1.

    Attributes:
        gain: ``[in_size, out_size]`` :math:`K`.
        movement: ``[in_size]`` :math:`s` of a line.
        is_known: ``[in_size, out_size]`` mask of cells that have moved.
        scatter: ``[in_size, out_size]`` squares of the reads of a cell about their mean, while it
            is unknown.
        last_read: ``[in_size, out_size]`` the read before; infinite where there is none.
        moves: ``[in_size, out_size]`` mean square of the differences of successive reads.
        n_reads: ``[in_size]`` reads of a line.
        blocks: ``[in_size, 4, out_size]`` sum of the block that is under way, and means of three
            blocks before, the newest first; infinite where there is none.
        weight_in_block: ``[in_size, out_size]`` whole reads in the block that is under way.
        n_in_block: ``[in_size]`` reads of the block that is under way.
        block_length: ``[in_size]`` reads in a block, unless a chopper asks for more.
        n_blocks: ``[in_size]`` blocks since they grew.
        spread_sums: ``[in_size, 4]`` decayed sums for :math:`r`: of weights, of weighted squares,
            of sizes of moves and of their squares.
        sums: ``[in_size, 3]`` decayed number of cells, and sum over them of the differences
            :math:`q B` and of their squares.
    """

    gain: Tensor
    movement: Tensor
    is_known: Tensor
    scatter: Tensor
    last_read: Tensor
    moves: Tensor
    n_reads: Tensor
    blocks: Tensor
    weight_in_block: Tensor
    n_in_block: Tensor
    block_length: Tensor
    n_blocks: Tensor
    spread_sums: Tensor
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
            "last_read": full(sizes, inf, dtype=data_type),
            "moves": zeros(sizes, dtype=data_type),
            "n_reads": zeros(in_size, dtype=torch.long),
            "blocks": full((in_size, 4, out_size), inf, dtype=data_type),
            "weight_in_block": zeros(sizes, dtype=data_type),
            "n_in_block": zeros(in_size, dtype=torch.long),
            "block_length": full((in_size,), SHORTEST, dtype=torch.long),
            "n_blocks": zeros(in_size, dtype=torch.long),
            "spread_sums": zeros(in_size, 4, dtype=data_type),
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
        is_known, estimate, gain = self.is_known[lines], self.sp_estimate[lines], self.gain[lines]
        self.n_reads[lines] += 1
        weight = self._weight(lines, read)
        # A cell that has not moved averages, whatever the others of its line do.
        prior = gain + self.movement[lines].unsqueeze(1) * is_known
        gain.copy_((prior.reciprocal() + weight).reciprocal())
        step = read - estimate
        estimate.lerp_(read, weight * gain)  # exactly the read where both are 1
        product = step * (read - estimate)
        counts = weight * (is_known & prior.isfinite())
        self.spread_sums[lines, :2] += torch.stack([counts, counts * product], dim=1).sum(2)
        self._notice(lines, product)
        total, sum_of_weights = self.blocks[lines, 0], self.weight_in_block[lines]
        n_in_block = self.n_in_block[lines]
        goes_on = (n_in_block > 0).unsqueeze(1)
        # A cell that becomes known is so from the next block on.
        total.copy_(torch.where(goes_on, total + read, read.masked_fill(~is_known, inf)))
        # The spread has to be known before weights say which cells forget.
        is_seen = (self.n_reads[lines] > 2 * SHORTEST).unsqueeze(1)
        sum_of_weights.copy_(sum_of_weights * goes_on + weight * is_seen)
        n_in_block += 1
        ends = n_in_block >= self._length(lines)
        # On a GPU nobody waits to hear whether there is one.
        if ends.is_cuda or bool(ends.any()):
            self._end_block(lines, ends)

    def _weight(self, lines: slice, read: Tensor) -> Tensor:
        """Return how many independent reads the ``[n_lines, out_size]`` read is worth, 0 to 1."""
        last, moves, noise = self.last_read[lines], self.moves[lines], self.read_noise**2
        moved = (read - last).square()
        n_moves = (self.n_reads[lines] - 1).clamp(1, MOVE_MEMORY).unsqueeze(1)
        moves += (moved.masked_fill_(last.isinf(), 0.0) - moves) / n_moves
        last.copy_(read)
        spread = self._spread(lines).unsqueeze(1)
        seen = moved.masked_fill_(moved < SEEN * noise, 0.0)
        sums = self.spread_sums[lines]
        sums *= SPREAD_MEMORY
        sums[:, 2:] += torch.stack([seen.sqrt(), seen], dim=1).sum(2)
        # Where noise is most of the scatter, moves are not seen, and all reads count alike.
        least = noise + torch.finfo(spread.dtype).tiny
        weight = WHOLE * (moves - 4.0 * noise) / (spread - noise).clamp(min=least)
        is_whole = ~self.is_known[lines] | spread.isnan()
        return weight.clamp(LEAST_WEIGHT, 1.0).masked_fill(is_whole, 1.0)

    def _spread(self, lines: slice) -> Tensor:
        """Return the ``[n_lines]`` variance of reads, NaN where none is known."""
        weight, total, sizes, squares = self.spread_sums[lines].unbind(1)
        return (total / weight).fmax((squares / sizes).square() / pi)

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

    def _length(self, lines: slice) -> Tensor:
        """Return how many reads a block of each line has."""
        length = self.block_length[lines]
        if self.chop_period <= LONGEST:
            return length
        return length.clamp(min=ceil(self.chop_period))

    def _end_block(self, lines: slice, ends: Tensor) -> None:
        """Compare the blocks of lines that end with those before, and set their movement."""
        blocks, sums, of_line = self.blocks[lines], self.sums[lines], ends.unsqueeze(1)
        length, n_blocks = self._length(lines), self.n_blocks[lines]
        total, last, before, first = blocks.unbind(1)
        mean = (total / length.unsqueeze(1)).masked_fill(self.weight_in_block[lines] < ENOUGH, inf)
        near = ((mean - before).square() + (last - first).square()) / 2.0
        growth = (mean - first).square() - near
        sums.copy_(_added(sums, MEMORY, growth, growth.square()).where(of_line, sums))
        found = ends & (sums[:, 0] >= FEWEST)
        movement = self.movement[lines]
        movement.copy_(self._movement(sums, self._spread(lines), length).where(found, movement))
        n_blocks += ends
        self.n_in_block[lines].masked_fill_(ends, 0)
        # Six blocks: the first two see what cells are like, four are compared and make longer ones.
        grows = ends & (n_blocks >= 6) & (length < LONGEST) & self._is_slow(lines)
        of_growing = grows.unsqueeze(1)
        pairs = (mean + last) / 2.0, (before + first) / 2.0, torch.full_like(mean, inf)
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
        return final * self._length(lines) < FASTEST

    def _movement(self, sums: Tensor, spread: Tensor, length: Tensor) -> Tensor:
        """Return the ratio of walk and scatter that sums over the cells of lines tell."""
        count = sums[:, 0].clamp(min=1.0)
        growth, square = sums[:, 1] / count, sums[:, 2] / count
        error = (square - growth.square()).clamp(min=0.0) / count
        share = 1.0 - CERTAINTY**2 * error / growth.square()
        walk = growth.clamp(min=0.0) * share.clamp(min=0.0).nan_to_num(0.0) / length
        # Rounding may leave nothing of the scatter.
        return (walk / spread.clamp(min=self.read_noise**2)).nan_to_num(0.0)


def _added(sums: Tensor, memory: float, *values: Tensor) -> Tensor:
    """Return decayed ``[n_lines, 1 + n_values]`` sums, with number and sums of finite values."""
    seen = values[0].isfinite()
    found = [seen.to(sums), *(value.masked_fill(~seen, 0.0) for value in values)]
    return sums * memory + torch.stack([each.sum(1) for each in found], dim=1)
