"""What joins an array to the next slower one.

Longer than other files: each stage of a transfer event notes how far it has come.
"""

from __future__ import annotations

from functools import partial
from typing import Dict, List, Optional, Tuple

from numpy import float32
from torch import Tensor, float64
from torch.nn import Module

from aihwkit_dspt.fused.event_cpu import CpuEvent
from aihwkit_dspt.fused.read import FusedLine
from aihwkit_dspt.fused.table import fused_event
from aihwkit_dspt.pulses.batched import Signs
from aihwkit_dspt.reads.line import LineReads
from aihwkit_dspt.stages.buffer import TransferBuffer
from aihwkit_dspt.stages.chopper import Chopper, as_index
from aihwkit_dspt.stages.counters import OperationCounters
from aihwkit_dspt.stages.estimator import SymmetricPointEstimator
from aihwkit_dspt.stages.event import Stage, TransferEvent
from aihwkit_dspt.stages.listener import Listener
from aihwkit_dspt.stages.own import require_flips
from aihwkit_dspt.stages.reference import Reference
from aihwkit_dspt.stages.schedule import TransferSchedule
from aihwkit_dspt.stages.settling import Settling
from aihwkit_dspt.stages.timing import TransferTiming
from aihwkit_dspt.stages.transfer import TransferStages
from aihwkit_dspt.stages.uninterrupted import Call, in_one_go
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.learning_rates import TransferLearningRate
from aihwkit_dspt.tiles.lines import LineAccess
from aihwkit_dspt.tiles.reference_array import ReferenceArray

# Looked up once: enums take long for that before Python 3.12.
STARTED, TAKEN = Stage.STARTED, Stage.TAKEN

LARGEST = 2**30
"""Numbers of events stay below this: a GPU kernel notes them as 32-bit integers."""


