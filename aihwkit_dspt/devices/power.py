"""Steps that are a power of the distance to the bound."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aihwkit_dspt.devices.base import ScaledResponse


@dataclass(frozen=True)
class PowResponse(ScaledResponse):
    r"""Response of PowStepDevice and PowStepReferenceDevice.

    .. math::

        q_+(w) = s_+ \left(\frac{w_{max} - w}{w_{max} - w_{min}}\right)^{\gamma_{up}}, \quad
        q_-(w) = s_- \left(\frac{w - w_{min}}{w_{max} - w_{min}}\right)^{\gamma_{down}}

    Outside of the bounds this is ``nan``, as in aihwkit. A cell whose bounds coincide takes no
    pulses.
    """

    gamma_up: Tensor
    """Exponent of the up pulses ``[out_size, in_size]``."""

    gamma_down: Tensor
    """Exponent of the down pulses ``[out_size, in_size]``."""

    def _width(self) -> Tensor:
        return torch.where(self._alive(), self.w_max - self.w_min, 1.0)

    def q_plus(self, weights: Tensor) -> Tensor:
        distance = (self.w_max - weights) / self._width()
        return torch.where(self._alive(), self.scale_up * distance**self.gamma_up, 0.0)

    def q_minus(self, weights: Tensor) -> Tensor:
        distance = (weights - self.w_min) / self._width()
        return torch.where(self._alive(), self.scale_down * distance**self.gamma_down, 0.0)

    def dq_plus(self, weights: Tensor) -> Tensor:
        distance = (self.w_max - weights) / self._width()
        slope = -self.scale_up * self.gamma_up * distance ** (self.gamma_up - 1.0) / self._width()
        return torch.where(self._alive(), slope, 0.0)

    def dq_minus(self, weights: Tensor) -> Tensor:
        distance = (weights - self.w_min) / self._width()
        power = distance ** (self.gamma_down - 1.0)
        slope = self.scale_down * self.gamma_down * power / self._width()
        return torch.where(self._alive(), slope, 0.0)
