"""Every pulsed device and unit cell of aihwkit without randomness, by name."""

from __future__ import annotations

from typing import Any, Callable, Dict, Type

from aihwkit.simulator.configs.compounds import (
    OneSidedUnitCell,
    ReferenceUnitCell,
    VectorUnitCell,
)
from aihwkit.simulator.configs.devices import (
    ConstantStepDevice,
    ExpStepDevice,
    LinearStepDevice,
    PiecewiseStepDevice,
    PowStepDevice,
    PowStepReferenceDevice,
    SoftBoundsDevice,
    SoftBoundsPmaxDevice,
    SoftBoundsReferenceDevice,
)
from aihwkit.simulator.parameters.enums import VectorUnitCellUpdatePolicy

PULSED: Dict[str, Type[Any]] = {
    "constant": ConstantStepDevice,
    "linear": LinearStepDevice,
    "soft": SoftBoundsDevice,
    "p_max": SoftBoundsPmaxDevice,
    "soft-reference": SoftBoundsReferenceDevice,
    "exp": ExpStepDevice,
    "pow": PowStepDevice,
    "pow-reference": PowStepReferenceDevice,
    "piecewise": PiecewiseStepDevice,
}
"""Name -> class; all classes of pulsed devices."""


def quiet(device: Any, **changes: Any) -> Any:
    """Return a device of a class without device-to-device and cycle-to-cycle variation."""
    noise = {
        name: 0.0 for name in vars(device()) if name.endswith(("_dtod", "_std")) and name != "p_max"
    }
    settings = {**noise, "reference_std": 0.0, "up_down": 0.2, "dw_min": 0.01, **changes}
    return device(**{name: value for name, value in settings.items() if hasattr(device(), name)})


def soft(**changes: Any) -> SoftBoundsDevice:
    """Return a quiet soft-bounds device."""
    device: SoftBoundsDevice = quiet(SoftBoundsDevice, **changes)
    return device


def _references() -> Dict[str, Any]:
    return {"reference_mean": 0.2, "subtract_symmetry_point": True}


DEVICES: Dict[str, Callable[[], Any]] = {
    "soft": soft,
    "soft-coarse": lambda: soft(dw_min=0.02, up_down=-0.1, w_max=0.9),
    "constant": lambda: quiet(ConstantStepDevice, dw_min=0.03),
    "linear": lambda: quiet(LinearStepDevice, dw_min=0.005, gamma_up=0.1),
    "p_max": lambda: quiet(SoftBoundsPmaxDevice, alpha=0.004),
    "soft-reference": lambda: quiet(SoftBoundsReferenceDevice, dw_min=0.04, **_references()),
    "exp": lambda: quiet(ExpStepDevice, dw_min=0.02),
    "pow": lambda: quiet(PowStepDevice, dw_min=0.03),
    "pow-reference": lambda: quiet(PowStepReferenceDevice, dw_min=0.03, **_references()),
    "piecewise": lambda: quiet(PiecewiseStepDevice, dw_min=0.007),
}
"""Name -> single device; each has another granularity."""

CELLS: Dict[str, Callable[[], Any]] = {
    "vector": lambda: VectorUnitCell(
        unit_cell_devices=[soft(), quiet(LinearStepDevice, dw_min=0.03)]
    ),
    "sequential": lambda: VectorUnitCell(
        unit_cell_devices=[soft(), quiet(SoftBoundsReferenceDevice, dw_min=0.03, **_references())],
        update_policy=VectorUnitCellUpdatePolicy.SINGLE_SEQUENTIAL,
        gamma_vec=[0.7, 0.5],
    ),
    "reference": lambda: ReferenceUnitCell(
        unit_cell_devices=[soft(dw_min=0.02), quiet(ConstantStepDevice, dw_min=0.03)]
    ),
    "one-sided": lambda: OneSidedUnitCell(unit_cell_devices=[soft(dw_min=0.02, up_down=0.0)]),
    "one-sided-inverted": lambda: OneSidedUnitCell(
        unit_cell_devices=[soft(dw_min=0.02)], copy_inverted=True
    ),
}
"""Name -> unit cell."""

ALL: Dict[str, Callable[[], Any]] = {**DEVICES, **CELLS}
