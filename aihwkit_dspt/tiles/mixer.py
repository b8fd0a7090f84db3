"""The mixed weight of a pipeline, kept up to date with its arrays."""

from __future__ import annotations

from typing import List, Optional, Sequence

from torch import Tensor

from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.enums import ReadMode, ReferenceType
from aihwkit_dspt.stages.mixer import MixedWeight
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.link import Link


class Mixer:
    r"""Writes :math:`\bar W = W + \sum_n \gamma_n\, c_n \circ (W_n - \tilde Q_n)` in place.

    The residuals of arrays between the slowest and the fastest are kept as a sum, of which only the
    lines are computed anew that a transfer to or from such an array has changed.

    Args:
        config: the compound.
        slow: the slowest array :math:`W`.
        links: the links, slowest first; each reads an array :math:`W_n`.
        mixed_array: the array that forward and backward use.
    """

    def __init__(
        self,
        config: TrackingTransferCompound,
        slow: Crossbar,
        links: List[Link],
        mixed_array: Crossbar,
    ) -> None:
        self.slow = slow
        *self.between, self.fastest = links
        self.mixed = MixedWeight(
            mixed_array.weights,
            self.fastest.residual_scale,
            config.transfer_columns,
            config.reference is not ReferenceType.ZERO,
            config.read_mode is not ReadMode.TORCH,
        )
        self._kept: Optional[Tensor] = None
        if self.between:
            self._kept = residuals(self.between, self.fastest.everything)

    def renew(self) -> None:
        """Compute everything anew, after a change outside of a step."""
        self._keep(self.fastest.everything)
        self._store(self.fastest.everything)
        self.mixed.renew(self.fastest.source.weights, self.fastest.chopper)

    def store(self, lines: slice, changed_by: Link) -> None:
        """Compute lines anew that the transfer of a link has changed."""
        if changed_by is not self.fastest or changed_by.target is not self.slow:
            self._keep(lines)
        self._store(lines)

    def _keep(self, lines: slice) -> None:
        if self._kept is not None:
            self._kept[lines] = residuals(self.between, lines)

    def _store(self, lines: slice) -> None:
        between = None if self._kept is None else self._kept[lines]
        fastest = self.fastest
        self.mixed.store(
            self.slow.weights, fastest.reference.values, fastest.chopper, lines, between
        )

    def refresh(self) -> None:
        """Write the mixed weight for what the fastest array holds now."""
        self.mixed.refresh(self.fastest.source.weights, self.fastest.chopper)


def residuals(links: Sequence[Link], lines: slice) -> Tensor:
    r"""Return the sum of the ``[n_lines, out_size]`` parts :math:`\gamma\, c \circ (P - \tilde Q)`.

    Args:
        links: the links that read the arrays :math:`P`, at least one.
        lines: the lines.
    """
    total, *others = [_residual(link, lines) for link in links]
    for other in others:
        total = total + other
    return total


def _residual(link: Link, lines: slice) -> Tensor:
    held = link.source.weights.t() if link.lines.columns else link.source.weights
    difference = held[lines] - link.reference.values[lines]
    return difference * (link.chopper.signs(lines) * link.residual_scale)
