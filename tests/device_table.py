"""The table of aihwkit's pulsed devices for all tests: without chance, with variation, with noise.

``table.py`` has the presets and the methods.
"""

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
from aihwkit.simulator.presets.devices import (
    CapacitorPresetDevice,
    EcRamPresetDevice,
    PCMPresetDevice,
    ReRamArrayHfO2PresetDevice,
    ReRamESPresetDevice,
    ReRamSBPresetDevice,
)

from tests.table import DEVICES as PRESETS

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


QUIET: Dict[str, Callable[[], Any]] = {
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

QUIET_AND_CELLS: Dict[str, Callable[[], Any]] = {**QUIET, **CELLS}

SEED = 20
VARIATION = {"construction_seed": SEED, "up_down_dtod": 0.1, "dw_min_dtod": 0.2}

VARIED: Dict[str, Any] = {
    "LinearStep": LinearStepDevice(gamma_up=0.3, gamma_down=0.5, dw_min=0.002, **VARIATION),
    "LinearStep-additive": LinearStepDevice(
        gamma_up=0.4, gamma_down=0.6, mult_noise=False, up_down=0.1, **VARIATION
    ),
    "SoftBounds": SoftBoundsDevice(dw_min=0.002, **VARIATION),
    "SoftBounds-write-noise": SoftBoundsDevice(
        dw_min=0.002, mult_noise=False, write_noise_std=2.0, **VARIATION
    ),
    "SoftBoundsPmax": SoftBoundsPmaxDevice(construction_seed=SEED, up_down_dtod=0.05),
    "SoftBoundsReference": SoftBoundsReferenceDevice(
        dw_min=0.002, reference_mean=0.2, reference_std=0.1, slope_up_dtod=0.1, **VARIATION
    ),
    "SoftBoundsReference-subtract": SoftBoundsReferenceDevice(
        dw_min=0.002,
        reference_mean=-0.1,
        reference_std=0.05,
        mult_noise=True,
        subtract_symmetry_point=True,
        **VARIATION,
    ),
    "ExpStep": ExpStepDevice(dw_min=0.002, **VARIATION),
    "PowStep": PowStepDevice(pow_gamma=1.3, pow_up_down_dtod=0.1, dw_min=0.004, **VARIATION),
    "PowStepReference": PowStepReferenceDevice(
        pow_gamma=0.8, reference_mean=0.1, reference_std=0.1, dw_min=0.004, **VARIATION
    ),
    "PiecewiseStep": PiecewiseStepDevice(
        piecewise_up=[1.5, 1.0, 0.9, 0.2], piecewise_down=[0.1, 0.8, 1.0, 1.3], **VARIATION
    ),
    "ReRamES": ReRamESPresetDevice(construction_seed=SEED, dw_min_std=1.0, write_noise_std=5.0),
    "ReRamSB": ReRamSBPresetDevice(construction_seed=SEED),
    "EcRam": EcRamPresetDevice(construction_seed=SEED),
    # One of its down pulses at the top crosses the whole range; smaller ones can be seen.
    "PCM": PCMPresetDevice(construction_seed=SEED, dw_min=0.0002, dw_min_std=0.05),
    "ReRamArrayHfO2": ReRamArrayHfO2PresetDevice(construction_seed=SEED, corrupt_devices_prob=0.05),
}

"""Name -> device with variation that has symmetric points: every class, and presets."""

WITHOUT_POINTS: Dict[str, Any] = {
    "ConstantStep": ConstantStepDevice(construction_seed=SEED),
    "ConstantStep-symmetric": ConstantStepDevice(
        construction_seed=SEED, up_down_dtod=0.0, dw_min_dtod=0.0
    ),
    "PiecewiseStep-one-node": PiecewiseStepDevice(construction_seed=SEED),
    "SoftBounds-up-only": SoftBoundsDevice(
        construction_seed=SEED, up_down=1.0, up_down_dtod=0.0, dw_min_dtod=0.0
    ),
    "LinearStep-reversed": LinearStepDevice(
        construction_seed=SEED, gamma_up=0.5, gamma_down=0.5, reverse_up=True, reverse_down=True
    ),
    "SoftBounds-corrupt": SoftBoundsDevice(construction_seed=SEED, corrupt_devices_prob=1.0),
}

"""Name -> device without points: steps do not depend on the weight, or go one way only."""

ALL_VARIED: Dict[str, Any] = {
    **VARIED,
    **WITHOUT_POINTS,
    "Capacitor": CapacitorPresetDevice(construction_seed=SEED),
}

NOISY: Dict[str, Callable[[], Any]] = {
    "constant": lambda: ConstantStepDevice(dw_min=0.002),
    "linear": lambda: LinearStepDevice(dw_min=0.002, gamma_up=0.3, gamma_down=0.2),
    "linear-additive": lambda: LinearStepDevice(dw_min=0.005, mult_noise=False),
    "soft": lambda: SoftBoundsDevice(dw_min=2 / 1200),
    "soft-coarse": lambda: SoftBoundsDevice(dw_min=0.1, dw_min_std=1.0),
    "p-max": SoftBoundsPmaxDevice,
    "reference": lambda: SoftBoundsReferenceDevice(
        dw_min=0.004, reference_mean=0.3, subtract_symmetry_point=True, mult_noise=False
    ),
    "exponential": lambda: ExpStepDevice(dw_min_std_add=0.1, dw_min_std_slope=0.2),
    "power": lambda: PowStepDevice(dw_min=0.01),
    "power-reference": lambda: PowStepReferenceDevice(dw_min=0.01),
    "write noise": lambda: SoftBoundsDevice(dw_min=0.01, write_noise_std=2.0),
    **{name: PRESETS[name] for name in ("ReRamArrayHfO2", "ReRamES", "ReRamSB", "EcRam")},
}
"""Name -> device with all of its chance; presets with write noise among them."""
