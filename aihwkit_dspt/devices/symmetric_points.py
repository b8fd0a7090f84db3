"""Symmetric points of the cells of one array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping

import numpy as np
import torch
from aihwkit.simulator.configs.devices import PulsedDevice
from numpy.typing import NDArray
from torch import Tensor

from aihwkit_dspt.configs.checks import require_argument
from aihwkit_dspt.devices.base import Response
from aihwkit_dspt.devices.linear import LinearResponse
from aihwkit_dspt.devices.of_device import response

Values = NDArray[np.double]

# The hidden parameters are single precision: closer to a bound than this part of the range, a
# zero of G cannot be told from the bound itself (a one-directional soft-bounds device has one).
BOUND_MARGIN = 1e-6


@dataclass(frozen=True)
class SymmetricPoints:
    """Symmetric points of one array."""

    values: Tensor
    """Symmetric points ``[out_size, in_size]`` in the weight units that the tile reports, double
    precision, ``nan`` where a cell has none."""

    n_missing: int
    """Number of cells that have no symmetric point."""


def symmetric_points(
    device: PulsedDevice, hidden_parameters: Mapping[str, Tensor], start: float = 0.0
) -> SymmetricPoints:
    r"""Return the symmetric point of every cell of an array (paper, Def. 1.1).

    .. math:: G(W_{sp}) = (q_-(W_{sp}) - q_+(W_{sp})) / 2 = 0

    It is the zero of :math:`G` where alternating pulses come to rest: :math:`G` changes from
    negative to positive there, and the drift :math:`-2 \Delta w_{min} G` of a pulse pair leads to
    it from ``start``. That picks one zero where a response has several, and leaves out zeros
    that repel the weight (possible with ``allow_increasing`` or ``reverse_up`` / ``reverse_down``).
    A cell has no symmetric point (``nan``) if the drift ends at a bound, if both responses are
    zero or equal everywhere (ConstantStep, corrupt devices), or within a millionth of
    the range from a bound (one-directional devices).

    The zero is in closed form where the steps are linear in the weight, else bracketed on a grid
    over the cell's range and refined by scipy's vectorised root finder.

    Args:
        device: configuration of the array's pulsed device.
        hidden_parameters: name to ``[out_size, in_size]`` tensor, as from
            ``tile.get_hidden_parameters()``.
        start: weight from which pulses are thought to start, in reported weight units; only
            matters where a response has several zeros.

    Returns:
        the symmetric points and the number of cells without one.

    Raises:
        ConfigError: if the device is not a pulsed device of aihwkit, or a hidden parameter is
            missing or not finite.
        ArgumentError: if ``start`` is no finite number.
    """
    start = require_argument("start", start)
    cells = response(device, hidden_parameters)
    zeros = cells.zero() if isinstance(cells, LinearResponse) else _bracketed(cells, start)
    margin = BOUND_MARGIN * (cells.w_max - cells.w_min)
    valid = (zeros > cells.w_min + margin) & (zeros < cells.w_max - margin)
    if isinstance(cells, LinearResponse):
        valid &= cells.dG_dw(zeros) > 0
    valid &= cells.F(zeros) > 0
    values = torch.where(valid, zeros, torch.nan)
    return SymmetricPoints(values, int((~valid).sum()))


def _bracketed(cells: Response, start: float) -> Tensor:
    """Return the first zero of G that the drift from ``start`` meets, ``nan`` without one."""
    near = torch.full_like(cells.w_min, start).clamp(min=cells.w_min, max=cells.w_max)
    drift = -torch.sign(cells.G(near))
    upwards = drift > 0
    far = torch.where((drift == 0) & (cells.dG_dw(near) > 0), near, torch.nan)
    pending = drift != 0
    for node in range(cells.n_segments + 1):
        fraction = node / cells.n_segments
        point = torch.where(upwards, cells.at_fraction(fraction), cells.at_fraction(1.0 - fraction))
        ahead = pending & torch.where(upwards, point > near, point < near)
        crossed = ahead & (-torch.sign(cells.G(point)) != drift)
        far = torch.where(crossed, point, far)
        near = torch.where(ahead & ~crossed, point, near)
        pending &= ~crossed
    return _refine(cells, near, far)


def _refine(cells: Response, near: Tensor, far: Tensor) -> Tensor:
    """Return the zeros of G between ``near`` and ``far``, ``nan`` where ``far`` is ``nan``."""
    index = torch.nonzero(~torch.isnan(far.flatten())).flatten()
    zeros = torch.full_like(far, torch.nan).flatten()
    if index.numel() > 0:
        # pylint: disable-next=import-outside-toplevel
        from scipy.optimize.elementwise import find_root

        # scipy drops the elements that have converged, hence their indices travel along.
        def asymmetry(weights: Values, indices: NDArray[np.int64]) -> Values:
            chosen = cells.cells(torch.from_numpy(np.asarray(indices, dtype=np.int64)))
            drift: Values = chosen.G(torch.from_numpy(np.asarray(weights))).numpy()
            return drift

        bracket = (near.flatten()[index].numpy(), far.flatten()[index].numpy())
        found = find_root(asymmetry, bracket, args=(index.numpy(),))
        zeros[index] = torch.from_numpy(np.where(found.success, found.x, np.nan))
    return zeros.view_as(far)
