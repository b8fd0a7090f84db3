"""Steps that saturate exponentially."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aihwkit_dspt.devices.base import ScaledResponse


@dataclass(frozen=True)
class ExpResponse(ScaledResponse):
    r"""Response of ExpStepDevice.

    .. math::

        z = 2 a w / (w_{max} - w_{min}) + b, \quad
        q_+(w) = s_+ \max(1 - A_{up} e^{\gamma_{up} z}, 0), \quad
        q_-(w) = s_- \max(1 - A_{down} e^{-\gamma_{down} z}, 0)

    A cell whose bounds coincide takes no pulses.
    """

    A_up: float
    A_down: float
    gamma_up: float
    gamma_down: float
    a: float
    b: float

    noise_add: float
    """``dw_min_std * dw_min_std_add``, in weight units."""

    noise_slope: float
    """``dw_min_std * dw_min_std_slope``, in weight units per weight unit."""

    def _dz(self) -> Tensor:
        width = self.w_max - self.w_min
        return torch.where(width > 0, 2.0 * self.a / width, 0.0)

    def _up(self, weights: Tensor) -> Tensor:
        return 1.0 - self.A_up * torch.exp(self.gamma_up * (self._dz() * weights + self.b))

    def _down(self, weights: Tensor) -> Tensor:
        return 1.0 - self.A_down * torch.exp(-self.gamma_down * (self._dz() * weights + self.b))

    def q_plus(self, weights: Tensor) -> Tensor:
        return torch.where(self._alive(), self.scale_up * self._up(weights).clamp(min=0.0), 0.0)

    def q_minus(self, weights: Tensor) -> Tensor:
        return torch.where(self._alive(), self.scale_down * self._down(weights).clamp(min=0.0), 0.0)

    def dq_plus(self, weights: Tensor) -> Tensor:
        up = self._up(weights)
        slope = self.scale_up * (up - 1.0) * self.gamma_up * self._dz()
        return torch.where(self._alive() & (up > 0), slope, 0.0)

    def dq_minus(self, weights: Tensor) -> Tensor:
        down = self._down(weights)
        slope = self.scale_down * (1.0 - down) * self.gamma_down * self._dz()
        return torch.where(self._alive() & (down > 0), slope, 0.0)

    def _sigma(self, step: Tensor, weights: Tensor) -> Tensor:
        extra = (self.noise_add + self.noise_slope * weights.abs()) / self.dw_min
        return torch.where(self._alive(), self.noise * step.abs() + extra, 0.0)

    def sigma_plus(self, weights: Tensor) -> Tensor:
        return self._sigma(self.q_plus(weights), weights)

    def sigma_minus(self, weights: Tensor) -> Tensor:
        return self._sigma(self.q_minus(weights), weights)
