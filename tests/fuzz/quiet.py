"""Settings with which nothing in a training is random."""

from __future__ import annotations

from typing import Any, Dict, Optional

from aihwkit.simulator.configs.devices import DriftParameter, SoftBoundsDevice
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


PARAMETERS = (IOParameters, UpdateParameters, DriftParameter)


def make_quiet(config: Plan) -> None:
    """Take all randomness out of a configuration; variation among cells stays."""
    for part in list(config.parts()):
        table = part.table
        for name, value in QUIET.items():
            if name in table:
                part.settings[name] = value
        if "update_policy" in table:
            part.settings["update_policy"] = VectorUnitCellUpdatePolicy.ALL
        if "refresh_update" in part.settings:
            part.settings["refresh_forward"] = _perfect()
            part.settings["refresh_update"] = _pulses(part.settings["refresh_update"])
    compound = config.settings["device"]
    devices = compound.settings["unit_cell_devices"]
    compound.settings["unit_cell_devices"] = [_quiet_device(device) for device in devices]
    if "reference_device" in compound.settings:
        device = compound.settings["reference_device"]
        compound.settings["reference_device"] = _quiet_device(device)
    for part, reads, pulses in (
        (compound, ("transfer_forward",), "transfer_update"),
        (config, ("forward", "backward"), "update"),
    ):
        part.settings.update({name: _perfect() for name in reads})
        part.settings[pulses] = _pulses(part.settings.get(pulses))


def _perfect() -> Plan:
    return Plan(IOParameters, {"is_perfect": True})


def _pulses(plan: Optional[Plan]) -> Plan:
    settings: Dict[str, Any] = {"pulse_type": PulseType.DETERMINISTIC_IMPLICIT}
    if plan is not None and "desired_bl" in plan.settings:
        settings["desired_bl"] = plan.settings["desired_bl"]
    return Plan(UpdateParameters, settings)


def _quiet_device(plan: Plan) -> Plan:
    """Return the plan, or that of a quiet device in place of a preset or a compound."""
    devices = [part for part in plan.parts() if part.make not in PARAMETERS]
    if all(part.table for part in devices):
        return plan
    return Plan(SoftBoundsDevice, {"dw_min_std": 0.0, "dw_min": 0.01})
