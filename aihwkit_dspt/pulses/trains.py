"""Pulse trains: how many pulses a vector gets, and with which probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from aihwkit.simulator.parameters.training import UpdateParameters
from numpy.typing import NDArray

from aihwkit_dspt import fused

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
        n_vectors, single = len(x_max), np.float32
        scales = np.empty(n_vectors, single), np.empty(n_vectors, single)
        trains = Trains(np.empty(n_vectors, np.int64), *scales)
        rates = np.array([rate], single)
        fused.trains_cpu.trains_of(x_max, d_max, rates, self.numbers(step), *trains)
        return trains

    def numbers(self, step: float) -> NDArray[np.float64]:
        """Return what :func:`~aihwkit_dspt.fused.trains_cpu.train_of` takes as the law.

        The most slots, whether these are fixed and managed, whether probabilities are shared out,
        the factor of the row inputs, and the granularity.
        """
        managements = self.fixed_bl, self.update_bl_management, self.update_management
        return np.array([self.desired_bl, *managements, self.um_grad_scale, step], np.float64)
