"""Estimators of the symmetric point, one class each, and their table."""

from __future__ import annotations

from typing import Dict, Type

from torch import Tensor, dtype, zeros

from aihwkit_dspt.stages.adaptive import AdaptiveGain
from aihwkit_dspt.stages.estimator import SymmetricPointEstimator


class LowPassFilter(SymmetricPointEstimator):
    r"""The paper's filter of first order.

    .. math:: Q \leftarrow (1 - \eta)\, Q + \eta\, P

    Without chopping :math:`P` carries the gradient; chopping moves the gradient to high
    frequency and leaves the drift towards the symmetric point at low frequency, where the
    filter :math:`|H(e^{j\omega})|^2 = \eta^2 / (1 + (1-\eta)^2 - 2(1-\eta)\cos\omega)` passes it.

    Source: paper eq. (12), Lemma 3.10, Algorithms 2 and 3.
    """

    def update(self, lines: slice, read: Tensor) -> None:
        """Filter the ``[n_lines, out_size]`` read of the given lines into the estimate."""
        self.sp_estimate[lines].mul_(1.0 - self.eta).add_(read * self.eta)


class RunningMean(SymmetricPointEstimator):
    r"""The mean of all reads, until its step is as small as the filter's.

    .. math:: Q \leftarrow Q + \eta_k\, (P - Q), \qquad \eta_k = \max(1/k, \eta)

    for the :math:`k`-th read of a line. For a symmetric point that stays where it is,
    :math:`1/k` is the gain of the least error; the floor :math:`\eta` follows one that moves.

    Attributes:
        n_reads: ``[in_size]`` reads :math:`k` of each line so far.
    """

    def __init__(self, in_size: int, out_size: int, eta: float, data_type: dtype) -> None:
        super().__init__(in_size, out_size, eta, data_type)
        self.n_reads: Tensor
        self.register_buffer("n_reads", zeros(in_size, dtype=data_type))

    def update(self, lines: slice, read: Tensor) -> None:
        """Average the ``[n_lines, out_size]`` read of the given lines into the estimate."""
        self.n_reads[lines] += 1.0
        gain = (1.0 / self.n_reads[lines]).clamp_(min=self.eta).unsqueeze(1)
        self.sp_estimate[lines] += gain * (read - self.sp_estimate[lines])

    def set_points(self, points: Tensor) -> None:
        r"""Take over known symmetric points, which count as :math:`1/\eta` reads."""
        super().set_points(points)
        self.n_reads.fill_(1.0 / self.eta)


ESTIMATORS: Dict[str, Type[SymmetricPointEstimator]] = {
    "low-pass": LowPassFilter,
    "running-mean": RunningMean,
    "adaptive": AdaptiveGain,
}
"""Name -> class, to choose from."""
