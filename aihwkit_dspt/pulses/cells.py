"""What a pulse does to each cell of an array, as numbers for compiled loops."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Dict, NamedTuple, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy, stack, zeros_like

from aihwkit_dspt.devices import ExpResponse, LinearResponse, PowResponse, Response, response

if TYPE_CHECKING:
    from aihwkit.simulator.configs.devices import PulsedDevice

NUMBERS = 8
"""Numbers of a cell."""

LARGEST_CHANGE = 0.12
"""Pulses that change the step of a cell by no more than this part of it are taken at once."""

FEWEST_AT_ONCE = 4
"""Cells that may take fewer take them one after the other: a normal number for each is as fast."""


CELLS_AT_ONCE = 2**15
"""Cells of which the response is made at once: it has a dozen numbers of each, in double precision,
several times what is kept of them."""


class Steps(IntEnum):
    """How the mean size of a pulse depends on the weight."""

    LINEAR = 0
    EXPONENTIAL = 1
    POWER = 2


class Cells(NamedTuple):
    """The response of all cells."""

    kind: int
    """See :class:`Steps`."""

    values: NDArray[np.float32]
    """``[d_size, x_size, 8]`` numbers of each cell, see :func:`cells_of`; the last two are its
    bounds, in weight units."""

    shared: NDArray[np.float32]
    """``[8]`` numbers that all cells have in common."""

    at_once: bool
    """Whether a cell may take some pulses at once, else one after the other."""


def cells_of(device: PulsedDevice, parameters: Dict[str, Tensor]) -> Cells:
    """Return the numbers of the cells of an array, see :func:`cells_of_response`.

    Args:
        device: configuration of the device.
        parameters: name -> ``[d_size, x_size]`` hidden parameters, on the CPU.
    """
    d_size, x_size = next(iter(parameters.values())).shape
    n_rows = max(CELLS_AT_ONCE // max(x_size, 1), 1)
    if n_rows >= d_size:
        return cells_of_response(response(device, parameters))
    values = np.empty((d_size, x_size, NUMBERS), np.float32)
    first = cells_of_response(response(device, _rows(parameters, 0, n_rows)))
    for start in range(0, d_size, n_rows):
        part = cells_of_response(response(device, _rows(parameters, start, start + n_rows)))
        if not np.array_equal(part.shared, first.shared):
            return cells_of_response(response(device, parameters))  # its noise is that of all
        values[start : start + n_rows] = part.values
    return Cells(first.kind, values, first.shared, _takes_at_once(first.kind, values))


def _rows(parameters: Dict[str, Tensor], start: int, stop: int) -> Dict[str, Tensor]:
    return {name: values[start:stop] for name, values in parameters.items()}


def cells_of_response(response: Response) -> Cells:
    r"""Return the numbers of a response, in weight units.

    Linear: the steps :math:`u_0 + u_1 w` and :math:`d_0 + d_1 w` as :math:`u_0, u_1, d_0, d_1`,
    then the standard deviations of noise up and down, as parts of the step if noise is proportional
    to the step. Shared: whether noise is.

    Exponential: :math:`s_+, s_-` and :math:`2a / (w_{max} - w_{min})`. Shared: :math:`A_{up},
    A_{down}, \gamma_{up}, \gamma_{down}, b`, relative noise, further noise, and its slope.

    Power: :math:`s_+, s_-, \gamma_{up}, \gamma_{down}, 1 / (w_{max} - w_{min})`. Shared: relative
    noise.
    """
    step = response.dw_min
    if isinstance(response, LinearResponse):
        return _linear(response)
    if isinstance(response, ExpResponse):
        width = response.w_max - response.w_min
        slope = 2.0 * response.a / width
        parts = [step * response.scale_up, step * response.scale_down, slope]
        shared = [response.A_up, response.A_down, response.gamma_up, response.gamma_down]
        shared += [response.b, response.noise, response.noise_add, response.noise_slope]
        return _packed(Steps.EXPONENTIAL, response, parts, shared)
    if isinstance(response, PowResponse):
        parts = [step * response.scale_up, step * response.scale_down]
        parts += [response.gamma_up, response.gamma_down]
        parts += [1.0 / (response.w_max - response.w_min)]
        return _packed(Steps.POWER, response, parts, [response.noise])
    raise TypeError(type(response).__name__)


def _linear(response: LinearResponse) -> Cells:
    step = response.dw_min
    parts = [response.up_0, response.up_1, response.down_0, response.down_1]
    parts = [step * part for part in parts]
    is_part = bool(response.noise_up_1.any() or response.noise_down_1.any())
    noise = _relative(response) if is_part else (response.noise_up_0, response.noise_down_0)
    parts += [part if is_part else step * part for part in noise]
    return _packed(Steps.LINEAR, response, parts, [float(is_part)])


def _takes_at_once(kind: int, values: NDArray[np.float32]) -> bool:
    """Return whether cells may take some pulses at once, from ``[d_size, x_size, 8]`` numbers."""
    if kind != Steps.LINEAR:
        return False
    # Of the usual cell: how many pulses a cell takes at once is decided for each.
    slopes = from_numpy(values[..., 1]), from_numpy(values[..., 3])
    steepest = max(float(slope.abs().median()) for slope in slopes)
    return FEWEST_AT_ONCE * steepest <= LARGEST_CHANGE


def _relative(response: LinearResponse) -> tuple[Tensor, Tensor]:
    """Return noise over step, where noise is proportional to the step."""
    pairs = (
        (response.noise_up_0, response.up_0, response.noise_up_1, response.up_1),
        (response.noise_down_0, response.down_0, response.noise_down_1, response.down_1),
    )
    found = []
    for noise_0, step_0, noise_1, step_1 in pairs:
        ratio = (noise_0 / step_0).where(step_0 != 0.0, noise_1 / step_1)
        found.append(ratio.nan_to_num(0.0))
    return found[0], found[1]


def _packed(
    kind: Steps, response: Response, parts: Sequence[Tensor], shared: Sequence[float]
) -> Cells:
    bounds = [response.w_min, response.w_max]
    filler = [zeros_like(response.w_min)] * (NUMBERS - len(parts) - len(bounds))
    values = stack([*parts, *filler, *bounds], dim=-1).float().contiguous().numpy()
    numbers = np.zeros(NUMBERS, np.float32)
    numbers[: len(shared)] = shared
    return Cells(int(kind), values, numbers, _takes_at_once(kind, values))
