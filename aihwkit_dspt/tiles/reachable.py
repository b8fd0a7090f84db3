"""Weights that the cells of an array can hold, nearest to those that are wanted."""

from __future__ import annotations

from torch import Tensor, where

N_HALVINGS = 48
"""Halvings of the shift of an output: it is exact to single precision then."""

CELLS_AT_ONCE = 2**18
"""Cells that are projected at once: it takes some numbers of each in double precision."""


def reachable(weights: Tensor, low: Tensor, high: Tensor) -> Tensor:
    r"""Return the nearest weights within bounds that have the same sums over inputs.

    Cells that cannot hold their weight take a bound, and the others of the same output make up for
    it: the projection

    .. math:: v_{ij} = \min(\max(w_{ij} + \lambda_i, l_{ij}), h_{ij}), \qquad
              \sum_j v_{ij} = \sum_j w_{ij}

    has the smallest :math:`\sum_j (v_{ij} - w_{ij})^2` of all weights within the bounds with these
    sums. Where no weights have them, the sum is as near as can be. Outputs all of whose weights
    are within the bounds stay as they are.

    Args:
        weights: ``[d_size, x_size]`` weights :math:`w`.
        low: lower bounds :math:`l`, of the same shape.
        high: upper bounds :math:`h`.
    """
    found = weights.clamp(low, high)
    rows = (found != weights).any(1).nonzero()[:, 0]
    n_rows = max(CELLS_AT_ONCE // max(weights.shape[1], 1), 1)
    for start in range(0, len(rows), n_rows):
        some = rows[start : start + n_rows]
        found[some] = _projected(weights[some], low[some], high[some]).to(found)
    return found


def _projected(weights: Tensor, low: Tensor, high: Tensor) -> Tensor:
    wanted, low, high = weights.double(), low.double(), high.double()
    sums = wanted.sum(1, keepdim=True)
    # At the lowest shift all cells are at their lower bound, at the highest at the upper one.
    least = (low - wanted).amin(1, keepdim=True)
    most = (high - wanted).amax(1, keepdim=True)
    for _ in range(N_HALVINGS):
        middle = (least + most) / 2
        is_less = (wanted + middle).clamp(low, high).sum(1, keepdim=True) < sums
        least, most = where(is_less, middle, least), where(is_less, most, middle)
    return (wanted + most).clamp(low, high)
