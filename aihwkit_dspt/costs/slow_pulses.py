"""How many pulses a C++ compound sent to its slow array, from its state before and after."""

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import torch
from aihwkit.simulator.configs.compounds import BufferedTransferCompound, DynamicTransferCompound
from aihwkit.simulator.configs.devices import PulsedDevice
from aihwkit.simulator.parameters.enums import RPUDataType
from numpy import float32

from aihwkit_dspt.configs.compound import chop_period
from aihwkit_dspt.costs.compound_state import Array, CompoundCells, CompoundClock, line_of
from aihwkit_dspt.devices.responses import response
from aihwkit_dspt.tiles.learning_rates import TransferLearningRate

ROUNDING = 1e-6
"""Some rounding errors of single precision, relative."""


def granularity(device: Any) -> float:
    """Return the weight granularity of a device, in weight units."""
    return float(device.as_bindings(RPUDataType.FLOAT).calc_weight_granularity())


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
        return self._from_the_weights()

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

    def _from_the_weights(self) -> Optional[int]:
        """Return the pulses of TT-v2, which keeps no trace of its reads.

        With at most one pulse per transfer, sent for certain (``desired_bl=1``, ``step=1``), those
        cells got one that moved. One that did not move got none, unless it rests at a bound or on a
        dead device and its buffer looks emptied.
        """
        device = self.device
        certain = device.transfer_update.desired_bl == 1 and device.step >= 1.0
        if not certain or not isinstance(device.unit_cell_devices[1], PulsedDevice):
            return None
        old, new = self.cells(self.before.slow), self.cells(self.after.slow)
        moved = old != new
        if bool((~moved & self._can_rest(old) & self._looks_emptied()).any()):
            return None
        return int(moved.sum())

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
        rests: Array = ((steps <= least) | (reach <= least)).numpy()
        return rests

    def _looks_emptied(self) -> Array:
        """Return whose buffer can be what is left after a pulse."""
        device, left = self.device, abs(self.cells(self.after.buffer))
        if isinstance(device, BufferedTransferCompound):
            left = left / (device.thres_scale * granularity(device.unit_cell_devices[1]))
        if device.forget_buffer and device.momentum == 0.0:
            emptied: Array = left == 0.0
            return emptied
        return np.asarray(left >= device.momentum * (1.0 - ROUNDING))
