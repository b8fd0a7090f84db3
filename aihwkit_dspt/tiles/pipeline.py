"""What happens between the arrays and the stages, in order."""

from __future__ import annotations

from functools import partial, wraps
from typing import Any, Callable, List, Optional, TypeVar, cast

from aihwkit.exceptions import TileError
from torch import Tensor, float64, stack

from aihwkit_dspt.stages.chopper import as_index
from aihwkit_dspt.stages.event import Stage, TransferEvent
from aihwkit_dspt.stages.uninterrupted import in_one_go
from aihwkit_dspt.tiles.parts import TileParts

LARGEST = 2**30
"""Numbers of events stay below this: a GPU kernel notes them as 32-bit integers."""


Method = TypeVar("Method", bound=Callable[..., Any])


def settled(method: Method) -> Method:
    """Decorate a method that changes arrays or stages of a pipeline outside of an update.

    It starts from a whole state. If it is interrupted, the next call mends the mixed weight.
    """

    @wraps(method)
    def run(self: TrackingPipeline, *args: Any, **kwargs: Any) -> Any:
        self.settle()
        self.unfinished = True
        result = method(self, *args, **kwargs)
        self.unfinished = False
        return result

    return cast(Method, run)


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
        self.settle()
        if self.learning_rate == 0.0 or m_batch == 0:
            return
        self.unfinished = True
        for start, stop, transfers in self.schedule.split(m_batch):
            if stop - start == m_batch:
                self._update_fast(x_vectors, d_vectors, m_batch, transfers)
            else:
                chunk = x_vectors[start:stop], d_vectors[start:stop]
                self._update_fast(*chunk, m_batch, transfers)
            if transfers:
                self._transfer()
        self._refresh()
        self.unfinished = False
        for listener in self.listeners:
            listener.on_step(m_batch)

    def settle(self) -> None:
        """Finish what an interrupted call left undone.

        Called by whatever reads or changes the state. An interrupt (Ctrl-C, an error of a listener)
        leaves all vectors that were sent counted and the event that was due in its journal: the
        event goes on from there, and the mixed weight is computed anew.
        """
        if not self.unfinished:
            return
        if self.schedule.is_due:
            self._transfer()
        self.refresh_weights()
        self.unfinished = False

    def _update_fast(
        self, x_vectors: Tensor, d_vectors: Tensor, m_batch: int, transfers: bool
    ) -> None:
        """CHOP and FAST: gradient pulses on the fast array."""
        if self.device_config.transfer_columns:
            x_chopped, d_chopped = self.chopper.modulate(x_vectors, d_vectors)
        else:
            d_chopped, x_chopped = self.chopper.modulate(d_vectors, x_vectors)
        if not self.fast_lr.auto_scales:
            self._pulse_fast(x_chopped, d_chopped, transfers)
            return
        # The learning rate follows the running maxima from one vector to the next. That needs them
        # on the host; aihwkit's CUDA compound waits for the GPU here, too.
        maxima = stack([x_vectors.abs().amax(1), d_vectors.abs().amax(1)], dim=1).tolist()
        for index, (x_max, d_max) in enumerate(maxima):
            self.fast_lr.observe(x_max, d_max, m_batch)
            one = slice(index, index + 1)
            is_last = index == len(maxima) - 1
            self._pulse_fast(x_chopped[one], d_chopped[one], transfers and is_last)

    def _pulse_fast(self, x_input: Tensor, d_input: Tensor, is_due: bool) -> None:
        """Send pulses and count them; an event may be due then."""
        fast_lr, n_vectors = self.fast_lr(self.learning_rate), len(x_input)
        counted = [
            self.schedule.count(n_vectors, is_due),
            self.counters.count_update_cycles(n_vectors),
        ]
        if self.fast_lr.auto_scales:
            counted.append(self.fast_lr.keep())
        if self.counters.estimates_coincidences:
            steps = fast_lr / self.fast.pulse_granularity
            counted.append(self.counters.count_gradient_pulses(x_input, d_input, steps))
        self.fast.pulse(x_input, d_input, fast_lr, *counted)

    def _transfer(self) -> None:
        """Do the transfer event that is due, or what is left of it."""
        event = self.event
        if event is None:
            if not self.transfer_lr.is_on(self.learning_rate):
                in_one_go(self.schedule.finish(was_read=False))
                return
            event = self.event = self._new_event()
        elif event.stage is Stage.STARTED and self.transfer_stages.was_taken(event):
            event.stage = Stage.TAKEN
        if event.stage is Stage.STARTED:
            read = self.lines.read(self.fast, event.lines)
            counters = self.counters if event.writes else None
            self.transfer_stages.take(event, read, counters)
            for listener in self.listeners:
                listener.on_read(event.lines, read)
        was_sent = event.stage is Stage.TAKEN and self._send(event)
        changed = self._flip(event)
        in_one_go(self.schedule.finish(), partial(setattr, self, "event", None))
        for listener in self.listeners:
            listener.on_event(event)
        if was_sent:
            changed = event.lines if changed is None else changed
            if not self.slow.updates_cells_independently:
                changed = self.everything
        if changed is not None:
            self._store(changed)

    def _new_event(self) -> TransferEvent:
        lines, sweep, period = self.schedule.lines(), self.schedule.sweep, self.chopper.period
        beta = self.transfer_lr(self.learning_rate, self.fast_lr.current, sweep % period + 1)
        # aihwkit's dynamic compound starts writing when the first reference has been taken.
        waits = self.timed_as_agad and not self.syncs_every_read and sweep <= period
        return TransferEvent(self.schedule.n_reads % LARGEST, lines, sweep, beta, not waits)

    def _send(self, event: TransferEvent) -> bool:
        """SLOW: pulses on the slow array; return whether there were any."""
        steps, n_pulses = event.steps, event.n_pulses
        if not event.writes or steps is None:
            event.stage = Stage.SENT
            return False
        if n_pulses is None:
            n_pulses = steps.abs().sum(dtype=float64)
        if not steps.is_cuda and not n_pulses:
            event.stage = Stage.SENT
            return False
        self.lines.pulse(self.slow, event.lines, steps, self.write_lr, event)
        in_one_go(self.counters.count_slow_pulses(n_pulses), event.note(Stage.SENT))
        return True

    def _flip(self, event: TransferEvent) -> Optional[slice]:
        """Flip what is due and sync the reference; return the lines that this changed."""
        if event.flipped is None:
            event.flipped = self.chopper.due(event.lines, event.sweep)
        flipped, changed = event.flipped, None
        if flipped or self.syncs_every_read:
            changed = event.lines
            if event.stage is Stage.SENT:
                self.chopper.flip(flipped, event.note(Stage.FLIPPED))
            if event.stage is Stage.FLIPPED and self.dynamic:
                self._sync_lines(event, flipped)
        ends_sweep = event.lines.stop == self.schedule.in_size
        if ends_sweep and self.chopper.has_output and self._flip_outputs(event):
            changed = self.everything
        return changed

    def _sync_lines(self, event: TransferEvent, flipped: List[int]) -> None:
        lines = event.lines
        parts = [slice(line, line + 1) for line in flipped]
        if self.syncs_every_read or len(flipped) == lines.stop - lines.start:
            parts = [lines]
        for number, part in enumerate(parts):
            if number >= event.n_synced:
                self._sync(part, None, partial(setattr, event, "n_synced", number + 1))

    def _flip_outputs(self, event: TransferEvent) -> bool:
        """Flip outputs at the end of a sweep and sync their reference; return if any flipped."""
        if event.outputs is None:
            event.outputs = self.chopper.outputs_due()
        if not event.outputs:
            return False
        if event.stage < Stage.OUTPUTS_FLIPPED:
            self.chopper.flip_outputs(event.outputs, event.note(Stage.OUTPUTS_FLIPPED))
        if event.stage is Stage.OUTPUTS_FLIPPED and self.dynamic:
            self._sync(self.everything, event.outputs, event.note(Stage.OUTPUTS_SYNCED))
        return True

    def _sync(self, lines: slice, numbers: Optional[List[int]] = None, *then: partial[Any]) -> None:
        """Program the reference of the given lines (and outputs) to the estimate.

        An analog reference is programmed towards the estimate from where it is, also when that is
        done again after an interrupt.
        """
        outputs = None if numbers is None else as_index(numbers, self.reference.values)
        cells = lines if outputs is None else (lines, outputs)
        self.reference.sync(lines, outputs, self.estimator.sp_estimate[cells], *then)

    # -- the mixed weight -----------------------------------------------------------------------

    def _store(self, lines: Optional[slice] = None) -> None:
        if self.mixed is not None:
            self.mixed.store(self.slow.weights, self.reference.values, self.chopper, lines)

    def _refresh(self) -> None:
        if self.mixed is not None:
            self.mixed.refresh(self.fast.weights, self.chopper)

    def refresh_weights(self) -> None:
        """Recompute the mixed weight after a change of any array or stage."""
        self._store()
        self._refresh()
