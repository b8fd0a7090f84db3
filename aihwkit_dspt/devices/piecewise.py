"""Steps that are interpolated between given nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import torch
from torch import Tensor

from aihwkit_dspt.devices.base import ScaledResponse


@dataclass(frozen=True)
class PiecewiseResponse(ScaledResponse):
    r"""Response of PiecewiseStepDevice.

    .. math::

        q_\pm(w) = s_\pm \left((1 - t) v^\pm_i + t\, v^\pm_{i+1}\right), \quad
        i + t = n\, (w - w_{min}) / (w_{max} - w_{min})

    with :math:`n + 1` nodes at equal distances over the range of each cell. Beyond the outer nodes
    the step stays constant. With a single node, or where the bounds coincide, it is constant
    throughout and equal to the first node.
    """

    nodes_up: Tuple[float, ...]
    """``piecewise_up`` of the device."""

    nodes_down: Tuple[float, ...]
    """``piecewise_down`` of the device."""

    @property
    def n_segments(self) -> int:
        """Number of segments: G is linear inside each, so the nodes show every change of sign."""
        return max(len(self.nodes_up) - 1, 1)

    def _position(self, weights: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Return the left node of each weight, the fraction after it, and nodes per unit."""
        n_segments = len(self.nodes_up) - 1
        alive = self._alive() & (n_segments > 0)
        density = torch.where(alive, n_segments / (self.w_max - self.w_min), 0.0)
        scaled = ((weights - self.w_min) * density).clamp(min=0.0)
        left = scaled.floor().clamp(max=max(n_segments - 1, 0))
        return left.nan_to_num().long(), (scaled - left).clamp(max=1.0), density

    def _interpolate(self, nodes: Tuple[float, ...], scale: Tensor, weights: Tensor) -> Tensor:
        left, fraction, _ = self._position(weights)
        values = scale.new_tensor(nodes + nodes[-1:])
        return scale * ((1.0 - fraction) * values[left] + fraction * values[left + 1])

    def _slope(self, nodes: Tuple[float, ...], scale: Tensor, weights: Tensor) -> Tensor:
        left, _, density = self._position(weights)
        values = scale.new_tensor(nodes + nodes[-1:])
        inside = (weights >= self.w_min) & (weights < self.w_max)
        slope = scale * density * (values[left + 1] - values[left])
        return torch.where(inside, slope, 0.0)

    def q_plus(self, weights: Tensor) -> Tensor:
        return self._interpolate(self.nodes_up, self.scale_up, weights)

    def q_minus(self, weights: Tensor) -> Tensor:
        return self._interpolate(self.nodes_down, self.scale_down, weights)

    def dq_plus(self, weights: Tensor) -> Tensor:
        return self._slope(self.nodes_up, self.scale_up, weights)

    def dq_minus(self, weights: Tensor) -> Tensor:
        return self._slope(self.nodes_down, self.scale_down, weights)
