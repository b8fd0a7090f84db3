"""Which read parameters the batched product covers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Dict, Optional, Tuple

from aihwkit.simulator.parameters.enums import (
    AnalogMVType,
    BoundManagementType,
    NoiseManagementType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters

ANY_VALUE = {
    "is_perfect",
    "inp_bound",
    "inp_noise",
    "inp_res",
    "inp_sto_round",
    "inp_asymmetry",
    "out_bound",
    "out_noise",
    "out_res",
    "out_sto_round",
    "out_scale",
    "out_asymmetry",
    "w_noise",
    "max_bm_factor",
    "max_bm_res",
    "nm_thres",
    "nm_assumed_wmax",
}
"""Covered with any value."""

SOME_VALUES: Dict[str, Tuple[Any, ...]] = {
    "mv_type": (AnalogMVType.IDEAL, AnalogMVType.ONE_PASS),
    "noise_management": (
        NoiseManagementType.NONE,
        NoiseManagementType.ABS_MAX,
        NoiseManagementType.ABS_MAX_NP_SUM,
        NoiseManagementType.CONSTANT,
    ),
    "bound_management": (BoundManagementType.NONE, BoundManagementType.ITERATIVE),
    "w_noise_type": (WeightNoiseType.NONE, WeightNoiseType.ADDITIVE_CONSTANT),
}
"""Covered with these values. All other fields: with aihwkit's default."""

FORWARD_ONLY = {"bound_management", "bm_test_negative_bound"}
"""Without effect in the backward direction: aihwkit manages no bounds there."""


def is_ideal(io: IOParameters) -> bool:
    """Return whether a read is the exact product."""
    return bool(io.is_perfect or io.mv_type is AnalogMVType.IDEAL)


def obstacle(io: IOParameters, backward: bool) -> Optional[str]:
    """Return the first setting that the batched product does not cover, ``None`` if there is none.

    Args:
        io: the read parameters.
        backward: whether they are those of the backward direction.
    """
    if is_ideal(io):
        return None
    plain = IOParameters()
    for item in fields(io):
        name, value = item.name, getattr(io, item.name)
        allowed = SOME_VALUES.get(name, (getattr(plain, name, None),))
        if name in ANY_VALUE or value in allowed or (backward and name in FORWARD_ONLY):
            continue
        return f"{name}={value}"
    return None
