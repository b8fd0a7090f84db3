"""Cells near a bound: affine pulses one by one, but only as many as matter."""

from __future__ import annotations

from math import log2, pi
from typing import Optional

import torch
from aihwkit.exceptions import TileError
from torch import Tensor

from aihwkit_dspt.devices import LinearResponse
from aihwkit_dspt.zero_shifting.moments import AffineMoments, fair_choice, normal_like, one_pulse

# Time constants after which a start is forgotten: exp(-17) is below single precision.
FORGOTTEN = 17.0
# Most steps of a simulation. A cell that remembers more pulses takes several pulses per step.
MAX_STEPS = 2**15
# The noise of a step depends on the weight, which so many steps move by a fifth of its spread.
STEPS_OF_LIKE_NOISE = 16
# Most work, in pulses of one cell (measured: 10 to 20 ns each, so a minute or two). A step of
# all cells costs as much as so many cells more.
MAX_WORK = 6e9
STEP_OVERHEAD = 500
# Noise that is drawn at a time, in numbers.
BLOCK = 2**20


def simulate_clipped(
    cells: LinearResponse,
    weights: Tensor,
    n_pulses: int,
    schedule: str,
    generator: Optional[torch.Generator] = None,
) -> Tensor:
    r"""Return the weights after pulses that the bounds may clip (paper, Algorithm 1).

    .. math:: w \leftarrow \mathrm{clip}(A_\pm w + B_\pm + \Delta w_{min} \sigma_\pm(w) \xi)

    Clipping never drives two weights apart, so what came before the last :data:`FORGOTTEN` time
    constants of a cell (see :func:`remembered_pulses`) changes the result by less than single
    precision and is left out. If those are more than :data:`MAX_STEPS` pulses, several pulses
    make a step, with the moments of all of them, and are clipped together: a step then spreads the
    weight by at most 4.6 % of its standard deviation, and its law is off by about that.

    Args:
        cells: response of the cells, one-dimensional.
        weights: persistent weights ``[n]`` before the first pulse.
        n_pulses: number of pulses per cell.
        schedule: ``"cyclic"`` (the first pulse is up) or ``"stochastic"``.
        generator: source of noise and signs.

    Returns:
        persistent weights ``[n]`` after the last pulse, double precision.

    Raises:
        TileError: if that takes too many steps for too many cells.
    """
    weights = weights.double().clone()
    remembered = remembered_pulses(cells, n_pulses)
    slow = remembered > MAX_STEPS
    # Cells that remember alike go together, with the parity of n_pulses.
    groups = [(slow, MAX_STEPS)] if bool(slow.any()) else []
    for exponent in range(1, int(log2(MAX_STEPS)) + 1):
        group = ~slow & (remembered <= 2**exponent) & (remembered > 2 ** (exponent - 1))
        group |= (remembered <= 1.0) & (exponent == 1)
        n_last = min(2**exponent + n_pulses % 2, n_pulses)
        groups += [(group, n_last)] if bool(group.any()) else []
    if sum(n * (STEP_OVERHEAD + int(group.sum())) for group, n in groups) > MAX_WORK:
        raise TileError(
            f"{weights.numel()} cells come near their bounds within n_pulses={n_pulses}, where the "
            "closed form does not hold. Pass method='pulses', or fewer pulses."
        )
    for group, n_last in groups:
        index = torch.nonzero(group).flatten()
        chosen, start = cells.cells(index), weights[index]
        if group is slow:
            weights[index] = _several_at_once(
                chosen, start, remembered[index], n_pulses, schedule, generator
            )
        else:
            weights[index] = _pulse_by_pulse(chosen, start, n_last, schedule, generator)
    return weights


def remembered_pulses(cells: LinearResponse, n_pulses: int) -> Tensor:
    r"""Return after how many pulses each cell has forgotten its start, from 1 to ``n_pulses``.

    Two weights approach each other by the rate :math:`-\log\sqrt{|A_+ A_-|}` per pulse, and by
    :math:`\pi^2 s^2 / (2 L^2)` through the bounds, at a distance :math:`L`, between which noise of
    the standard deviation :math:`s` per pulse spreads them (the spectral gaps of Bakry-Emery
    and of Payne-Weinberger).
    """
    up, down = one_pulse(cells, upwards=True), one_pulse(cells, upwards=False)
    contraction = -torch.log((up.A * down.A).abs().sqrt())
    low, high = cells.w_min, cells.w_max
    noises = torch.stack([pulse.noise(bound) for pulse in (up, down) for bound in (low, high)])
    spreading = pi**2 * noises.min(dim=0).values / (2.0 * (high - low) ** 2)
    rate = torch.maximum(contraction, torch.nan_to_num(spreading))
    return (FORGOTTEN / rate.clamp(min=FORGOTTEN / n_pulses)).clamp(min=1.0)


