"""How far symmetric points go in some steps."""

from __future__ import annotations

from math import expm1, sqrt
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from aihwkit_dspt.configs.checks import require_argument


class DriftLaw(NamedTuple):
    """The law of :class:`~aihwkit_dspt.SymmetricPointDrift`, which has its equation."""

    walk: float
    r""":math:`\sigma`, in weight units per root of a step."""

    trend: float
    """:math:`v`, in weight units per step."""

    wear: float
    """:math:`u`, in weight units per pulse."""

    relaxation: float
    r""":math:`\kappa`, per step."""

    jump_rate: float
    """Probability of a jump per step."""

    jump_std: float
    """Standard deviation of a jump, in weight units."""

    def checked(self) -> DriftLaw:
        """Return the law with plain numbers.

        Raises:
            ArgumentError: if a number is not finite, a deviation or rate negative, or the
                probability above 1.
        """
        signed = {name: require_argument(name, getattr(self, name)) for name in ("trend", "wear")}
        positive = {
            name: require_argument(name, getattr(self, name), low=0.0)
            for name in ("walk", "relaxation", "jump_std")
        }
        rate = require_argument("jump_rate", self.jump_rate, low=0.0, high=1.0)
        return DriftLaw(**signed, **positive, jump_rate=rate)

    def distance(
        self, points: Tensor, start: Tensor, n_pulses: Tensor, n_steps: int, generator: Generator
    ) -> Tensor:
        """Return how far ``[d_size, x_size]`` points go in so many steps, in weight units.

        Args:
            points: where they are.
            start: where they were at first.
            n_pulses: pulses that each cell took meanwhile.
            n_steps: number of steps.
            generator: source of the random numbers.
        """

        def normal() -> Tensor:
            return torch.randn(points.shape, generator=generator, dtype=points.dtype, device="cpu")

        # What the first of several steps adds has relaxed by the last one.
        left, spread = self._kept(n_steps, 1), self._kept(n_steps, 2)
        moved = (self.trend * n_steps + self.wear * n_pulses) * left
        moved = moved + expm1(-self.relaxation * n_steps) * (points - start)
        if self.walk > 0.0:
            moved = moved + self.walk * sqrt(n_steps * spread) * normal()
        if self.jump_rate > 0.0:
            steps = torch.full_like(points, n_steps)
            rates = torch.full_like(points, self.jump_rate)
            n_jumps = torch.binomial(steps, rates, generator=generator)
            moved = moved + self.jump_std * (n_jumps * spread).sqrt() * normal()
        return moved

    def _kept(self, n_steps: int, power: int) -> float:
        r"""Return :math:`\frac1n \sum_{i<n} e^{-p \kappa i}`: what is left of steps of one size."""
        rate = power * self.relaxation
        return expm1(-rate * n_steps) / (n_steps * expm1(-rate)) if rate > 0.0 else 1.0
