"""The symmetric-point estimate Q and the reference that is in use."""

from __future__ import annotations

from functools import partial
from typing import Any, Dict

from torch import Tensor, dtype, zeros
from torch.nn import Module

from aihwkit_dspt.tiles.uninterrupted import in_one_go


class SymmetricPointEstimator(Module):
    r"""Low-pass filter of the reads of the fast array.

    .. math:: Q \leftarrow (1 - \eta)\, Q + \eta\, P

    Without chopping :math:`P` carries the gradient; chopping moves the gradient to high
    frequency and leaves the drift towards the symmetric point at low frequency, where the
    filter :math:`|H(e^{j\omega})|^2 = \eta^2 / (1 + (1-\eta)^2 - 2(1-\eta)\cos\omega)` passes it.

    Source: paper eq. (12), Lemma 3.10, Algorithms 2 and 3.

    Args:
        in_size: number of lines of the fast array.
        out_size: number of cells along a line.
        eta: step size :math:`\eta` of the filter.
        data_type: data type of the estimate.

    Attributes:
        sp_estimate: ``[in_size, out_size]`` estimate :math:`Q`, in weight units.
        reference: ``[in_size, out_size]`` reference :math:`\tilde Q` that is in use.
        n_syncs: number of programming events of the reference.
        n_synced_cells: number of cells that these events programmed.
    """

    def __init__(self, in_size: int, out_size: int, eta: float, data_type: dtype) -> None:
        super().__init__()
        self.eta = eta
        self.sp_estimate: Tensor
        self.reference: Tensor
        self.register_buffer("sp_estimate", zeros(in_size, out_size, dtype=data_type))
        self.register_buffer("reference", zeros(in_size, out_size, dtype=data_type))
        self.n_syncs = 0
        self.n_synced_cells = 0

    def update(self, lines: slice, read: Tensor) -> None:
        """Filter the ``[n_lines, out_size]`` read of the given lines into the estimate."""
        self.sp_estimate[lines].mul_(1.0 - self.eta).add_(read * self.eta)

    def updated(self, lines: slice, read: Tensor) -> None:
        """Hear of a read after it has been filtered; for those who watch."""

    def sync(self, index: Any, values: Tensor, *then: partial[Any]) -> None:
        """Program the reference.

        Args:
            index: what to program, an index of the ``[in_size, out_size]`` reference.
            values: what the programmed cells hold afterwards.
            then: calls that are made in one go with it.
        """
        in_one_go(
            partial(self.reference.__setitem__, index, values),
            partial(
                vars(self).update,
                n_syncs=self.n_syncs + 1,
                n_synced_cells=self.n_synced_cells + values.numel(),
            ),
            *then,
        )

    def get_extra_state(self) -> Dict[str, Any]:
        """Return the counters, for the state dict."""
        return {"n_syncs": self.n_syncs, "n_synced_cells": self.n_synced_cells}

    def set_extra_state(self, state: Dict[str, Any]) -> None:
        """Set the counters."""
        self.n_syncs = int(state["n_syncs"])
        self.n_synced_cells = int(state["n_synced_cells"])
