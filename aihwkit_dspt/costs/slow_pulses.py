"""How many pulses a C++ compound sent to its slow array, from its state before and after."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import numpy as np
import torch
from aihwkit.simulator.configs.compounds import BufferedTransferCompound, DynamicTransferCompound
from aihwkit.simulator.configs.devices import PulsedDevice
from numpy import float32

from aihwkit_dspt.configs.compound import chop_period
from aihwkit_dspt.costs.compound_state import Array, CompoundCells, CompoundClock, line_of
from aihwkit_dspt.costs.read_limit import buffer_rate, granularity, largest_read
from aihwkit_dspt.devices.responses import response
from aihwkit_dspt.tiles.learning_rates import TransferLearningRate

ROUNDING = 1e-6
"""Some rounding errors of single precision, relative."""


class TransferredLine:
    """One line of a compound around an update in which it was transferred once.

    Args:
        device: the compound.
        line: number of the line.
        before: cells before the update.
        after: cells after it.
        was: clock before the update.
        now: clock after it.
        sign: chopper sign of the line at the read.
    """

    def __init__(
        self,
        device: Any,
        line: int,
        before: CompoundCells,
        after: CompoundCells,
        was: CompoundClock,
        now: CompoundClock,
        sign: float,
    ) -> None:
        self.device = device
        self.line = line
        self.before = before
        self.after = after
        self.was = was
        self.now = now
        self.sign = sign

    def cells(self, values: Array) -> Array:
        """Return those of the ``[d_size, x_size]`` values that belong to the line."""
        return line_of(values, self.line, self.device.transfer_columns)

    def slow_pulses(self, learning_rate: float, in_size: int) -> Optional[int]:
        """Return the pulses sent to the cells of the line, ``None`` if the states do not tell."""
        if isinstance(self.device, DynamicTransferCompound):
            return self._from_the_mean(learning_rate, in_size)
        return self._from_the_weights(learning_rate, in_size)

    # -- AGAD -------------------------------------------------------------------------------------

    def _from_the_mean(self, learning_rate: float, in_size: int) -> Optional[int]:
        r"""Return the pulses of AGAD.

        Its running mean of the reads :math:`m \leftarrow (1-\mu) m + \mu\, v` tells what was read,
        which tells what the buffer was before whole steps were taken out,

        .. math:: \omega = H \pm \beta\, (v - \tilde Q), \qquad
                  n = \mathrm{clip}(\mathrm{trunc}(\omega), \pm n_{max})

        to a few units in the last place. Where :math:`\omega` is so close to a whole number that
        this is not enough, the buffer after the update decides.
        """
        device = self.device
        samples = chop_period(device.in_chop_prob)
        momentum = float(min(float32(device.tail_weightening) / float32(samples), float32(1.0)))
        ambiguous = device.correct_gradient_magnitudes and device.auto_scale
        if momentum <= 0.0 or ambiguous or self.was.sweeps is None:
            return None  # the step that the learning rate took within the batch is not known
        if self.was.sweeps <= samples:
            return 0  # aihwkit starts to write after the first chopper period
        first, second = (granularity(part) for part in device.unit_cell_devices)
        rate = TransferLearningRate(device, first, second, in_size)
        sample = self.was.sweeps % samples + 1
        beta = rate(learning_rate, float32(self.now.fast_lr), sample)
        old, new = self.cells(self.before.mean), self.cells(self.after.mean)
        read = (new - old * (1.0 - momentum)) / momentum
        # A line that flipped at its former read takes its reference at this one.
        reference = self.cells(self.after.past_mean)
        buffer = self.cells(self.before.buffer)
        omega = buffer + self.sign * beta * (read - reference)
        error = (abs(old) + abs(new)) / momentum + abs(read) + abs(reference)
        error = ROUNDING * (beta * error + abs(buffer) + abs(omega))
        limit = device.transfer_update.desired_bl
        low, high = (np.clip(np.trunc(omega + shift), -limit, limit) for shift in (-error, error))
        # Where rounding decides, that candidate is right which leaves what was found.
        found = self.cells(self.after.buffer)
        misses = [abs(self._left(omega, steps) - found) for steps in (low, high)]
        unclear = (low != high) & (abs(misses[0] - misses[1]) <= 4.0 * error)
        if unclear.any():
            return None
        return int(abs(np.where(misses[0] <= misses[1], low, high)).sum())

    def _left(self, omega: Array, steps: Array) -> Array:
        """Return what is left of a buffer from which steps are taken."""
        device = self.device
        if device.forget_buffer:
            left = omega * device.momentum
        else:
            left = omega - (1.0 - device.momentum) * steps
            cap = device.buffer_cap * device.transfer_update.desired_bl
            left = left.clip(-cap, cap) if cap > 0.0 else left
        return np.where(steps != 0.0, left, omega)

    # -- TT-v2 ------------------------------------------------------------------------------------

    def _from_the_weights(self, learning_rate: float, in_size: int) -> Optional[int]:
        """Return the pulses of TT-v2, which keeps no trace of its reads.

        With at most one pulse per transfer, sent for certain (``desired_bl=1``, ``step=1``), those
        cells got one that moved. A cell that did not move got none, unless it rests at a bound or
        on a dead device. There the buffer decides, as one read can only move it so far.
        """
        device = self.device
        certain = device.transfer_update.desired_bl == 1 and device.step >= 1.0
        if not certain or not isinstance(device.unit_cell_devices[1], PulsedDevice):
            return None
        old, new = self.cells(self.before.slow), self.cells(self.after.slow)
        moved = old != new
        rests = ~moved & self._can_rest(old)
        if not rests.any():
            return int(moved.sum())
        rate = buffer_rate(device, learning_rate, float32(self.now.fast_lr), in_size)
        limit = rate * largest_read(device, self.before.device_parameters(0))
        pulsed, kept = self._can_have_been_pulsed(limit), self._can_have_been_kept(limit)
        if (rests & (pulsed == kept)).any():
            return None
        return int((moved | (rests & pulsed)).sum())

    def _can_rest(self, weights: Array) -> Array:
        """Return which cells might not move when they get a pulse."""
        slow = self.device.unit_cell_devices[1]
        parameters = {
            name: torch.from_numpy(self.cells(value))
            for name, value in self.before.device_parameters(1).items()
        }
        cells, at = response(slow, parameters), torch.from_numpy(weights)
        # Steps that are lost in single precision beside the weight, or cut off by the bounds.
        least = ROUNDING * (abs(at) + cells.w_max - cells.w_min)
        steps = cells.dw_min * torch.minimum(cells.q_plus(at), cells.q_minus(at))
        reach = torch.minimum(cells.w_max - at, at - cells.w_min)
        # Also where a formula has no number beyond the bounds.
        rests: Array = (~((steps > least) & (reach > least))).numpy()
        return rests

    def _buffers(self) -> Tuple[Array, Array]:
        """Return the buffer before and after, in steps."""
        device, unit = self.device, 1.0
        if isinstance(device, BufferedTransferCompound):
            unit = device.thres_scale * granularity(device.unit_cell_devices[1])
        old, new = (self.cells(cells.buffer) / unit for cells in (self.before, self.after))
        return (0.0 * old if getattr(device, "no_buffer", False) else old), new

    def _can_have_been_kept(self, limit: float) -> Array:
        """Return which buffers can have come about without a pulse."""
        old, new = self._buffers()
        slack = 10.0 * ROUNDING * (1.0 + abs(old) + abs(new))
        return np.asarray((abs(new) < 1.0 + slack) & (abs(new - old) <= limit + slack))

    def _can_have_been_pulsed(self, limit: float) -> Array:
        """Return which buffers can be what was left by a pulse."""
        old, new = self._buffers()
        slack = 10.0 * ROUNDING * (1.0 + abs(old) + abs(new))
        momentum = min(max(self.device.momentum, 0.0), 1.0)
        if self.device.forget_buffer and momentum == 0.0:
            return np.asarray((new == 0.0) & (abs(old) + limit >= 1.0 - slack))
        # What the buffer was before the pulse, for an up or a down pulse.
        if self.device.forget_buffer:
            omegas = [new / momentum]
            slack = slack / momentum
        else:
            omegas = [new + sign * (1.0 - momentum) for sign in (-1.0, 1.0)]
        possible = np.zeros(len(new), dtype=bool)
        for omega in omegas:
            possible |= (abs(omega) >= 1.0 - slack) & (abs(omega - old) <= limit + slack)
        return possible
