"""The one table of which form of a read covers which read parameters."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any, Callable, Dict, Optional

from aihwkit.simulator.parameters.enums import (
    AnalogMVType,
    BoundManagementType,
    NoiseManagementType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt.reads.law import is_ideal


class Form(Enum):
    """Ways to simulate a read, other than aihwkit's tile of the whole array, which covers all."""

    PLAIN = "plain torch operations"
    CONVERTERS = "converters in one pass each around a product"
    ONE_PASS = "converters and product in one pass"
    LINE_ALONE = "aihwkit's tile of one line, as if the others, at zero input, were not there"
    LINE_ONE_PASS = "one line in one pass"


Rule = Callable[[object, IOParameters], bool]


def _any(value: object, io: IOParameters) -> bool:
    return True


def _off(value: Any, io: IOParameters) -> bool:
    """Allow numbers that have no effect: those that are not positive, and False."""
    return not value > 0


def _one_of(*allowed: object) -> Rule:
    return lambda value, io: value in allowed


def _no_weight_noise(value: object, io: IOParameters) -> bool:
    return value is WeightNoiseType.NONE or (
        value is WeightNoiseType.ADDITIVE_CONSTANT and not io.w_noise > 0.0
    )


_PLAIN: Dict[str, Rule] = {
    **dict.fromkeys(("is_perfect", "nm_thres", "nm_assumed_wmax", "max_bm_factor"), _any),
    **dict.fromkeys(("max_bm_res", "w_noise"), _any),
    **dict.fromkeys(("inp_bound", "inp_noise", "inp_res", "inp_sto_round", "inp_asymmetry"), _any),
    **dict.fromkeys(("out_bound", "out_noise", "out_res", "out_sto_round", "out_asymmetry"), _any),
    "out_scale": _any,
    "mv_type": _one_of(AnalogMVType.IDEAL, AnalogMVType.ONE_PASS),
    "noise_management": _one_of(
        NoiseManagementType.NONE,
        NoiseManagementType.ABS_MAX,
        NoiseManagementType.ABS_MAX_NP_SUM,
        NoiseManagementType.CONSTANT,
    ),
    "bound_management": _one_of(BoundManagementType.NONE, BoundManagementType.ITERATIVE),
    "w_noise_type": _one_of(WeightNoiseType.NONE, WeightNoiseType.ADDITIVE_CONSTANT),
}

_CONVERTERS: Dict[str, Rule] = {
    **_PLAIN,
    **dict.fromkeys(("inp_noise", "inp_sto_round", "out_sto_round"), _off),
    "inp_asymmetry": _one_of(0.0),
    "noise_management": _one_of(NoiseManagementType.ABS_MAX),
}

COVERAGE: Dict[Form, Dict[str, Rule]] = {
    Form.PLAIN: _PLAIN,
    Form.CONVERTERS: _CONVERTERS,
    Form.ONE_PASS: {**_CONVERTERS, "out_asymmetry": _off, "w_noise_type": _no_weight_noise},
    Form.LINE_ALONE: {
        **{name: _any for name in _PLAIN if name != "mv_type"},
        **dict.fromkeys(("nm_decay", "bm_test_negative_bound"), _any),
        # Noise of the lines at zero would come along.
        **dict.fromkeys(("inp_noise", "out_asymmetry"), _off),
        "inp_asymmetry": _one_of(0.0),
    },
    Form.LINE_ONE_PASS: {
        **_PLAIN,
        **dict.fromkeys(("inp_noise", "inp_sto_round", "out_sto_round", "out_asymmetry"), _off),
        "inp_asymmetry": _one_of(0.0),
        "bound_management": _one_of(BoundManagementType.NONE),
    },
}
"""Form -> field -> which values it covers. A field that is not listed: aihwkit's default only."""

FORWARD_ONLY = {"bound_management", "bm_test_negative_bound"}
"""Without effect in the backward direction: aihwkit manages no bounds there."""


def obstacle(io: IOParameters, backward: bool, form: Form = Form.PLAIN) -> Optional[str]:
    """Return the first setting, as ``field=value``, that a form does not cover, else ``None``."""
    if is_ideal(io):
        return None
    plain, rules = IOParameters(), COVERAGE[form]
    for item in fields(io):
        name, value = item.name, getattr(io, item.name)
        if backward and name in FORWARD_ONLY:
            continue
        rule = rules.get(name)
        if not (value == getattr(plain, name, None) if rule is None else rule(value, io)):
            return f"{name}={value}"
    return None


def covers(form: Form, io: IOParameters, backward: bool) -> bool:
    """Return whether a form covers all settings of read parameters; see :func:`obstacle`."""
    return obstacle(io, backward, form) is None
