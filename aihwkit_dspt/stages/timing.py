"""When a link starts to write, and when phases of the chopper end."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

MOST_GAIN = 4.0
"""Most that increments of the buffer are larger in the first sweeps."""

START_SWEEPS = 12
"""Sweeps of the faster start of gradient pulses."""


@dataclass(frozen=True)
class TransferTiming:
    """What happens in which sweep over the fast array."""

    period: int
    """Sweeps in a phase of the chopper."""

    first_sweep: int = 0
    """Full sweeps that are over before pulses go to the slow array; before that, reads go into the
    buffer and the estimate only."""

    ends_phases: bool = True
    """Whether random choppers also flip when a period is over, so that no phase gets longer."""

    settles: bool = False
    """Whether phases end after 2, 4, 8, ... sweeps until they are as long as the period."""

    alternates: bool = False
    """Whether the first signs of a regular chopper alternate from line to line. Until the reference
    has followed, the residual is the way of the fast array to its symmetric points, for the most
    part. With equal signs it adds up over the inputs of a layer; with alternating ones it does
    not."""

    anneal_sweeps: float = 0.0
    """The sweep in which increments of the buffer are as given: they fall with the square root of
    the number of sweeps; 0 for increments that stay."""

    @classmethod
    def agad(cls, period: int, takes_reference_at_once: bool) -> TransferTiming:
        """Return the timing of aihwkit's C++ ``DynamicTransferRPUDevice``.

        Args:
            period: chopper period in sweeps.
            takes_reference_at_once: whether the reference follows each read; else pulses wait until
                the first reference has been taken, which is used in the sweep after the period.
        """
        return cls(period, 0 if takes_reference_at_once else period + 1)

    @classmethod
    def printed(cls, period: int) -> TransferTiming:
        """Return the timing of Algorithms 2 and 3 as they are printed."""
        return cls(period, ends_phases=False)

    @classmethod
    def from_first_sweep(cls, period: int) -> TransferTiming:
        """Return the timing that writes at once and takes the reference while it settles."""
        return cls(period, settles=True, alternates=True)

    def writes(self, sweep: int) -> bool:
        """Return whether an event after ``sweep`` full sweeps sends pulses to the slow array."""
        return sweep >= self.first_sweep

    def gain(self, sweep: int, target_scale: float = 1.0) -> float:
        r"""Return the factor of the buffer's increments after ``sweep`` full sweeps.

        .. math:: \min\left(\frac{1}{\gamma_n} \sqrt{\frac{K}{k}}, 4\right)

        in the :math:`k`-th sweep, with the sweep :math:`K` in which transfers to the slowest array
        are as given, and the weight :math:`\gamma_n` of the array that is written. So the noise
        that they leave falls, while their sum has no bound: what is to be learned is reached. An
        array that joins a chain goes on with steps of the weight in use as large as those before.

        Args:
            sweep: full sweeps over the fast array that are over.
            target_scale: :math:`\gamma_n`, 1 for the slowest array.
        """
        if self.anneal_sweeps == 0.0:
            return 1.0
        return min(sqrt(self.anneal_sweeps / (sweep + 1)), MOST_GAIN * target_scale) / target_scale

    def start(self, sweep: int) -> float:
        """Return how much of the faster start of gradient pulses is left after ``sweep`` sweeps.

        It falls from 1 to 0 in the first 12 sweeps where phases settle, see
        :class:`~aihwkit_dspt.tiles.learning_rates.FastLearningRate`.
        """
        return max(1.0 - sweep / START_SWEEPS, 0.0) if self.settles else 0.0

    def ends_phase(self, sweep: int) -> bool:
        """Return whether a phase of a regular chopper ends with the sweep after ``sweep`` ones."""
        n_sweeps = sweep + 1
        if self.settles and n_sweeps < self.period:
            # Not after the first: the second says whether all cells went the same way.
            return n_sweeps > 1 and n_sweeps & (n_sweeps - 1) == 0
        return n_sweeps % self.period == 0