class Link:
    r"""Reads an array line by line and transfers what it learned to the next slower one.

    At a transfer event (paper Algorithms 2 and 3):

    1. a line of the array :math:`P` is read;
    2. BUFFER: :math:`H \leftarrow H + \beta\, c\, (P - \tilde Q)` with :math:`\tilde Q` as it
       was before this read (18b);
    3. ESTIMATE: :math:`Q \leftarrow (1-\eta)\, Q + \eta\, P` (12);
    4. SLOW: whole steps of :math:`H` go as pulses to the slower array :math:`W` (11b);
    5. where the chopper flips (17), :math:`\tilde Q \leftarrow Q`.

    aihwkit's C++ compound copies :math:`\tilde Q \leftarrow Q` one sweep later, at the next read
    of the line. Neither changes in between, so all that follows is equal; here it is done at
    once, because :math:`\bar W` uses it.

    Args:
        source: the array that is read.
        target: the next slower array.
        target_chopper: the signs of what is written to the target, ``None`` for the slowest array.
        lines: access to the lines of both.
        line_reads: reads the lines of the source.
        schedule: when, and which line.
        chopper: the signs :math:`c`.
        buffer: holds :math:`H`.
        estimator: holds :math:`Q`.
        reference: holds :math:`\tilde Q`.
        reference_array: the array that holds the reference, ``None`` for a register.
        rate: :math:`\beta`.
        residual_scale: :math:`\gamma`, the weight of the residual of the source.
        timing: what happens in which sweep.
        tracks: whether reads go into :math:`Q`, and :math:`Q` into :math:`\tilde Q`.
        syncs_every_read: whether the reference follows each read, not only flips.
        fuses: whether fused passes are used.

    Attributes:
        write_lr: weight units per step to the slower array.
        target_scale: weight of the target in the weight in use.
        settling: how much of a transfer goes into the buffer in the first sweeps.
        event: the event that is under way, ``None`` between events.
        listeners: who hears of reads and events of this link, and of steps.
    """

    def __init__(
        self,
        source: Crossbar,
        target: Crossbar,
        *,
        target_chopper: Optional[Chopper],
        lines: LineAccess,
        line_reads: LineReads,
        schedule: TransferSchedule,
        chopper: Chopper,
        buffer: TransferBuffer,
        estimator: SymmetricPointEstimator,
        reference: Reference,
        reference_array: Optional[ReferenceArray],
        rate: TransferLearningRate,
        residual_scale: float,
        timing: TransferTiming,
        tracks: bool,
        syncs_every_read: bool,
        fuses: bool,
    ) -> None:
        self.source = source
        self.target = target
        self.target_chopper = target_chopper
        self.lines = lines
        self.line_reads = line_reads
        self.schedule = schedule
        self.chopper = chopper
        self.buffer = buffer
        self.estimator = estimator
        self.reference = reference
        self.reference_array = reference_array
        self.rate = rate
        self.residual_scale = residual_scale
        self.timing = timing
        self.tracks = tracks
        self.syncs_every_read = syncs_every_read
        self.transfer_stages = TransferStages(chopper, buffer, estimator, reference, tracks, fuses)
        self.everything = slice(0, schedule.in_size)
        self.write_lr = 0.0
        self.target_scale = 1.0
        follows_flips = tracks and not syncs_every_read
        self.settling = Settling(follows_flips and timing.alternates and chopper.regular)
        self.event: Optional[TransferEvent] = None
        self.listeners: List[Listener] = []
        self._of_sweep: Tuple[object, Tuple[float, bool, bool]] = None, (0.0, False, False)
        self._at_once: Tuple[Optional[FusedLine], Optional[CpuEvent]] = None, None

    def named_stages(self) -> Dict[str, Module]:
        """Return the stages that hold tensors, by name."""
        return {
            "chopper": self.chopper,
            "estimator": self.estimator,
            "reference": self.reference,
            "buffer": self.buffer,
        }

    def named_values(self) -> Dict[str, Tensor]:
        """Return what the stages hold cell by cell: ``[in_size, out_size]`` values by name."""
        return {
            "transfer_buffer": self.buffer.hidden,
            "sp_estimate": self.estimator.sp_estimate,
            "reference": self.reference.values,
        }

    def modulate(self, x_vectors: Tensor, d_vectors: Tensor) -> Tuple[Tensor, Tensor]:
        """CHOP: return ``[n, x_size]`` inputs and ``[n, d_size]`` errors with the signs."""
        if self.lines.columns:
            return self.chopper.modulate(x_vectors, d_vectors)
        d_chopped, x_chopped = self.chopper.modulate(d_vectors, x_vectors)
        return x_chopped, d_chopped

    def signs(self) -> Optional[Signs]:
        """Return the signs that :meth:`modulate` gives columns and rows, ``None`` if not by sign.

        A chopper of one's own may do something else.
        """
        chopper = self.chopper
        if type(chopper).modulate is not Chopper.modulate:
            return None
        lines = chopper.in_sign if chopper.has_input else None
        cells = chopper.out_sign if chopper.has_output else None
        return (lines, cells) if self.lines.columns else (cells, lines)

    def transfer(
        self,
        learning_rate: float,
        source_lr: float32,
        counters: OperationCounters,
    ) -> Optional[slice]:
        """Do the transfer event that is due, or what is left of it.

        Args:
            learning_rate: learning rate of the SGD.
            source_lr: learning rate that the pulses to the source had last.
            counters: where pulses are counted.

        Returns:
            the lines whose share of the mixed weight this changed, ``None`` for none.
        """
        event = self.event
        if event is None:
            if not self.rate.is_on(learning_rate):
                in_one_go(self.schedule.finish(was_read=False))
                return None
            event = self.event = self.new_event(self.schedule.lines(), learning_rate, source_lr)
        elif event.stage is STARTED and self.transfer_stages.was_taken(event):
            event.stage = Stage.TAKEN
        if event.stage is STARTED:
            self._take(event, counters)
        was_sent = event.stage is TAKEN and self._send(event, counters)
        changed = self._flip(event)
        in_one_go(self.schedule.finish(), partial(setattr, self, "event", None))
        for listener in self.listeners:
            listener.on_event(event)
        if was_sent and not self.target.updates_cells_independently:
            return self.everything
        return event.lines if was_sent and changed is None else changed

    def _take(self, event: TransferEvent, counters: OperationCounters) -> None:
        """Read the lines of an event, and let the read go through BUFFER and ESTIMATE."""
        at_once = self._event_at_once(event.lines)
        if at_once is not None:
            at_once.take(self.line_reads.matrix, event)
            return
        read = self.line_reads.read(event.lines)
        self.transfer_stages.take(event, read, counters if event.writes else None)
        for listener in self.listeners:
            listener.on_read(event.lines, read)

    def _event_at_once(self, lines: slice) -> Optional[CpuEvent]:
        """Return what reads a line and takes the read in one call, unless somebody listens."""
        line = self.line_reads.fused
        if self.listeners or line is None or lines.stop - lines.start > 1:
            return None
        if self._at_once[0] is not line:
            transfer = self.transfer_stages.fused(self.source.weights.device)
            self._at_once = line, fused_event(line, transfer)
        return self._at_once[1]

    def new_event(self, lines: slice, learning_rate: float, source_lr: float32) -> TransferEvent:
        """Return the event that transfers lines now; see :meth:`transfer`."""
        sweep = self.schedule.sweep
        beta, writes, _ = self.of_sweep(sweep, learning_rate, source_lr)
        return TransferEvent(self.schedule.n_reads % LARGEST, lines, sweep, beta, writes)

    def of_sweep(
        self, sweep: int, learning_rate: float, source_lr: float32
    ) -> Tuple[float, bool, bool]:
        """Return increment, whether pulses are sent, and whether signs may flip, in a sweep.

        See :meth:`transfer` for the arguments. Nearly all events have them in common with the one
        before.
        """
        settings = self.rate.version, self.target_scale, self.settling.share
        key = sweep, learning_rate, source_lr, settings
        if self._of_sweep[0] != key:
            beta = self.beta(sweep, learning_rate, source_lr)
            found = beta, self.timing.writes(sweep), self.chopper.may_flip(sweep)
            self._of_sweep = key, found
        return self._of_sweep[1]

    def beta(self, sweep: int, learning_rate: float, source_lr: float32) -> float:
        """Return the increment of the buffer in a sweep, in pulses per weight unit."""
        timing = self.timing
        beta = self.rate(learning_rate, source_lr, sweep % timing.period + 1)
        return beta * timing.gain(sweep, self.target_scale) * self.settling.share

    def hold_back(self) -> None:
        """Look how far the fast array is on its way to its symmetric points, where that is due."""
        sweep, settling = self.schedule.sweep, self.settling
        if settling.is_due(sweep):
            flipped = self.timing.ends_phase(sweep - 1)
            settling.look(sweep, flipped, self.estimator.sp_estimate, self.reference.values)

    def _send(self, event: TransferEvent, counters: OperationCounters) -> bool:
        """SLOW: pulses on the slower array; return whether there were any."""
        n_pulses = event.n_pulses
        # A kernel on a GPU counts the pulses itself. The usual event on a CPU sends none.
        sends = event.writes and (n_pulses != 0.0 or self.target.is_cuda)
        steps = event.steps if sends else None
        if steps is not None and n_pulses is None:
            n_pulses = steps.abs().sum(dtype=float64)
        if steps is None or n_pulses is None or not (steps.is_cuda or n_pulses):
            event.stage = Stage.SENT
            return False
        if self.target_chopper is not None:
            # CHOP: an array between is written with the signs of the link that reads it.
            steps = self.target_chopper.demodulate(event.lines, steps, 1.0)
        self.lines.pulse(self.target, event.lines, steps, self.write_lr, event)
        in_one_go(counters.count_slow_pulses(n_pulses), event.note(Stage.SENT))
        return True

    def _flip(self, event: TransferEvent) -> Optional[slice]:
        """Flip what is due and sync the reference; return the lines that this changed."""
        if event.flipped is None:
            flipped = self.chopper.due(event.lines, event.sweep)
            event.flipped = require_flips(self.chopper, flipped, event.lines)
        flipped, changed = event.flipped, None
        if flipped or self.syncs_every_read:
            changed = event.lines
            if event.stage is Stage.SENT:
                self.chopper.flip(flipped, event.note(Stage.FLIPPED))
            if event.stage is Stage.FLIPPED and self.tracks:
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
                self.sync(part, None, partial(setattr, event, "n_synced", number + 1))

    def _flip_outputs(self, event: TransferEvent) -> bool:
        """Flip outputs at the end of a sweep and sync their reference; return if any flipped."""
        if event.outputs is None:
            every = slice(0, len(self.chopper.out_sign))
            event.outputs = require_flips(self.chopper, self.chopper.outputs_due(), every)
        if not event.outputs:
            return False
        if event.stage < Stage.OUTPUTS_FLIPPED:
            self.chopper.flip_outputs(event.outputs, event.note(Stage.OUTPUTS_FLIPPED))
        if event.stage is Stage.OUTPUTS_FLIPPED and self.tracks:
            self.sync(self.everything, event.outputs, event.note(Stage.OUTPUTS_SYNCED))
        return True

    def restart(self) -> None:
        """Empty the buffer and count lines anew, as aihwkit does on set weights."""
        self.buffer.hidden.zero_()
        self.schedule.restart()

    def sync(self, lines: slice, numbers: Optional[List[int]] = None, *then: Call) -> None:
        """Program the reference of the given lines (and outputs) to the estimate.

        An analog reference is programmed towards the estimate from where it is, also when that is
        done again after an interrupt.
        """
        outputs = None if numbers is None else as_index(numbers, self.reference.values)
        cells = lines if outputs is None else (lines, outputs)
        self.reference.sync(lines, outputs, self.estimator.sp_estimate[cells], *then)
