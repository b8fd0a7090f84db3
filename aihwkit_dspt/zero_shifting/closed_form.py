"""Algorithm 1 in closed form, for steps that are linear in the weight."""

from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from aihwkit_dspt.devices import LinearResponse
from aihwkit_dspt.zero_shifting.clipped import remembered_pulses, simulate_clipped
from aihwkit_dspt.zero_shifting.moments import AffineMoments, fair_choice, normal_like, one_pulse

# Chance that any cell of the array met a bound that the closed form did not see.
MISSED_BOUND = 1e-6


def closed_form(
    cells: LinearResponse,
    weights: Tensor,
    n_pulses: int,
    schedule: str,
    generator: Optional[torch.Generator] = None,
) -> Tensor:
    r"""Draw the weights after pulses on every cell (paper, Algorithm 1), whatever their number.

    One pulse is affine, :math:`w' = A_\pm w + B_\pm + \Delta w_{min} \sigma_\pm(w) \xi`, hence mean
    and variance of the weight after ``n_pulses`` follow in closed form, and the
    weight is drawn from the normal distribution with those. That is

    - exact in law for the cyclic schedule with additive cycle-to-cycle noise, or with none;
    - exact in mean and variance for multiplicative noise and for the stochastic schedule, whose
      law is normal only in the limit of many pulses.

    The bounds are respected: a cell whose mean path, widened by the standard deviation, comes so
    near to a bound that the chance for any cell to be clipped exceeds a millionth is
    simulated over its last pulses instead.

    Args:
        cells: response of the cells.
        weights: persistent weights before the first pulse ``[out_size, in_size]``.
        n_pulses: number of pulses per cell.
        schedule: ``"cyclic"`` (the first pulse is up) or ``"stochastic"``.
        generator: source of the draw.

    Returns:
        persistent weights after the last pulse ``[out_size, in_size]``, double precision.

    Raises:
        TileError: if too many cells are near a bound for too many pulses.
    """
    weights = weights.double()
    up, down = one_pulse(cells, upwards=True), one_pulse(cells, upwards=False)
    if schedule == "cyclic":
        moments = up.then(down).power(torch.tensor(n_pulses // 2, device="cpu"))
        if n_pulses % 2 == 1:
            moments = moments.then(up)
    else:
        moments = fair_choice(up, down).power(torch.tensor(n_pulses, device="cpu"))
    mean, variance = moments.apply(weights, torch.zeros_like(weights))
    result = mean + variance.clamp(min=0.0).sqrt() * normal_like(weights, generator)

    near_bound = _comes_near_bound(cells, up, down, weights, mean, n_pulses, schedule)
    index = torch.nonzero(near_bound.flatten()).flatten()
    if index.numel() > 0:
        result.view(-1)[index] = simulate_clipped(
            cells.cells(index), weights.flatten()[index], n_pulses, schedule, generator
        )
    return result.clamp(min=cells.w_min, max=cells.w_max)


def _comes_near_bound(
    cells: LinearResponse,
    up: AffineMoments,
    down: AffineMoments,
    first: Tensor,
    last: Tensor,
    n_pulses: int,
    schedule: str,
) -> Tensor:
    """Return the mask of cells that a bound may have clipped on their way."""
    # The mean moves monotonically between its ends, apart from the pulse that is under way.
    ends = torch.stack((first, last))
    path = torch.cat((ends, up.A * ends + up.B, down.A * ends + down.B))
    if schedule == "cyclic":
        path = path[:4]  # no weight is pulsed down before it was pulsed up
    low, high = path.min(dim=0).values, path.max(dim=0).values
    # An upper limit of the variance: noise as large as it gets on that path, at every pulse.
    growth = torch.maximum(up.a, down.a) if schedule == "stochastic" else (up.a * down.a).sqrt()
    choices = (up, down, fair_choice(up, down)) if schedule == "stochastic" else (up, down)
    sources = torch.stack([choice.noise(mean) for choice in choices for mean in (low, high)])
    largest = sources.max(dim=0).values
    n_effective = torch.where(
        growth < 1.0, -torch.expm1(n_pulses * torch.log(growth)) / (1.0 - growth), float(n_pulses)
    )
    # The two factors of a pair may differ: allow for the worse order of them.
    ratio = torch.maximum(up.a, down.a) / torch.minimum(up.a, down.a)
    # What a bound did before the last remembered pulses does not matter.
    chance = MISSED_BOUND / (2.0 * first.numel() * remembered_pulses(cells, n_pulses))
    reach = -torch.special.ndtri(chance) * (largest * n_effective * ratio).sqrt()
    safe = (low - reach >= cells.w_min) & (high + reach <= cells.w_max)
    # A factor below zero overshoots the symmetric point: the path is not monotone then.
    safe &= (up.A > 0) & (down.A > 0) & (growth <= 1.0)
    moves = torch.stack((*sources.unbind(), up.B, down.B)).ne(0).any(dim=0)
    return moves.logical_and(~safe)
