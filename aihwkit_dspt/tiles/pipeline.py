"""What happens between the arrays and the stages, in order."""

from __future__ import annotations

from typing import Any, List, Optional

from aihwkit.exceptions import TileError
from torch import Tensor, stack

from aihwkit_dspt.tiles.chopper import as_index
from aihwkit_dspt.tiles.parts import TileParts


class TrackingPipeline(TileParts):
    r"""Updates the arrays and stages in the order of the paper's algorithms.

    Per update cycle (paper Algorithms 2 and 3):

    1. CHOP: the gradient vectors take the chopper signs, :math:`c\, g` (18a);
    2. FAST: pulses on the fast array, :math:`P \leftarrow P - \alpha\, c\, g` (11a);
    3. at a transfer event, a line of :math:`P` is read;
    4. BUFFER: :math:`H \leftarrow H + \beta\, c\, (P - \tilde Q)` with :math:`\tilde Q` as it
       was before this read (18b);
    5. ESTIMATE: :math:`Q \leftarrow (1-\eta)\, Q + \eta\, P` (12);
    6. SLOW: whole steps of :math:`H` go as pulses to the slow array :math:`W` (11b);
    7. where the chopper flips (17), :math:`\tilde Q \leftarrow Q`;
    8. READ: :math:`\bar W = W + \gamma\, c \circ (P - \tilde Q)` for forward and backward.

    aihwkit's C++ compound copies :math:`\tilde Q \leftarrow Q` one sweep later, at the next read
    of the line. Neither changes in between, so all that follows is equal; here it is done at
    once, because :math:`\bar W` uses it.
    """

    def update_vectors(self, x_vectors: Tensor, d_vectors: Tensor) -> None:
        """Gradient update with as many transfers as fall into the batch.

        Args:
            x_vectors: ``[n_vectors, x_size]`` inputs, the bias input included.
            d_vectors: ``[n_vectors, d_size]`` errors.

        Raises:
            TileError: if the numbers of vectors differ; the tile is left as it was.
        """
        m_batch = x_vectors.shape[0]
        if m_batch != d_vectors.shape[0]:
            raise TileError(
                f"x_input has {m_batch} vectors, d_input {len(d_vectors)}: pass equal batches"
            )
        if self.learning_rate == 0.0 or m_batch == 0:
            return
        self.counters.update_cycles += m_batch
        for start, stop, transfers in self.schedule.split(m_batch):
            if stop - start == m_batch:
                self._update_fast(x_vectors, d_vectors, m_batch)
            else:
                self._update_fast(x_vectors[start:stop], d_vectors[start:stop], m_batch)
            if transfers:
                self._transfer()
        self._refresh()

    def _update_fast(self, x_vectors: Tensor, d_vectors: Tensor, m_batch: int) -> None:
        """CHOP and FAST: gradient pulses on the fast array."""
        if self.device_config.transfer_columns:
            x_chopped, d_chopped = self.chopper.modulate(x_vectors, d_vectors)
        else:
            d_chopped, x_chopped = self.chopper.modulate(d_vectors, x_vectors)
        if not self.fast_lr.auto_scales:
            self._pulse_fast(x_chopped, d_chopped)
            return
        # The learning rate follows the running maxima from one vector to the next. That needs them
        # on the host; aihwkit's CUDA compound waits for the GPU here, too.
        maxima = stack([x_vectors.abs().amax(1), d_vectors.abs().amax(1)], dim=1).tolist()
        for index, (x_max, d_max) in enumerate(maxima):
            self.fast_lr.observe(x_max, d_max, m_batch)
            self._pulse_fast(x_chopped[index : index + 1], d_chopped[index : index + 1])

    def _pulse_fast(self, x_input: Tensor, d_input: Tensor) -> None:
        fast_lr = self.fast_lr(self.learning_rate)
        if self.counters.estimates_coincidences:
            steps = fast_lr / self.fast_granularity
            self.counters.add_gradient_pulses(x_input, d_input, steps)
        self.fast.pulse(x_input, d_input, fast_lr)

    def _transfer(self) -> None:
        """One transfer event: read, BUFFER, ESTIMATE, SLOW and the chopper."""
        lines = self.schedule.next_lines()
        if not self.transfer_lr.is_on(self.learning_rate):
            return
        period, sweep = self.chopper.period, self.schedule.sweep
        read = self.lines.read(self.fast, lines)
        beta = self.transfer_lr(self.learning_rate, self.fast_lr.current, sweep % period + 1)
        # aihwkit's dynamic compound starts writing when the first reference has been taken.
        waiting = self.timed_as_agad and not self.syncs_every_read and sweep <= period
        counters = None if waiting else self.counters
        steps = self.transfer_stages.take(lines, read, beta, counters)
        written = None if waiting else steps
        if written is not None:
            self.lines.pulse(self.slow, lines, written, self.write_lr)
        changed = self._advance_chopper(lines, sweep)
        if written is not None:
            changed = lines if changed is None else changed
            if not self.slow.updates_cells_independently:
                changed = self.everything
        if changed is not None:
            self._store(changed)

    def _advance_chopper(self, lines: slice, sweep: int) -> Optional[slice]:
        """Flip what is due and sync the reference; return the lines that this changed."""
        flipped = self.chopper.flip_lines(lines, sweep)
        changed = lines if flipped or self.syncs_every_read else None
        if self.dynamic and (self.syncs_every_read or len(flipped) == lines.stop - lines.start):
            self._sync(lines)
        elif self.dynamic:
            for line in flipped:
                self._sync(slice(line, line + 1))
        outputs = self.chopper.flip_outputs() if self.schedule.finish_event(lines) else []
        if outputs:
            changed = self.everything
            if self.dynamic:
                self._sync(self.everything, outputs)
        return changed

    def _sync(self, lines: slice, numbers: Optional[List[int]] = None) -> None:
        """Program the reference of the given lines (and outputs) to the estimate."""
        outputs = None if numbers is None else as_index(numbers, self.estimator.reference)
        cells = lines if outputs is None else (lines, outputs)
        if self.reference_array is None:
            self.estimator.sync(cells, self.estimator.sp_estimate[cells])
            return
        target = self.estimator.reference[lines].clone()
        every: Any = slice(None) if outputs is None else (slice(None), outputs)
        target[every] = self.estimator.sp_estimate[cells]
        held = self.reference_array.program(lines, target)
        self.estimator.sync(cells, held[every])

    # -- the mixed weight -----------------------------------------------------------------------

    def _store(self, lines: Optional[slice] = None) -> None:
        if self.effective is not None:
            reference = self.estimator.reference
            self.effective.store(self.slow.weights, reference, self.chopper, lines)

    def _refresh(self) -> None:
        if self.effective is not None:
            self.effective.refresh(self.fast.weights, self.chopper)

    def refresh_weights(self) -> None:
        """Recompute the mixed weight after a change of any array or stage."""
        self._store()
        self._refresh()
