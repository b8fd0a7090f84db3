"""Steps that are linear in the weight: constant, linear and soft-bounds devices."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from aihwkit_dspt.devices.base import Response


@dataclass(frozen=True)
class LinearResponse(Response):
    r"""Response of ConstantStep, LinearStep, SoftBounds, SoftBoundsPmax, SoftBoundsReference.

    .. math::

        q_+(w) = u_0 + u_1 w, \qquad q_-(w) = d_0 + d_1 w

    This is the paper's linear device (103): :math:`u_0 = a_p`, :math:`u_1 = -a_p/\tau_{max}`,
    :math:`d_0 = a_m`, :math:`d_1 = a_m/\tau_{min}`. A reference shifts the weight, which changes
    :math:`u_0` and :math:`d_0` only. The standard deviation of the cycle-to-cycle noise is linear
    too: constant if it is additive, proportional to the step if it is multiplicative.
    """

    up_0: Tensor
    """:math:`u_0`, dimensionless ``[out_size, in_size]``."""

    up_1: Tensor
    """:math:`u_1`, per weight unit."""

    down_0: Tensor
    """:math:`d_0`, dimensionless."""

    down_1: Tensor
    """:math:`d_1`, per weight unit."""

    noise_up_0: Tensor
    """Cycle-to-cycle noise of an up pulse at weight 0, in units of ``dw_min``."""

    noise_up_1: Tensor
    """Its slope, per weight unit."""

    noise_down_0: Tensor
    """Cycle-to-cycle noise of a down pulse at weight 0, in units of ``dw_min``."""

    noise_down_1: Tensor
    """Its slope, per weight unit."""

    def q_plus(self, weights: Tensor) -> Tensor:
        return self.up_0 + self.up_1 * weights

    def q_minus(self, weights: Tensor) -> Tensor:
        return self.down_0 + self.down_1 * weights

    def dq_plus(self, weights: Tensor) -> Tensor:
        return self.up_1.expand_as(weights)

    def dq_minus(self, weights: Tensor) -> Tensor:
        return self.down_1.expand_as(weights)

    def sigma_plus(self, weights: Tensor) -> Tensor:
        return (self.noise_up_0 + self.noise_up_1 * weights).abs()

    def sigma_minus(self, weights: Tensor) -> Tensor:
        return (self.noise_down_0 + self.noise_down_1 * weights).abs()

    def zero(self) -> Tensor:
        r"""Return where :math:`G` vanishes, ``nan`` or infinite where it does not.

        .. math:: w = (u_0 - d_0) / (d_1 - u_1)

        With (103) this is :math:`(a_p - a_m) / (a_p/\tau_{max} + a_m/\tau_{min})`.
        """
        return (self.up_0 - self.down_0) / (self.down_1 - self.up_1)
