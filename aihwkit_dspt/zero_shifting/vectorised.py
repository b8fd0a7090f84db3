"""Algorithm 1 pulse by pulse in torch, with aihwkit's noise model."""

from __future__ import annotations

from typing import Callable, Optional

import torch
from torch import Tensor

from aihwkit_dspt.devices import Response


def simulate_pulses(
    cells: Response,
    weights: Tensor,
    n_pulses: int,
    schedule: str,
    generator: Optional[torch.Generator] = None,
    progress: Callable[[int], object] = lambda n_sent: None,
) -> Tensor:
    r"""Return the weights after pulses on every cell (paper, Algorithm 1).

    Each pulse is, as in aihwkit,

    .. math:: w \leftarrow \mathrm{clip}(w \pm \Delta w_{min} (q_\pm(w) + \sigma_\pm(w) \xi))

    with a fresh standard normal :math:`\xi` and the cell's bounds. Assumed: decay, diffusion and
    drift are left out (aihwkit applies them per mini-batch, not per pulse). Unlike aihwkit,
    the arithmetic is in double precision and :math:`\xi` comes from a generator that can be
    seeded; aihwkit draws it from a list of 32768 normal numbers.

    Args:
        cells: response of the cells.
        weights: persistent weights before the first pulse, of the shape of ``cells``.
        n_pulses: number of pulses per cell.
        schedule: ``"cyclic"`` (the first pulse is up) or ``"stochastic"``.
        generator: source of noise and signs.
        progress: called with the number of pulses sent since the last call.

    Returns:
        persistent weights after the last pulse, double precision.
    """
    weights = weights.double()
    noise = torch.empty_like(weights)
    for pulse in range(n_pulses):
        noise.normal_(generator=generator)
        if schedule == "stochastic":
            upwards = torch.rand(weights.shape, generator=generator, device="cpu") < 0.5
            step = torch.where(
                upwards,
                cells.q_plus(weights) + cells.sigma_plus(weights) * noise,
                -cells.q_minus(weights) - cells.sigma_minus(weights) * noise,
            )
        elif pulse % 2 == 0:
            step = cells.q_plus(weights) + cells.sigma_plus(weights) * noise
        else:
            step = -cells.q_minus(weights) - cells.sigma_minus(weights) * noise
        weights = (weights + cells.dw_min * step).clamp(max=cells.w_max)
        # Like aihwkit's clipping, this sends nan to the lower bound (a power device that
        # was set beyond its bounds).
        weights = torch.where(weights > cells.w_min, weights, cells.w_min)
        progress(1)
    return weights
