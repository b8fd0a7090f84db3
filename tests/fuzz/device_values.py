"""Values of the fields of all devices, and of the unit cells that are made of them."""

from __future__ import annotations

from random import Random
from typing import Any, Dict, List, Tuple

from aihwkit.simulator.configs import compounds, devices
from aihwkit.simulator.parameters.enums import VectorUnitCellUpdatePolicy
from aihwkit.simulator.presets.devices import PCMPresetDevice

from tests.fuzz.plan import Plan, Table, draw
from tests.fuzz.values import BOOLEAN, IO, UPDATE, number
from tests.table import DEVICES as PRESETS

COMMON: Table = {
    "construction_seed": number([0, 7], -1, 2**40),
    "corrupt_devices_prob": number([0.0, 0.3], -0.1),
    "corrupt_devices_range": number([0.0, 0.1], -1.0),
    "diffusion": number([0.0, 1e-3], -1e-3),
    "diffusion_dtod": number([0.0, 0.2], -0.2),
    "drift": ([Plan(devices.DriftParameter, {"nu": 0.01, "nu_dtod": 0.0})], [None, 0.1]),
    "dw_min": number([1e-3, 0.01, 0.1], 0.0, -0.01, 1e-30),
    "dw_min_dtod": number([0.0, 0.3], -0.3),
    "dw_min_dtod_log_normal": BOOLEAN,
    "dw_min_std": number([0.0, 0.3], -0.3, 1e6),
    "enforce_consistency": BOOLEAN,
    "lifetime": number([0.0, 100.0], 0.5, -1.0),
    "lifetime_dtod": number([0.0, 0.1], -0.1),
    "perfect_bias": ([False], [None]),
    "reset": number([0.0, 0.05]),
    "reset_dtod": number([0.0, 0.1], -0.1),
    "reset_std": number([0.0, 0.01], -0.1),
    "up_down": number([0.0, 0.1, -0.2], 1.0, -1.0, 3.0),
    "up_down_dtod": number([0.0, 0.01], -0.1),
    "w_max": number([0.6, 1.0], 0.0, -0.1),
    "w_max_dtod": number([0.0, 0.3], -0.3, 5.0),
    "w_min": number([-0.6, -1.0], 0.0, 0.1),
    "w_min_dtod": number([0.0, 0.3], -0.3, 5.0),
    "count_pulses": BOOLEAN,
}
"""Fields of ``PulsedDevice``."""

WRITE_NOISE: Table = {
    "write_noise_std": number([0.0, 0.5, 3.0], -0.5),
    "apply_write_noise_on_set": BOOLEAN,
}
REVERSED: Table = {
    "mult_noise": BOOLEAN,
    "reverse_up": ([False], [True]),
    "reverse_down": ([False], [True]),
    "reverse_offset": number([0.01, 0.1], -0.1),
}
POWER: Table = {
    "pow_gamma": number([1.0, 1.5], -1.0),
    "pow_gamma_dtod": number([0.0, 0.1], -0.1),
    "pow_up_down": number([0.0, 0.2]),
    "pow_up_down_dtod": number([0.0, 0.1], -0.1),
}
REFERENCE: Table = {
    "reference_mean": number([0.0, 0.2]),
    "reference_std": number([0.0, 0.1], -0.1),
    "subtract_symmetry_point": BOOLEAN,
}

OWN: Dict[str, Table] = {
    "ConstantStepDevice": {},
    "LinearStepDevice": {
        "gamma_up": number([0.0, 0.4], 5.0, -1.0),
        "gamma_down": number([0.0, 0.4], 5.0, -1.0),
        "gamma_up_dtod": number([0.0, 0.05], -0.1),
        "gamma_down_dtod": number([0.0, 0.05], -0.1),
        "allow_increasing": BOOLEAN,
        "mean_bound_reference": BOOLEAN,
        **REVERSED,
        **WRITE_NOISE,
    },
    "SoftBoundsDevice": {**REVERSED, **WRITE_NOISE},
    "SoftBoundsPmaxDevice": {
        "p_max": number([1000, 100], 0, -5),
        "alpha": number([0.0005, 0.01], 0.0),
        "range_min": number([-1.0, -0.5], 2.0),
        "range_max": number([1.0, 0.5], -2.0),
        **REVERSED,
        **WRITE_NOISE,
    },
    "SoftBoundsReferenceDevice": {
        "mult_noise": BOOLEAN,
        "slope_up_dtod": number([0.0, 0.1], -0.1),
        "slope_down_dtod": number([0.0, 0.1], -0.1),
        **REFERENCE,
        **WRITE_NOISE,
    },
    "ExpStepDevice": {
        "A_up": number([0.00081, 0.0], 1e9),
        "A_down": number([0.36833, 0.0], 1e9),
        "gamma_up": number([12.44625, 1.0], 1e9),
        "gamma_down": number([12.78785, 1.0], 1e9),
        "a": number([0.244]),
        "b": number([0.2425]),
        "dw_min_std_add": number([0.0, 0.1], -0.1),
        "dw_min_std_slope": number([0.0, 0.1]),
        **WRITE_NOISE,
    },
    "PowStepDevice": {**POWER, **WRITE_NOISE},
    "PowStepReferenceDevice": {
        "n_estimation_steps": number([-1, 50]),
        **POWER,
        **REFERENCE,
    },
    "PiecewiseStepDevice": {
        "piecewise_up": ([[0.8, 1.0, 1.2]], [[], 1.0, [0.8, 1.0], [float("nan")] * 3]),
        "piecewise_down": ([[1.1, 1.0, 0.9]], [[], None]),
        **WRITE_NOISE,
    },
}
"""Pulsed device -> fields of its own."""