def _pulse_by_pulse(
    cells: LinearResponse,
    weights: Tensor,
    n_pulses: int,
    schedule: str,
    generator: Optional[torch.Generator],
) -> Tensor:
    dw_min, n_cells = cells.dw_min, weights.numel()
    # Rows: down, up. A pulse is (factor + slope xi) w + (offset + noise xi).
    factor = torch.stack((1.0 - dw_min * cells.down_1, 1.0 + dw_min * cells.up_1))
    offset = torch.stack((-dw_min * cells.down_0, dw_min * cells.up_0))
    slope = torch.stack((dw_min * cells.noise_down_1, dw_min * cells.noise_up_1))
    noise = torch.stack((dw_min * cells.noise_down_0, dw_min * cells.noise_up_0))
    block = 2 * max(BLOCK // (2 * n_cells), 1)
    for sent in range(0, n_pulses, block):
        n_now = min(block, n_pulses - sent)
        if schedule == "stochastic":
            upwards = torch.rand((n_now, n_cells), generator=generator, device="cpu") < 0.5
        else:
            upwards = (torch.arange(n_now, device="cpu") % 2 == 0)[:, None]
        normal = torch.randn(
            (n_now, n_cells), generator=generator, dtype=weights.dtype, device="cpu"
        )
        factors = torch.where(upwards, factor[1], factor[0])
        offsets = torch.where(upwards, offset[1], offset[0])
        factors = torch.where(upwards, slope[1], slope[0]).mul(normal).add_(factors)
        offsets = torch.where(upwards, noise[1], noise[0]).mul(normal).add_(offsets)
        for one_factor, one_offset in zip(factors.unbind(), offsets.unbind()):
            weights = torch.addcmul(one_offset, one_factor, weights)
            weights = weights.clamp_(cells.w_min, cells.w_max)
    return weights


def _several_at_once(
    cells: LinearResponse,
    weights: Tensor,
    remembered: Tensor,
    n_pulses: int,
    schedule: str,
    generator: Optional[torch.Generator],
) -> Tensor:
    up, down = one_pulse(cells, upwards=True), one_pulse(cells, upwards=False)
    if schedule == "stochastic":
        unit, n_units = fair_choice(up, down), remembered.ceil().long()
    else:
        unit, n_units = up.then(down), (remembered / 2.0).ceil().long().clamp(max=n_pulses // 2)
    n_together = -(-n_units // MAX_STEPS)
    n_steps = n_units // n_together
    weights = _drawn(unit.power(n_units - n_together * n_steps), cells, weights, generator)
    step = unit.power(n_together)
    # All cells end together, hence those with fewer steps start later.
    first, all_started = MAX_STEPS - n_steps, int(MAX_STEPS - n_steps.min())
    block = max(BLOCK // weights.numel(), 1)
    for sent in range(0, MAX_STEPS, block):
        shape = (min(block, MAX_STEPS - sent), weights.numel())
        xi = torch.randn(shape, generator=generator, dtype=weights.dtype, device="cpu")
        for number, row in enumerate(xi.unbind(), start=sent):
            if number % STEPS_OF_LIKE_NOISE == 0 or number == sent:
                std = step.noise(weights).clamp_(min=0.0).sqrt_()
            later = torch.addcmul(step.B, step.A, weights).addcmul_(std, row)
            later.clamp_(cells.w_min, cells.w_max)
            if number < all_started:
                later = torch.where(number >= first, later, weights)
            weights = later
    if schedule == "cyclic" and n_pulses % 2 == 1:
        weights = _drawn(up, cells, weights, generator)
    return weights


def _drawn(
    step: AffineMoments,
    cells: LinearResponse,
    weights: Tensor,
    generator: Optional[torch.Generator],
) -> Tensor:
    xi = normal_like(weights, generator)
    std = step.noise(weights).clamp_(min=0.0).sqrt_()
    return torch.addcmul(step.B, step.A, weights).addcmul_(std, xi).clamp_(cells.w_min, cells.w_max)
