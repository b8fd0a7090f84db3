"""Checks of update and read parameters, before aihwkit's C++ sees them."""

from __future__ import annotations

from aihwkit.simulator.parameters.enums import NoiseManagementType, PulseType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.training import UpdateParameters

from aihwkit_dspt.configs.checks import is_whole, require, require_enum, require_number
from aihwkit_dspt.configs.declared import check_declared

LONGEST = 2**20
"""Longest pulse train that an array gets memory for."""

SMALLEST = 1e-30
"""Numbers divided by less are too large for single precision."""


def check_update(field: str, update: UpdateParameters) -> None:
    """Check how pulses are generated.

    ``PulseType.NONE`` is refused: aihwkit then replaces the device by floating-point numbers
    without bounds (and its compounds by a single array without a learning rule).

    Raises:
        ConfigError: if a value is not valid, or aihwkit would silently send no pulse with it.
    """
    is_update = isinstance(update, UpdateParameters)
    require(is_update, field, update, "pass UpdateParameters()")
    require_enum(f"{field}.pulse_type", update.pulse_type, PulseType)
    require(
        update.pulse_type is not PulseType.NONE,
        f"{field}.pulse_type",
        update.pulse_type,
        "there would be no device; pass PulseType.NONE_WITH_DEVICE for updates without pulses that "
        "keep the bounds of the devices, or a pulsed type",
    )
    length = update.desired_bl
    require(
        is_whole(length) and 1 <= length <= LONGEST,
        f"{field}.desired_bl",
        length,
        f"at least one pulse has to fit into a train; pass a whole number, 1 or more, up to "
        f"{LONGEST}",
    )
    require_number(f"{field}.um_grad_scale", update.um_grad_scale, low=0.0, low_open=True)
    for name in ("res", "x_res_implicit", "d_res_implicit"):
        # aihwkit ignores that it documents a number of steps: every value is rounded to zero.
        require_number(f"{field}.{name}", getattr(update, name), high=1.0)
    check_declared(field, update)


def check_io(field: str, parameters: IOParameters, is_managed: bool = True) -> None:
    """Check the parameters in a field, which say how an array is read.

    ``is_managed`` says whether their noise management is used.

    Raises:
        ConfigError: if a number is not finite, or aihwkit refuses the settings or reads nan.
    """
    is_read = isinstance(parameters, IOParameters)
    require(is_read, field, parameters, "pass IOParameters()")
    check_declared(field, parameters)
    if parameters.is_perfect:
        return
    scaled = is_managed and parameters.noise_management is not NoiseManagementType.NONE
    require(
        not scaled or parameters.inp_bound == 1.0,
        f"{field}.inp_bound",
        parameters.inp_bound,
        "with noise management inputs are scaled to 1; pass 1.0, or "
        "noise_management=NoiseManagementType.NONE",
    )
    for side in ("inp", "out"):
        # A bound of zero or less is none, and a resolution is a part of the bound.
        bound, res = (getattr(parameters, f"{side}_{name}") for name in ("bound", "res"))
        remedy = f"without a bound there is no range to divide; pass {side}_bound > 0 or "
        remedy += f"{side}_res=-1"
        require(bound > 0.0 or res <= 0.0, f"{field}.{side}_bound", bound, remedy)
        # Steps that single precision hardly has keep aihwkit rounding for ever.
        fits = res <= 0.0 or res >= SMALLEST
        require(fits, f"{field}.{side}_res", res, f"pass {SMALLEST} at least, or -1 for no steps")


def check_mapping(mapping: object) -> None:
    """Check how layers are mapped to tiles.

    Raises:
        ConfigError: if a value is not of its declared type, or output scales would not be finite.
    """
    check_declared("mapping", mapping)
    omega = getattr(mapping, "weight_scaling_omega", 0.0)
    require(
        omega <= 0.0 or omega >= SMALLEST,
        "mapping.weight_scaling_omega",
        omega,
        "output scales would be infinite; pass 0 for none, or the largest weight that is wanted",
    )
