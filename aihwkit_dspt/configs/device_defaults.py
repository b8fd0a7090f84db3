"""Defaults of ``build_config`` and of the presets that follow from the device."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from statistics import mean
from typing import Any, Dict

from aihwkit.simulator.parameters.mapping import MappingParameter

from aihwkit_dspt.devices.simulated import SimulatedNumbers, pulsed_devices

LONGEST_TRAIN = 127
"""Most pulses of one train: with more states, gradients are clipped rather than slow."""

FEW_STATES = 20
"""With fewer, noise asks for smaller rates."""

SOME_STATES = 50
"""With fewer, weights are spread over the range of an array."""

NOISY_WRITES = 0.05
"""With more write noise (a standard deviation in weight units) first weights are lost in it: those
of a layer with 100 inputs have a standard deviation of 0.06."""


@dataclass(frozen=True)
class DeviceDefaults:
    r"""Settings for a device with :math:`n` states.

    ================================  ==============================  ======  ======  =====  ======
    setting                           rule                             n = 4  n = 20  n=200  n=1200
    ================================  ==============================  ======  ======  =====  ======
    ``gamma``                         0.05, below 20 states 0.02        0.02    0.05   0.05    0.05
    ``update.desired_bl``             :math:`n / 40`, from 5 to 127        5       5      5      30
    ``fast_lr``                       :math:`n/(4\,BL)`, at least 3        1       3     10      10
    ``auto_scale_limit``              5 n over BL times ``fast_lr``        4     6.7     20      20
    ``transfer_lr``                   see below                         0.06    0.12   0.04    0.04
    ``anneal_sweeps``                 50, below 20 states 10              10      50     50      50
    ``in_chop_prob``                  0.05, below 20 states 0.0025    0.0025    0.05   0.05    0.05
    ``tail_weightening``              5, below 20 states 1                 1       5      5       5
    ``transfer_update.desired_bl``    :math:`n / 100`, from 1 to 127       1       1      2      12
    ``mapping.weight_scaling_omega``  0, below 50 states 0.4             0.4     0.4      0       0
    ================================  ==============================  ======  ======  =====  ======

    Below 20 states ``fast_lr`` is 1. With a write noise above 0.05 (of aihwkit's presets HfO2, OM,
    ReRamSB and ReRamES) ``weight_scaling_omega`` is 0.4 whatever the number of states.
    ``transfer_lr`` is 0.06, above 100 states 0.04, from 20 to 50 states without such noise 0.12.
    ``docs/defaults.md`` has what was measured (digits; devices from 4 to 1,200 states):

    * ``gamma`` lets the noise of the fast array into the model: with few states the residual is
      little else. It closes the loop of the fast array's steps, too: with 0.3 an LSTM on 1,200
      states swings from one step to the next until it is lost.
    * ``fast_lr`` (with ``auto_scale``): at an SGD learning rate of 0.1 the largest product of a
      batch moves a cell of the fast array by a fortieth of its range at least, or by half a pulse
      below 20 states.
    * ``auto_scale_limit``: at an SGD learning rate of 0.1 a batch sends a cell of the fast array
      through half of its range at most. Without it those of a small ResNet (4,096 pixels) send it
      through its range 5 to 14 times, and what is read then is that of the last few pixels.
    * ``transfer_lr``: in the sweep ``anneal_sweeps`` the slow array takes that share of the
      residual; more where output scales make the same step of the array a smaller one of the
      weight, unless write noise goes with it. Above 100 states a transfer sends several pulses, and
      those of read noise let the slow array drift, to its own symmetric points.
    * ``anneal_sweeps``: with few states the residual is noise for the most part. What its pulses do
      to the slow array at the start is still there after many epochs.
    * ``in_chop_prob``, ``tail_weightening``: a phase has to be longer than cells of the fast array
      remember, and an estimate over a fifth of it is noisier than one over all of it. (With sweeps
      that do not take 64 vectors, phases have 20 sweeps and the estimate a fifth of them.)
    * ``transfer_update.desired_bl``: one transfer can move a slow cell by one percent of its range,
      or by one pulse. ``update_management`` is on, so that all of these pulses are sent: without it
      a train of :math:`BL` pulses sends :math:`\sqrt{BL}` at most, and the buffer forgets the rest.
    * ``weight_scaling_omega``: with learned output scales weights fill more of a range than its
      write noise does. As they are, first weights come back with the standard deviation of the
      noise (OM 0.13, HfO2 0.27) and little else. With few states a pulse and a drift to symmetric
      points are smaller beside such weights.
    """

    gamma: float
    """Residual scale."""

    fast_lr: float
    """Learning rate of the gradient pulses, in the units of ``auto_scale``."""

    auto_scale_limit: float
    """Most that the products of a batch sum up to on average, in units of the largest."""

    transfer_lr: float
    """Learning rate of the transfer."""

    anneal_sweeps: float
    """Sweep in which transfers have that learning rate."""

    in_chop_prob: float
    """Frequency of the chopper: with sweeps of 64 vectors, phases have one over it sweeps."""

    tail_weightening: float
    """Phases over the reads of which the estimate is a mean, as one over their number."""

    desired_bl: int
    """Most pulses of a gradient update."""

    transfer_bl: int
    """Most pulses of a transfer."""

    weight_scaling_omega: float
    """Largest weight after mapping; 0 for weights as they are."""

    @classmethod
    def of(cls, device: object) -> DeviceDefaults:
        """Return the defaults for two arrays of a device; of a unit cell, its mean device counts.

        Raises:
            ConfigError: if it is not a pulsed device.
        """
        parts = [SimulatedNumbers.of(part) for part in pulsed_devices(device)]
        states = mean(part.n_states for part in parts)
        has_few = states < FEW_STATES
        is_noisy = max(part.write_noise for part in parts) > NOISY_WRITES
        needs_scales = states < SOME_STATES or is_noisy
        is_coarse = FEW_STATES <= states < SOME_STATES and not is_noisy
        desired_bl, transfer_bl = _between(5, states / 40.0), _between(1, states / 100.0)
        fast_lr = 1.0 if has_few else _rounded(max(states / (4.0 * desired_bl), 3.0))
        return cls(
            gamma=0.02 if has_few else 0.05,
            fast_lr=fast_lr,
            auto_scale_limit=_rounded(5.0 * states / (desired_bl * fast_lr)),
            transfer_lr=0.12 if is_coarse else 0.06 if transfer_bl == 1 else 0.04,
            anneal_sweeps=10.0 if has_few else 50.0,
            in_chop_prob=0.0025 if has_few else 0.05,
            tail_weightening=1.0 if has_few else 5.0,
            desired_bl=desired_bl,
            transfer_bl=transfer_bl,
            weight_scaling_omega=0.4 if needs_scales else 0.0,
        )

    def of_compound(self) -> Dict[str, Any]:
        """Return the settings of the compound that hold whatever else is chosen."""
        names = ("gamma", "fast_lr", "auto_scale_limit", "transfer_lr", "anneal_sweeps")
        return {name: getattr(self, name) for name in names}

    def phases(self) -> Dict[str, float]:
        """Return the settings of chopper and estimate, for sweeps of 64 vectors."""
        return {"in_chop_prob": self.in_chop_prob, "tail_weightening": self.tail_weightening}

    def mapping(self, n_arrays: int = 2) -> MappingParameter:
        """Return the mapping of weights to the arrays.

        In a chain of more than two, first weights take half as much of the range: finer arrays hold
        what the slowest one cannot, and the rest of the range is room to grow.
        """
        omega = self.weight_scaling_omega / (1.0 if n_arrays == 2 else 2.0)
        return MappingParameter(weight_scaling_omega=omega, learn_out_scaling=omega > 0.0)


def _rounded(value: float) -> float:
    # The bindings are in single precision.
    return float(f"{value:.4g}")


def _between(least: int, wanted: float) -> int:
    return min(max(ceil(_rounded(wanted)), least), LONGEST_TRAIN)
