"""All methods with all that an update can do, for tests of interrupts and of other devices."""

from __future__ import annotations

from typing import Dict

from aihwkit_dspt import ESTIMATORS, LowPassFilter, TransferScope
from tests.helpers import quiet_device
from tests.table import METHODS, Settings

EVERY: Settings = {"transfer_every": 2.0, "units_in_mbatch": False, "transfer_lr": 3.0}

ESTIMATES: Dict[str, Settings] = {
    name: {"estimator": kind} for name, kind in ESTIMATORS.items() if kind is not LowPassFilter
}

VARIATIONS: Dict[str, Settings] = {
    "line": {},
    "rows": {"transfer_columns": False},
    "array": {"transfer_scope": TransferScope.ARRAY},
    "random choppers": {"in_chop_random": True, "out_chop_prob": 0.4},
    # The averages stand still: they depend on the size of the batch, not only on its vectors.
    "vector by vector": {"auto_scale": True, "auto_momentum": 1.0},
    "reference_device": {"reference_device": quiet_device(dw_min=0.02)},
    "other gamma": {},
    **ESTIMATES,
    "three arrays": {
        "unit_cell_devices": [quiet_device() for _ in range(3)],
        "transfer_every_vec": [2.0, 3.0],
    },
    # The next array joins in the update that is interrupted.
    "warm start": {
        "unit_cell_devices": [quiet_device() for _ in range(3)],
        "transfer_every_vec": [1.0, 3.0],
        "join_sweeps": 13,
    },
}


def _cases() -> Dict[str, Settings]:
    """Return settings of all methods with all variations that apply to them."""
    cases = {}
    for method, settings in METHODS.items():
        for name, variation in VARIATIONS.items():
            changed = {**EVERY, **settings, **variation}
            if name == "other gamma":
                changed["gamma"] = 0.0 if settings.get("gamma") else 0.3
            has_reference = method in ("AGAD", "two-stage", "RIDER", "E-RIDER")
            tracks = method in ("AGAD", "RIDER", "E-RIDER")
            applies = {"reference_device": has_reference, **dict.fromkeys(ESTIMATES, tracks)}
            if applies.get(name, True):
                cases[f"{method}, {name}"] = changed
    return cases


CASES = _cases()
"""Name -> settings of the compound."""
