"""Settings with which nothing in a training is random."""

from __future__ import annotations

from aihwkit.simulator.parameters.enums import PulseType, VectorUnitCellUpdatePolicy
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.training import UpdateParameters

from tests.fuzz.plan import Plan

QUIET = {
    "dw_min_std": 0.0,
    "dw_min_std_add": 0.0,
    "dw_min_std_slope": 0.0,
    "write_noise_std": 0.0,
    "diffusion": 0.0,
    "diffusion_dtod": 0.0,
    "reset_std": 0.0,
}
"""Fields of devices that make pulses or their effect random."""

READS = ("forward", "backward", "transfer_forward", "refresh_forward")
PULSES = ("update", "transfer_update", "refresh_update")


def make_quiet(config: Plan) -> None:
    """Take all randomness out of a configuration; variation among cells stays."""
    for part in list(config.parts()):
        table = part.table
        for name, value in QUIET.items():
            if name in table:
                part.settings[name] = value
        if "update_policy" in table:
            part.settings["update_policy"] = VectorUnitCellUpdatePolicy.ALL
        for name in READS:
            if name in part.settings:
                part.settings[name] = Plan(IOParameters, {"is_perfect": True})
        for name in PULSES:
            if name in part.settings:
                part.settings[name] = _pulses(part.settings[name])
    compound = config.settings["device"]
    devices = compound.settings["unit_cell_devices"]
    compound.settings["unit_cell_devices"] = [_quiet_device(device) for device in devices]
    compound.settings["transfer_forward"] = Plan(IOParameters, {"is_perfect": True})
    compound.settings["transfer_update"] = _pulses(compound.settings.get("transfer_update"))
    if "reference_device" in compound.settings:
        device = compound.settings["reference_device"]
        compound.settings["reference_device"] = _quiet_device(device)
    for name in ("forward", "backward"):
        config.settings[name] = Plan(IOParameters, {"is_perfect": True})
    config.settings["update"] = _pulses(config.settings.get("update"))


def _pulses(plan: object) -> Plan:
    settings = {"pulse_type": PulseType.DETERMINISTIC_IMPLICIT}
    if isinstance(plan, Plan) and "desired_bl" in plan.settings:
        settings["desired_bl"] = plan.settings["desired_bl"]
    return Plan(UpdateParameters, settings)


def _quiet_device(plan: Plan) -> Plan:
    """Return the plan, or that of a quiet device in place of a preset or compound."""
    from aihwkit.simulator.configs.devices import SoftBoundsDevice

    from tests.fuzz.device_values import device_table

    inner = list(plan.parts())
    if all(part.table for part in inner if part.make.__name__.endswith(("Device", "Cell"))) and (
        not any(part.make.__name__.endswith("Compound") for part in inner)
    ):
        return plan
    return Plan(SoftBoundsDevice, dict(QUIET_SOFT), device_table("SoftBoundsDevice"))


QUIET_SOFT = {"dw_min_std": 0.0, "dw_min": 0.01}
