"""Response functions of an array from its device configuration and hidden parameters."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from functools import singledispatch
from typing import Mapping, NamedTuple

import torch
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.devices import (
    ConstantStepDevice,
    ExpStepDevice,
    LinearStepDevice,
    PiecewiseStepDevice,
    PowStepDevice,
    PowStepReferenceDevice,
    PulsedDevice,
    SoftBoundsDevice,
    SoftBoundsReferenceDevice,
)
from torch import Tensor

from aihwkit_dspt.configs.checks import shown
from aihwkit_dspt.configs.tensor_checks import require_numbers
from aihwkit_dspt.devices.base import Response
from aihwkit_dspt.devices.exponential import ExpResponse
from aihwkit_dspt.devices.linear import LinearResponse
from aihwkit_dspt.devices.piecewise import PiecewiseResponse
from aihwkit_dspt.devices.power import PowResponse
from aihwkit_dspt.devices.simulated import SimulatedNumbers


class _Cells(NamedTuple):
    """What all pulsed devices share; scales are in units of ``dw_min``."""

    dw_min: float
    w_min: Tensor
    w_max: Tensor
    scale_up: Tensor
    scale_down: Tensor


@singledispatch
def response(device: PulsedDevice, hidden_parameters: Mapping[str, Tensor]) -> Response:
    r"""Return the response functions of every cell of an array (paper, section 1).

    Args:
        device: configuration of the array's pulsed device (presets included).
        hidden_parameters: name to ``[out_size, in_size]`` tensor, as from
            ``tile.get_hidden_parameters()``. The cells of a unit cell carry suffixes, which the
            caller removes.

    Returns:
        :math:`q_+`, :math:`q_-`, :math:`F`, :math:`G`, :math:`G'`, noise and bounds per cell.

    Raises:
        ConfigError: if the device is not a pulsed device of aihwkit, or a hidden parameter is
            missing or not finite.
    """
    raise ConfigError(
        f"device={type(device).__name__} has no known response function. Pass one of aihwkit's "
        "pulsed devices (for a unit cell or compound: one of its unit_cell_devices), or register "
        "the response of your own with aihwkit_dspt.response.register."
    )


def _get(hidden_parameters: Mapping[str, Tensor], name: str, device: PulsedDevice) -> Tensor:
    if not isinstance(hidden_parameters, AnyMapping):
        raise ConfigError(
            f"hidden_parameters={shown(hidden_parameters)} is not valid: pass the dictionary that "
            "tile.get_hidden_parameters() returns"
        )
    if name not in hidden_parameters:
        raise ConfigError(
            f"hidden_parameters has no '{name}', which {type(device).__name__} needs; it has "
            f"{sorted(hidden_parameters)}. Pass the hidden parameters of an array of this device."
        )
    values = hidden_parameters[name]
    return require_numbers(f"hidden_parameters['{name}']", values, error=ConfigError).double()


def _cells(
    device: PulsedDevice, hidden: Mapping[str, Tensor], reference: Tensor | float = 0.0
) -> _Cells:
    dw_min = SimulatedNumbers.of(device).dw_min
    return _Cells(
        dw_min,
        _get(hidden, "min_bound", device) - reference,
        _get(hidden, "max_bound", device) - reference,
        _get(hidden, "dwmin_up", device) / dw_min,
        _get(hidden, "dwmin_down", device) / dw_min,
    )


def _linear(
    device: PulsedDevice,
    cells: _Cells,
    up: tuple[Tensor, Tensor],
    down: tuple[Tensor, Tensor],
    mult: bool,
) -> LinearResponse:
    none = torch.zeros_like(cells.w_min)
    std = device.dw_min_std
    return LinearResponse(
        cells.dw_min,
        cells.w_min,
        cells.w_max,
        *up,
        *down,
        *((std * up[0], std * up[1]) if mult else (std * cells.scale_up, none)),
        *((std * down[0], std * down[1]) if mult else (std * cells.scale_down, none)),
    )


@response.register(ConstantStepDevice)
def _(device: ConstantStepDevice, hidden_parameters: Mapping[str, Tensor]) -> Response:
    cells = _cells(device, hidden_parameters)
    none = torch.zeros_like(cells.w_min)
    return _linear(device, cells, (cells.scale_up, none), (cells.scale_down, none), mult=True)


@response.register(LinearStepDevice)
@response.register(SoftBoundsDevice)
def _(device: PulsedDevice, hidden_parameters: Mapping[str, Tensor]) -> Response:
    cells = _cells(device, hidden_parameters)
    slope_up = _get(hidden_parameters, "slope_up", device) / cells.dw_min
    slope_down = _get(hidden_parameters, "slope_down", device) / cells.dw_min
    up, down = (cells.scale_up, slope_up), (cells.scale_down, slope_down)
    return _linear(device, cells, up, down, device.mult_noise)


@response.register(SoftBoundsReferenceDevice)
def _(device: SoftBoundsReferenceDevice, hidden_parameters: Mapping[str, Tensor]) -> Response:
    reference = _get(hidden_parameters, "reference", device)
    cells = _cells(device, hidden_parameters, reference)
    w_max, w_min = cells.w_max + reference, cells.w_min + reference
    # aihwkit drops the weight dependence where a bound lies on the wrong side of zero.
    up_1 = torch.where(w_max > 0, -cells.scale_up / w_max, 0.0)
    down_1 = torch.where(w_min < 0, -cells.scale_down / w_min, 0.0)
    up = (cells.scale_up + up_1 * reference, up_1)
    down = (cells.scale_down + down_1 * reference, down_1)
    return _linear(device, cells, up, down, device.mult_noise)


@response.register(ExpStepDevice)
def _(device: ExpStepDevice, hidden_parameters: Mapping[str, Tensor]) -> Response:
    return ExpResponse(
        *_cells(device, hidden_parameters),
        A_up=device.A_up,
        A_down=device.A_down,
        gamma_up=device.gamma_up,
        gamma_down=device.gamma_down,
        a=device.a,
        b=device.b,
        noise=device.dw_min_std,
        noise_add=device.dw_min_std * device.dw_min_std_add,
        noise_slope=device.dw_min_std * device.dw_min_std_slope,
    )


@response.register(PowStepDevice)
@response.register(PowStepReferenceDevice)
def _(device: PulsedDevice, hidden_parameters: Mapping[str, Tensor]) -> Response:
    with_reference = isinstance(device, PowStepReferenceDevice)
    reference = _get(hidden_parameters, "reference", device) if with_reference else 0.0
    return PowResponse(
        *_cells(device, hidden_parameters, reference),
        gamma_up=_get(hidden_parameters, "gamma_up", device),
        gamma_down=_get(hidden_parameters, "gamma_down", device),
        noise=device.dw_min_std,
    )


@response.register(PiecewiseStepDevice)
def _(device: PiecewiseStepDevice, hidden_parameters: Mapping[str, Tensor]) -> Response:
    return PiecewiseResponse(
        *_cells(device, hidden_parameters),
        nodes_up=tuple(float(value) for value in device.piecewise_up),
        nodes_down=tuple(float(value) for value in device.piecewise_down),
        noise=device.dw_min_std,
    )
