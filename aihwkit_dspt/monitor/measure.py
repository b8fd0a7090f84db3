"""One look at a tile: a few sums over its cells, the rest on a dozen numbers."""

from __future__ import annotations

from math import nan, sqrt
from typing import Dict, List

import torch
from torch import Tensor

from aihwkit_dspt.monitor.ground_truth import GroundTruth, working
from aihwkit_dspt.tiles.link import Link
from aihwkit_dspt.tiles.pipeline import Pipeline

FLAT = 1e-5
"""A variance below this part of the squares that it is computed from is taken for zero. Single
precision sums are good to about 1e-6."""


def look(pipeline: Pipeline, link: Link, truth: GroundTruth) -> Tensor:
    """Return the vector of sums that :func:`finish` needs, without waiting for a GPU.

    It is in double precision and on the device of the tile. Each array is read once, within single
    precision and with few temporaries: most of what a record costs is memory, its own and what it
    drives out of the cache.
    """
    fast, slow = link.source.weights, link.target.weights
    # The estimate is laid out line by line, so the fast weights are brought into that order once.
    lines = pipeline.oriented(fast).contiguous()
    estimate_error = truth.known(link.estimator.sp_estimate) - truth.points
    fast_error = truth.known(lines) - truth.points
    residual = working(lines - link.reference.values)
    none = truth.points.new_tensor(nan)
    numbers = (
        estimate_error.sum(),
        torch.dot(estimate_error, estimate_error),
        torch.dot(estimate_error, truth.centred),
        fast_error.sum(),
        torch.dot(fast_error, fast_error),
        torch.dot(fast_error, truth.centred),
        torch.dot(estimate_error, fast_error),
        torch.linalg.vector_norm(residual),
        none if truth.fast is None else truth.fast.n_saturated(fast),
        none if truth.slow is None else truth.slow.n_saturated(slow),
        link.chopper.in_sign.mean(),
        link.chopper.out_sign.mean(),
        torch.linalg.vector_norm(working(pipeline.mixed_array.weights)),
        link.estimator.known_cells().count_nonzero(),
    )
    device = truth.points.device
    return torch.stack([torch.as_tensor(x, dtype=torch.double, device=device) for x in numbers])


def finish(numbers: List[float], spread: float, n_points: int, n_cells: int) -> Dict[str, float]:
    r"""Return the measured columns.

    Mean and mean square of the error :math:`e = Q - W_{sp}` are measured as they are. With its
    covariance with the symmetric points, :math:`\mathrm{cov}(e, W_{sp})`, those of Q follow:

    .. math::

        \mathrm{cov}(Q, W_{sp}) = \mathrm{cov}(e, W_{sp}) + \mathrm{var}(W_{sp}), \qquad
        \mathrm{var}(Q) = \mathrm{var}(e) + 2\,\mathrm{cov}(e, W_{sp}) + \mathrm{var}(W_{sp})

    Args:
        numbers: what :func:`look` returned.
        spread: variance of the symmetric points.
        n_points: number of cells that have a symmetric point.
        n_cells: number of cells.
    """
    sums, product = numbers[:6], numbers[6]
    residual, fast_saturated, slow_saturated, in_sign, out_sign, norm, n_known = numbers[7:]
    row: Dict[str, float] = {"n_points": n_points}
    errors = []
    for name, start in (("sp", 0), ("fast", 3)):
        mean, square, with_points = (
            value / n_points if n_points else nan for value in sums[start : start + 3]
        )
        variance = square - mean**2
        errors.append((mean, variance, square))
        row[f"{name}_error_mean"] = mean
        row[f"{name}_error_rms"] = sqrt(square)
        row[f"{name}_correlation"] = _correlation(
            with_points + spread,
            (variance + 2.0 * with_points + spread, variance + spread),
            (spread, spread),
        )
        if name == "sp":
            row["sp_known"] = n_known / n_cells
    (estimate_mean, *estimate), (fast_mean, *fast) = errors
    covariance = product / n_points - estimate_mean * fast_mean if n_points else nan
    row["error_correlation"] = _correlation(covariance, tuple(estimate), tuple(fast))
    row["residual_rms"] = residual / sqrt(n_cells)
    row["fast_saturated"] = fast_saturated / n_cells
    row["slow_saturated"] = slow_saturated / n_cells
    row["chopper_balance"] = in_sign * out_sign
    row["weight_norm"] = norm
    return row


def _correlation(covariance: float, *variances: tuple[float, ...]) -> float:
    """Return the correlation; ``nan`` if a variance is negligible beside its squares."""
    product = 1.0
    for variance, squares in variances:
        if not variance > FLAT * squares:
            return nan
        product *= variance
    return covariance / sqrt(product)
