"""How much is transferred while the fast array is on its way to its symmetric points."""

from __future__ import annotations

from typing import Dict, Mapping

from torch import Tensor, float64

SETTLED = 50
"""Sweeps after which all is transferred: the reference has followed several times."""

FIRST_SHARE = 0.5
"""Share before anything is known."""

SMALL = 0.3
"""Part in common, relative to the root mean square, at which a quarter is transferred. Gradients
have less than a tenth: their first signs alternate from line to line."""

OVER: Dict[str, float] = {"share": 1.0, "sweep": SETTLED}
"""State in which all is transferred from now on."""


class Settling:
    r"""Share of a transfer that goes into the buffer in the first sweeps.

    Until the reference has followed, a read is the way of the fast array to its symmetric points,
    for the most part. Where these lie on one side of zero, all cells go the same way. The pulses
    that this sends to the slow array let it drift towards its own symmetric points, all cells the
    same way again, and the sums over the inputs of a layer saturate what comes after it. So the
    increments of the buffer are multiplied with (and the pulses of gradients divided by, up to five
    times: :class:`~aihwkit_dspt.tiles.learning_rates.FastLearningRate`)

    .. math:: s = \left(1 + (D / 0.3)^2\right)^{-2}, \qquad
              D = \frac{|\langle Q - \tilde Q \rangle|}
                       {\sqrt{\langle (Q - \tilde Q)^2 \rangle}}

    with means over all cells: estimate minus reference is the mean of the reads since the last
    flips. It is looked at after each of the first 50 sweeps at the end of which no signs flip. With
    symmetric points on both sides of zero :math:`D` is small, and :math:`s` close to one.

    Args:
        is_on: whether there is a reference that follows when signs flip, and signs that alternate.

    Attributes:
        share: :math:`s`.
        sweep: sweeps that were over when it was looked at last.
    """

    def __init__(self, is_on: bool) -> None:
        self.is_on = is_on
        self.share = FIRST_SHARE if is_on else 1.0
        self.sweep = 0

    def is_due(self, sweep: int) -> bool:
        """Return whether sweeps have ended since the last look, of ``sweep`` ones in all."""
        return self.is_on and self.sweep < SETTLED and sweep > self.sweep

    def look(self, sweep: int, has_flipped: bool, estimate: Tensor, reference: Tensor) -> None:
        """Take the share after ``sweep`` sweeps.

        Args:
            sweep: sweeps that are over.
            has_flipped: whether signs flipped at the end of the last one, so that the reference is
                equal to the estimate.
            estimate: ``[in_size, out_size]`` estimates :math:`Q`.
            reference: ``[in_size, out_size]`` references.
        """
        share = self.share
        if sweep >= SETTLED:
            share = 1.0
        elif not has_flipped:
            residual = estimate - reference
            mean = float(residual.mean(dtype=float64))
            square = float(residual.square_().mean(dtype=float64))
            if square > 0.0:
                share = (1.0 + mean**2 / (SMALL**2 * square)) ** -2.0
        vars(self).update(share=share, sweep=sweep)

    def state(self) -> Dict[str, float]:
        """Return share and sweep."""
        return {"share": self.share, "sweep": self.sweep}

    def load_state(self, state: Mapping[str, float]) -> None:
        """Set share and sweep."""
        self.share, self.sweep = float(state["share"]), int(state["sweep"])