HIDDEN = ("w_min", "w_max", "dw_min", "up_down")
"""Fields that ``SoftBoundsPmaxDevice`` computes from its own."""

WITHOUT_STEPS: List[Any] = [
    devices.IdealDevice,
    devices.FloatingPointDevice,
    compounds.MixedPrecisionCompound,
    compounds.DigitalRankUpdateCell,
    devices.PulsedDevice,
    compounds.UnitCell,
]
"""What is no device of pulses; a tracking compound has to refuse it."""


def device_table(name: str) -> Table:
    """Return the values of all fields of a pulsed device."""
    table = {**COMMON, **OWN[name]}
    if name == "SoftBoundsPmaxDevice":
        return {field: values for field, values in table.items() if field not in HIDDEN}
    return table


def draw_device(random: Random) -> Plan:
    """Return a plan of a pulsed device, or of a preset."""
    if random.random() < 0.3:
        return Plan(PRESETS[random.choice(sorted(PRESETS))])
    name = random.choice(sorted(OWN))
    return draw(random, getattr(devices, name), device_table(name), random.choice([0.1, 0.4]))


POLICY: Table = {
    "update_policy": (list(VectorUnitCellUpdatePolicy), [None, "All"]),
    "first_update_idx": number([0, 1], 7, -1),
}
ONE_SIDED: Table = {
    "refresh_every": number([0, 1, 3], -1),
    "units_in_mbatch": BOOLEAN,
    "refresh_upper_thres": number([0.75, 0.3]),
    "refresh_lower_thres": number([0.25, 0.9]),
    "copy_inverted": BOOLEAN,
}
CELLS: Dict[str, Tuple[Table, int]] = {
    "VectorUnitCell": ({**POLICY, "gamma_vec": ([[], [1.0, 0.5]], [[1.0], [1.0] * 5])}, 2),
    "ReferenceUnitCell": ({"construction_seed": number([0, 3])}, 2),
    "OneSidedUnitCell": (ONE_SIDED, 1),
    "DifferenceUnitCell": (ONE_SIDED, 1),
}
"""Unit cell -> values of its fields, number of kinds of devices."""


def draw_cell(random: Random) -> Plan:
    """Return a plan of a unit cell: of two devices, or a pair of one-sided ones."""
    name = random.choice(sorted(CELLS))
    table, n_devices = CELLS[name]
    plan = draw(random, getattr(compounds, name), table, 0.4)
    cells = [draw_device(random) for _ in range(n_devices)]
    # Reference and one-sided cells take the same device twice.
    plan.settings["unit_cell_devices"] = [cells[0], cells[-1 if n_devices == 2 else 0]]
    if name in ("OneSidedUnitCell", "DifferenceUnitCell"):
        plan.settings["refresh_forward"] = draw(random, IO[0], IO[1], 0.1)
        plan.settings["refresh_update"] = draw(random, UPDATE[0], UPDATE[1], 0.1)
        if random.random() < 0.3:
            plan.settings["unit_cell_devices"] = [Plan(PCMPresetDevice)] * 2
    return plan


def draw_any(random: Random) -> Plan:
    """Return a plan of one array's device: pulsed device, unit cell or (seldom) a nested cell."""
    if random.random() < 0.6:
        return draw_device(random)
    plan = draw_cell(random)
    if random.random() < 0.15:
        inner = draw_cell(random)
        plan.settings["unit_cell_devices"] = [inner, inner]
    elif random.random() < 0.1:
        compound = random.choice(
            [
                compounds.TransferCompound,
                compounds.BufferedTransferCompound,
                compounds.ChoppedTransferCompound,
                compounds.DynamicTransferCompound,
            ]
        )
        plan = Plan(compound, {"unit_cell_devices": [draw_device(random), draw_device(random)]})
    return plan
