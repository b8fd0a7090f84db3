"""Learning rates of the fast array and of the transfer, in aihwkit's C++ meaning."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Dict, Mapping, Optional, Tuple

from numpy import float32

from aihwkit_dspt.configs.compound import TrackingTransferCompound

FASTEST, FAST = 5.0, 0.15
"""Most that learning rates are multiplied with at the start, and up to which learning rate."""


class FastLearningRate:
    r"""Learning rate :math:`\alpha` of the gradient pulses on the fast array.

    ``fast_lr``, times the SGD learning rate if ``scale_fast_lr``; the SGD learning rate itself
    if ``fast_lr`` is 0. With ``auto_scale``

    .. math:: \alpha = \mathtt{fast\_lr}\; BL\, \Delta w_{min} / \max(m_x\, m_d, S / L), \qquad
              S = \sum_v \overline{|x_v|}\; \overline{|d_v|}

    where :math:`m_x, m_d` are running averages of :math:`\max|x|` and :math:`\max|d|`, :math:`S`
    is a sum over the vectors of a batch (of a part of it, times the number of such parts) and
    :math:`L` is ``auto_scale_limit``; with 0, as in aihwkit, :math:`S` does not count. A maximum
    of zero is not averaged in, nor one that is not finite, of which an average would never recover.
    In the first sweeps :math:`\mathtt{fast\_lr}` is multiplied with

    .. math:: \max\left(\min(5, 0.15 / \mathtt{lr})\; k, \min(5, 1 / s), 1\right)

    where ``lr`` is the learning rate of the SGD, :math:`k` is what is left of the start and
    :math:`s` is the share of transfers (:class:`~aihwkit_dspt.stages.settling.Settling`);
    :math:`L` stays as it is. So the fast array is the sooner at its symmetric points, and what it
    tells with a small learning rate is more than the noise of a read.
    Arithmetic is in single precision like the simulator's, since a pulse more or less hangs on
    the last bit.

    Args:
        config: the compound.
        granularity: weight granularity of the fast device.
        desired_bl: pulse train length of the gradient update.

    Attributes:
        start: how much of the faster start is left, see
            :meth:`~aihwkit_dspt.stages.timing.TransferTiming.start`.
        share: share of transfers.
        m_x: running average of the largest input.
        m_d: running average of the largest error.
        current: the learning rate used last.
        auto_scales: whether the learning rate depends on the inputs.
        rest: one minus the momentum of the averages.
    """

    def __init__(
        self, config: TrackingTransferCompound, granularity: float, desired_bl: int
    ) -> None:
        self.config = config
        self.auto_scales = bool(config.auto_scale and config.fast_lr > 0.0)
        self.start = 0.0
        self.share = 1.0
        self.rest = float32(1.0) - float32(config.auto_momentum)
        self.desired_bl = desired_bl
        self.m_x = float32(0.0)
        self.m_d = float32(0.0)
        self.current = float32(1.0)
        self._observed = self.m_x, self.m_d
        self._summed = float32(0.0)
        self._last: Optional[Tuple[float, float32]] = None
        self.set_granularity(granularity)

    def set_granularity(self, granularity: float) -> None:
        """Follow the granularity of the fast device, in weight units."""
        self.base = float32(self.config.fast_lr) * (float32(self.desired_bl) * float32(granularity))
        self._last = None

    def _average(self, old: float32, new: float32, m_batch: float) -> float32:
        if not 0.0 < new < inf:
            return old
        if not 0.0 < old < inf:
            return new
        tau = self.rest / float32(m_batch)
        return (float32(1.0) - tau) * old + tau * new

    def observe(self, x_max: float, d_max: float, m_batch: float, product: float = 0.0) -> None:
        """Average in the largest absolute input and error of one vector pair of a batch.

        Means over several vector pairs count as one of ``m_batch`` parts of that size. The learning
        rate follows at once, the averages with :meth:`keep`.

        Args:
            x_max: largest size of an input.
            d_max: largest size of an error.
            m_batch: how many such parts the batch has.
            product: sum over the vector pairs of the part of the mean size of their products.
        """
        self._summed = float32(product) * float32(m_batch)
        self._observed = (
            self._average(self.m_x, float32(x_max), m_batch),
            self._average(self.m_d, float32(d_max), m_batch),
        )

    def keep(self) -> partial[None]:
        """Return the call that keeps the averages with the vector pair that was observed last.

        It is made in one go with the pulses of that vector pair.
        """
        m_x, m_d = self._observed
        return partial(vars(self).update, m_x=m_x, m_d=m_d)

    def numbers(self, learning_rate: float) -> Tuple[float, ...]:
        r"""Return what the learning rates of vectors follow from.

        :math:`\mathtt{fast\_lr}\, BL\, \Delta w_{min}`, the learning rate of the SGD if it counts
        (else 1), one minus the momentum, the averages and ``auto_scale_limit``.
        """
        scale = learning_rate if self.config.scale_fast_lr else 1.0
        base, limit = self._at_start(scale)
        numbers = float(base), scale, float(self.rest), float(self.m_x), float(self.m_d)
        return (*numbers, float(limit))

    def _at_start(self, scale: float) -> Tuple[float32, float32]:
        """Return the rate of the largest product, and the limit in units of that.

        Args:
            scale: the learning rate of the SGD if it counts, else 1.
        """
        limit = float32(self.config.auto_scale_limit)
        if (self.start == 0.0 and self.share == 1.0) or scale == 0.0:
            return self.base, limit
        of_start = min(FASTEST, FAST / abs(scale)) * self.start
        factor = float32(max(of_start, min(FASTEST, 1.0 / self.share), 1.0))
        return self.base * factor, limit / factor

    def keep_last(self, current: float, m_x: float, m_d: float) -> partial[None]:
        """Return the call that keeps the last rate and averages that somebody else has found."""
        kept = {"current": float32(current), "m_x": float32(m_x), "m_d": float32(m_d)}
        return partial(vars(self).update, kept, _observed=(kept["m_x"], kept["m_d"]))

    def __call__(self, learning_rate: float) -> float:
        """Return the fast learning rate for the given SGD learning rate."""
        # It seldom changes, and arithmetic on NumPy's numbers takes longer than a comparison.
        if self._last is None or self._last[0] != learning_rate or self.auto_scales:
            self._last = learning_rate, self._value(learning_rate)
        self.current = self._last[1]
        return float(self.current)

    def _value(self, learning_rate: float) -> float32:
        value = float32(learning_rate)
        if self.config.fast_lr > 0.0:
            scale = value if self.config.scale_fast_lr else float32(1.0)
            base, limit = self._at_start(float(scale))
            value = base if self.auto_scales else float32(self.config.fast_lr)
            m_x, m_d = self._observed
            if self.auto_scales and m_x > 0.0 and m_d > 0.0:
                unit = m_x * m_d
                if 0.0 < limit * unit < self._summed < inf:
                    unit = self._summed / limit
                value = value / unit
            value = value * scale
        return value

    def after_start(self, learning_rate: float) -> float:
        """Return the rate of the last update as it will be when the faster start is over.

        Args:
            learning_rate: that of the SGD.
        """
        unit = float(self.m_x * self.m_d)
        if not self.auto_scales or not unit > 0.0:
            return float(self.current)
        scale = learning_rate if self.config.scale_fast_lr else 1.0
        return min(float(self.current), float(self.base) * scale / unit, key=abs)

    def state(self) -> Dict[str, float]:
        """Return the running averages."""
        return {name: float(getattr(self, name)) for name in ("m_x", "m_d", "current")}

    def load_state(self, state: Mapping[str, float]) -> None:
        """Set the running averages."""
        for name, value in state.items():
            setattr(self, name, float32(value))
        self._observed = self.m_x, self.m_d
        self._last = None


class TransferLearningRate:
    r"""Buffer increment, in pulses, per weight unit of the residual: paper's :math:`\beta`.

    .. math:: \beta = \mathtt{transfer\_lr}\,[\lambda] / g, \qquad
              g = \mathtt{buffer\_granularity}\; \Delta w_{min}\,
              [\mathtt{auto\_granularity} / (n\, \mathtt{transfer\_every})]

    with the SGD learning rate :math:`\lambda` if ``scale_transfer_lr``, or its ratio to the largest
    so far if ``transfer_lr_follows_schedule``, and the number :math:`n` of transfer events in a
    full sweep; ``sweep_every`` takes the place of :math:`n\, \mathtt{transfer\_every}`.
    ``correct_gradient_magnitudes`` divides by the fast learning rate and by the ratio of the
    granularities.

    Args:
        config: the compound.
        fast_granularity: weight granularity of the fast device.
        slow_granularity: weight granularity of the slow device.
        events_per_sweep: transfer events in a full sweep over the array.

    Attributes:
        largest_lr: the largest SGD learning rate that was used so far.
        version: number that changes with the settings that increments depend on.
    """

    def __init__(
        self,
        config: TrackingTransferCompound,
        fast_granularity: float,
        slow_granularity: float,
        events_per_sweep: int,
    ) -> None:
        self.config = config
        self.corrects_accumulation = config.experimental_correct_accumulation
        self.events_per_sweep = events_per_sweep
        self.largest_lr = float32(0.0)
        self.version = 0
        self._last_target: Optional[Tuple[float, float32]] = None
        self.set_granularities(fast_granularity, slow_granularity)

    def set_granularities(self, fast_granularity: float, slow_granularity: float) -> None:
        """Follow the granularities of both devices, in weight units."""
        config = self.config
        fast = float32(fast_granularity)
        granularity = float32(config.buffer_granularity or 1.0)
        if config.auto_granularity > 0.0 and (config.transfer_every or config.sweep_every) != 0.0:
            period = float32(self.events_per_sweep) * float32(abs(config.transfer_every))
            if config.sweep_every > 0.0:
                period = float32(config.sweep_every)
            granularity = granularity * (fast * float32(config.auto_granularity) / period)
        else:
            granularity = granularity * fast
        if config.correct_gradient_magnitudes:
            granularity = granularity * (float32(slow_granularity) / fast)
        self.granularity = granularity
        self.accumulation_cap = float32(1.0) / fast
        self.version += 1
        self._last: Optional[Tuple[object, float]] = None

    def set_largest(self, learning_rate: float) -> None:
        """Take over the largest SGD learning rate so far."""
        self.largest_lr = float32(learning_rate)
        self._last = self._last_target = None
        self.version += 1

    def is_on(self, learning_rate: float) -> bool:
        """Return whether anything is transferred at the given SGD learning rate."""
        last = self._last_target  # asked in every step
        if last is not None and last[0] == learning_rate:
            return bool(last[1])
        return bool(self.to_target(learning_rate))

    def to_target(self, learning_rate: float) -> float32:
        r"""Return ``transfer_lr`` :math:`[\lambda]`, in weight units per unit of the residual."""
        if self._last_target is None or self._last_target[0] != learning_rate:
            self._last_target = learning_rate, self._to_target(learning_rate)
        return self._last_target[1]

    def _to_target(self, learning_rate: float) -> float32:
        value = float32(self.config.transfer_lr)
        rate = abs(float32(learning_rate))
        if self.config.scale_transfer_lr:
            value = value * rate
        elif self.config.transfer_lr_follows_schedule and rate > 0.0:
            value = value * (rate / max(self.largest_lr, rate))
        return value

    def __call__(self, learning_rate: float, fast_lr: float32, sample: int) -> float:
        """Return the increment per weight unit.

        Args:
            learning_rate: SGD learning rate.
            fast_lr: fast learning rate used last.
            sample: number of the read within the chopper period, from 1.
        """
        key = learning_rate, fast_lr, sample if self.corrects_accumulation else 0
        if self._last is None or self._last[0] != key:
            self._last = key, self._value(learning_rate, fast_lr, sample)
        return self._last[1]

    def _value(self, learning_rate: float, fast_lr: float32, sample: int) -> float:
        value = self.to_target(learning_rate)
        if self.config.correct_gradient_magnitudes:
            value = value / fast_lr
        value = value / self.granularity
        if self.corrects_accumulation:
            value = value / min(float32(sample), self.accumulation_cap)
        return float(value)
