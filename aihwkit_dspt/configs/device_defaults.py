"""Defaults of ``build_config`` and of the presets that follow from the device."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from statistics import mean
from typing import Any

from aihwkit_dspt.devices.simulated import SimulatedNumbers, pulsed_devices

PAPER_STATES = 2.0 / 0.4622
"""States of the paper's device, aihwkit's ``ReRamArrayHfO2PresetDevice``."""

LONGEST_TRAIN = 127
"""Most pulses of one train: with more states, gradients are clipped rather than slow."""


@dataclass(frozen=True)
class DeviceDefaults:
    r"""Learning rates and pulse trains for a device with range :math:`R` and :math:`n` states.

    The paper's settings for its device (:math:`R = 2`, :math:`n = 4.3`), continued to others:

    ==================================  ====================================  ==================
    setting                             rule                                  paper's device
    ==================================  ====================================  ==================
    ``fast_lr``                         :math:`R / 4`                         0.5
    ``transfer_lr``                     :math:`\min(0.05\, n / 4.3,\ 1)`     0.05
    ``update.desired_bl``               :math:`n / 80`, from 5 to 127         5
    ``transfer_update.desired_bl``      :math:`n / 100`, from 1 to 127        1
    ==================================  ====================================  ==================

    * ``fast_lr`` is in weight units, so the fast array takes the same share of its range for the
      same gradient.
    * ``transfer_lr``: slow pulses come at a rate of ``transfer_lr`` :math:`/ \Delta w_{min}` and
      each adds noise of the size :math:`\Delta w_{min}^2`. ``transfer_lr`` grows as
      :math:`1 / \Delta w_{min}`, so that the noise stays that of the paper's device.
    * The gradient pulses are enough for :math:`|x\, d| = 0.05`; larger products are clipped.
    * One transfer can move a slow cell by one percent of its range, or by one pulse. With a
      single pulse (aihwkit's AGAD) a device with 2000 states would need 2000 sweeps over the array
      to cross its range.
    """

    fast_lr: float
    """Learning rate of the gradient pulses, in weight units."""

    transfer_lr: float
    """Learning rate of the transfer."""

    desired_bl: int
    """Most pulses of a gradient update."""

    transfer_bl: int
    """Most pulses of a transfer."""

    @classmethod
    def of(cls, device: Any) -> DeviceDefaults:
        """Return the defaults for two arrays of a device; of a unit cell, its mean device counts.

        Raises:
            ConfigError: if it is not a pulsed device.
        """
        parts = [SimulatedNumbers.of(part) for part in pulsed_devices(device)]
        states = mean(part.n_states for part in parts)
        return cls(
            fast_lr=_rounded(mean(part.weight_range for part in parts) / 4.0),
            transfer_lr=min(_rounded(0.05 * states / PAPER_STATES), 1.0),
            desired_bl=_between(5, states / 80.0),
            transfer_bl=_between(1, states / 100.0),
        )


def _rounded(value: float) -> float:
    # The bindings are in single precision.
    return float(f"{value:.4g}")


def _between(least: int, wanted: float) -> int:
    return min(max(ceil(_rounded(wanted)), least), LONGEST_TRAIN)
