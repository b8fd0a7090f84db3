"""When a link starts to write, and how long a chopper phase may last."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TransferTiming:
    """What happens in which sweep over the fast array."""

    first_sweep: int
    """Full sweeps that are over before pulses go to the slow array; before that, reads go into the
    buffer and the estimate only."""

    ends_phases: bool
    """Whether random choppers also flip when a period is over, so that no phase gets longer."""

    @classmethod
    def agad(cls, period: int, takes_reference_at_once: bool) -> TransferTiming:
        """Return the timing of aihwkit's C++ ``DynamicTransferRPUDevice``.

        Args:
            period: chopper period in sweeps.
            takes_reference_at_once: whether the reference follows each read; else pulses wait until
                the first reference has been taken, which is used in the sweep after the period.
        """
        return cls(0 if takes_reference_at_once else period + 1, True)

    @classmethod
    def printed(cls) -> TransferTiming:
        """Return the timing of Algorithms 2 and 3 as they are printed."""
        return cls(0, False)

    def writes(self, sweep: int) -> bool:
        """Return whether an event after ``sweep`` full sweeps sends pulses to the slow array."""
        return sweep >= self.first_sweep
