"""Mean and variance of random affine recursions, any number of steps at once."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from aihwkit_dspt.devices import LinearResponse


class AffineMoments(NamedTuple):
    r"""How steps change the mean :math:`m` and the variance :math:`v` of each cell's weight.

    .. math::

        m' = A m + B, \qquad v' = a v + k_0 + k_1 m + k_2 m^2

    Such maps are closed under composition, so :math:`n` equal steps take :math:`O(\log n)`
    compositions. All fields have one value per cell, in weight units, double precision.
    """

    A: Tensor
    B: Tensor
    a: Tensor
    k_0: Tensor
    k_1: Tensor
    k_2: Tensor

    def apply(self, mean: Tensor, variance: Tensor) -> Tuple[Tensor, Tensor]:
        """Return mean and variance after the step(s)."""
        return self.A * mean + self.B, self.a * variance + self.noise(mean)

    def noise(self, mean: Tensor) -> Tensor:
        """Return the variance that the step(s) add at this mean."""
        return self.k_0 + (self.k_1 + self.k_2 * mean) * mean

    def then(self, later: AffineMoments) -> AffineMoments:
        """Return the map of this step followed by ``later``."""
        return AffineMoments(
            later.A * self.A,
            later.A * self.B + later.B,
            later.a * self.a,
            later.a * self.k_0 + later.noise(self.B),
            later.a * self.k_1 + (later.k_1 + 2.0 * later.k_2 * self.B) * self.A,
            later.a * self.k_2 + later.k_2 * self.A**2,
        )

    def where(self, mask: Tensor, other: AffineMoments) -> AffineMoments:
        """Return this map where the mask is true, ``other`` elsewhere."""
        return AffineMoments(*(mine.where(mask, its) for mine, its in zip(self, other)))

    def power(self, n_steps: Tensor) -> AffineMoments:
        """Return the map of equal steps, whose number (0 or more) may differ between cells."""
        one, none = torch.ones_like(self.A), torch.zeros_like(self.A)
        result, square = AffineMoments(one, none, one, none, none, none), self
        while bool((n_steps > 0).any()):
            odd = n_steps % 2 == 1
            if bool(odd.any()):
                result = result.then(square).where(odd, result)
            n_steps = n_steps // 2
            square = square.then(square)
        return result


def normal_like(values: Tensor, generator: Optional[torch.Generator]) -> Tensor:
    """Return normal numbers of the shape and data type of values."""
    return torch.randn(values.shape, generator=generator, dtype=values.dtype, device="cpu")


def one_pulse(cells: LinearResponse, upwards: bool) -> AffineMoments:
    r"""Return the moments of one pulse.

    .. math:: w' = A w + B + \Delta w_{min} (\sigma_0 + \sigma_1 w)\, \xi
    """
    if upwards:
        step = (cells.up_0, cells.up_1)
        noise = (cells.dw_min * cells.noise_up_0, cells.dw_min * cells.noise_up_1)
    else:
        step = (-cells.down_0, -cells.down_1)
        noise = (cells.dw_min * cells.noise_down_0, cells.dw_min * cells.noise_down_1)
    factor = 1.0 + cells.dw_min * step[1]
    return AffineMoments(
        factor,
        cells.dw_min * step[0],
        factor**2 + noise[1] ** 2,
        noise[0] ** 2,
        2.0 * noise[0] * noise[1],
        noise[1] ** 2,
    )


def fair_choice(one: AffineMoments, other: AffineMoments) -> AffineMoments:
    """Return the moments of a step that is one or the other with equal probability."""
    d_a, d_b = (one.A - other.A) / 2.0, (one.B - other.B) / 2.0
    A, B, a, k_0, k_1, k_2 = ((mine + its) / 2.0 for mine, its in zip(one, other))
    return AffineMoments(A, B, a, k_0 + d_b**2, k_1 + 2.0 * d_a * d_b, k_2 + d_a**2)
