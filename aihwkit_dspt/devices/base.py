"""What one pulse does to one cell, as a function of its weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from torch import Tensor

ResponseT = TypeVar("ResponseT", bound="Response")


@dataclass(frozen=True)
class Response(ABC):
    r"""Response functions of an array, one value per cell (paper, section 1).

    An up pulse moves the weight by :math:`+\Delta w_{min} q_+(w)`, a down pulse by
    :math:`-\Delta w_{min} q_-(w)`. Both are means over the cycle-to-cycle noise, whose standard
    deviations are :attr:`sigma_plus` and :attr:`sigma_minus`. Nothing is clipped: outside of
    ``[w_min, w_max]`` the formulas of the device are continued (and may give ``nan``).

    All functions take weights ``[out_size, in_size]`` in the units that the tile reports, that
    is after a reference was subtracted, and return ``[out_size, in_size]`` in double precision.
    """

    dw_min: float
    r""":math:`\Delta w_{min}` of the device configuration, in weight units."""

    w_min: Tensor
    """Lower bound of each cell ``[out_size, in_size]``, in reported weight units."""

    w_max: Tensor
    """Upper bound of each cell ``[out_size, in_size]``, in reported weight units."""

    @abstractmethod
    def q_plus(self, weights: Tensor) -> Tensor:
        r"""Return :math:`q_+(w)`, the mean size of an up pulse in units of ``dw_min``."""

    @abstractmethod
    def q_minus(self, weights: Tensor) -> Tensor:
        r"""Return :math:`q_-(w)`, the mean size of a down pulse in units of ``dw_min``."""

    @abstractmethod
    def dq_plus(self, weights: Tensor) -> Tensor:
        r"""Return :math:`q_+'(w)`, per weight unit (right-hand derivative at a kink)."""

    @abstractmethod
    def dq_minus(self, weights: Tensor) -> Tensor:
        r"""Return :math:`q_-'(w)`, per weight unit (right-hand derivative at a kink)."""

    @abstractmethod
    def sigma_plus(self, weights: Tensor) -> Tensor:
        """Return the cycle-to-cycle standard deviation of an up pulse in units of ``dw_min``."""

    @abstractmethod
    def sigma_minus(self, weights: Tensor) -> Tensor:
        """Return the cycle-to-cycle standard deviation of a down pulse in units of ``dw_min``."""

    # F, G and G' are the paper's names.
    def F(self, weights: Tensor) -> Tensor:  # noqa: N802
        r"""Return the symmetric part :math:`F(w) = (q_-(w) + q_+(w)) / 2` (paper, 6a)."""
        return (self.q_minus(weights) + self.q_plus(weights)) / 2

    def G(self, weights: Tensor) -> Tensor:  # noqa: N802
        r"""Return the asymmetric part :math:`G(w) = (q_-(w) - q_+(w)) / 2` (paper, 6b)."""
        return (self.q_minus(weights) - self.q_plus(weights)) / 2

    def dG_dw(self, weights: Tensor) -> Tensor:  # noqa: N802
        r"""Return :math:`G'(w)`, per weight unit."""
        return (self.dq_minus(weights) - self.dq_plus(weights)) / 2

    @property
    def n_segments(self) -> int:
        """Number of equal parts of the range in which G is looked at for a change of sign."""
        return 64

    def at_fraction(self, fraction: float) -> Tensor:
        """Return the weights at ``fraction`` of each cell's range, exact at 0 and 1."""
        return self.w_min * (1.0 - fraction) + self.w_max * fraction

    def cells(self: ResponseT, index: Tensor) -> ResponseT:
        """Return the response of ``[n]`` cells, by flat indices or a flat mask, as vectors."""
        shape = self.w_min.shape
        chosen: dict[str, Any] = {
            field.name: value.flatten()[index]
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor) and value.shape == shape
        }
        return replace(self, **chosen)


@dataclass(frozen=True)
class ScaledResponse(Response):
    """Response whose steps, and their noise, scale with the size of each cell's pulses."""

    scale_up: Tensor
    """:math:`s_+`, dimensionless ``[out_size, in_size]``."""

    scale_down: Tensor
    """:math:`s_-`, dimensionless ``[out_size, in_size]``."""

    noise: float
    """``dw_min_std``: cycle-to-cycle noise relative to the step."""

    def _alive(self) -> Tensor:
        return self.w_max > self.w_min

    def sigma_plus(self, weights: Tensor) -> Tensor:  # noqa: D102
        return self.noise * self.q_plus(weights).abs()

    def sigma_minus(self, weights: Tensor) -> Tensor:  # noqa: D102
        return self.noise * self.q_minus(weights).abs()
