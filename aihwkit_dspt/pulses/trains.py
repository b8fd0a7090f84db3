"""Pulse trains: how many pulses a vector gets, and with which probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from aihwkit.simulator.parameters.training import UpdateParameters
from numpy.typing import NDArray

Singles = NDArray[np.float32]


class Trains(NamedTuple):
    """The trains of vectors, ``[n_vectors]`` values each."""

    lengths: NDArray[np.int64]
    """Slots of a train, in each of which a line may have a pulse."""

    x_scale: Singles
    """Probability of a pulse per unit of a column input."""

    d_scale: Singles
    """Probability of a pulse per unit of a row input."""


@dataclass(frozen=True)
class TrainLaw:
    r"""How aihwkit makes stochastic pulse trains of a vector pair.

    A train has :math:`BL` slots. In each of them a column has a pulse with the probability
    :math:`\min(B |x_j|, 1)` and a row with :math:`\min(A |d_i|, 1)`; where they coincide, the cell
    takes a pulse. Without management :math:`A = B = \sqrt{\lambda / (\delta\, BL)}`, so that
    :math:`\lambda |x_j d_i| / \delta` pulses are expected as long as no probability is above 1.

    Bit-line management takes :math:`BL = \lceil \lambda\, x_{max} d_{max} / \delta \rceil`, at most
    ``desired_bl``; update management shares :math:`A` and :math:`B` out so that the largest input
    and the largest error have equal probabilities. All of it is in single precision.
    Source: ``PulsedUpdateMetaParameter`` of aihwkit's ``rpu_pulsed_meta_parameter.cpp``.
    """

    desired_bl: int
    fixed_bl: bool
    update_bl_management: bool
    update_management: bool
    um_grad_scale: float

    @classmethod
    def of(cls, update: UpdateParameters) -> TrainLaw:
        """Return the law of update parameters; later changes of these have no effect."""
        return cls(
            int(update.desired_bl),
            update.fixed_bl,
            update.update_bl_management,
            update.update_management or update.update_bl_management,
            update.um_grad_scale,
        )

    def trains(self, x_max: Singles, d_max: Singles, rate: float, step: float) -> Trains:
        r"""Return the trains of vectors.

        Args:
            x_max: ``[n_vectors]`` largest size of the column inputs.
            d_max: ``[n_vectors]`` largest size of the row inputs.
            rate: learning rate :math:`\lambda`.
            step: granularity :math:`\delta`, in weight units.
        """
        number = np.float32
        length, scale = self._unmanaged(rate, step)
        lengths = np.full(len(x_max), length, np.int64)
        row, column = np.full(len(x_max), scale, number), np.full(len(x_max), scale, number)
        if not self.update_management:
            return Trains(lengths, column, row)
        # Vectors of zeros and of what is no number have no pulses.
        inside = (x_max > 0.0) & (d_max > 0.0)
        x_value = np.where(inside, x_max, number(1.0))
        d_value = np.where(inside, number(self.um_grad_scale) * d_max, number(1.0))
        wanted = number(rate) * x_value * d_value / number(step)
        if self.update_bl_management:
            lengths = np.minimum(np.ceil(wanted), self.desired_bl).astype(np.int64)
            shared = number(rate) / (number(step) * np.maximum(lengths, 1).astype(number))
            row = column = np.sqrt(shared)
        most = number(self.desired_bl)
        d_value = d_value * (most / np.maximum(wanted, most))
        lengths = np.where(inside, lengths, 0)
        return Trains(
            lengths, column * np.sqrt(d_value / x_value), row * np.sqrt(x_value / d_value)
        )

    def _unmanaged(self, rate: float, step: float) -> tuple[int, np.float32]:
        """Return ``BL`` and ``A = B`` without management."""
        number = np.float32
        length, whole = self.desired_bl, number(rate) / number(step)
        if not (self.fixed_bl or self.update_bl_management) and whole > length:
            return max(int(np.ceil(whole)), 1), number(1.0)
        return length, np.sqrt(whole / number(length))
