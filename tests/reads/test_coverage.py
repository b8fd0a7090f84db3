"""Every read parameter is either covered by a form or named as the obstacle."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from typing import Any

import pytest
from aihwkit.simulator.parameters.enums import (
    AnalogMVType,
    BoundManagementType,
    NoiseManagementType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt.reads.coverage import COVERAGE, Form, covers, obstacle

DEFAULTS = IOParameters()
NAMES = [item.name for item in fields(IOParameters)]
CHOICES = [name for name in NAMES if isinstance(getattr(DEFAULTS, name), Enum)]


def other_value(value: Any) -> Any:
    """Return a value that differs."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, (int, float)) else [1.0]


@pytest.mark.parametrize("form", Form, ids=str)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in CHOICES])
def test_numbers(name: str, form: Form) -> None:
    """A field that the table does not list is an obstacle where it differs from the default."""
    io = IOParameters()
    setattr(io, name, other_value(getattr(DEFAULTS, name)))
    io.bound_management = BoundManagementType.NONE
    found = obstacle(io, False, form)
    if name == "is_perfect":
        assert found is None
    elif name not in COVERAGE[form]:
        assert found is not None
        assert found.startswith(f"{name}=")
    else:
        # Or the value is one that this form does not cover, which is named as well.
        io.noise_management = NoiseManagementType.ABS_MAX
        assert found is None or found.startswith((f"{name}=", "noise_management="))


EFFECTS = {
    Form.PLAIN: set(),
    Form.CONVERTERS: {"inp_noise", "inp_sto_round", "inp_asymmetry", "out_sto_round"},
    Form.LINE_ALONE: {"inp_noise", "inp_asymmetry", "out_asymmetry"},
}
EFFECTS[Form.ONE_PASS] = {*EFFECTS[Form.CONVERTERS], "out_asymmetry"}
EFFECTS[Form.LINE_ONE_PASS] = EFFECTS[Form.ONE_PASS]
"""What a form has no place for, of what plain torch covers."""


@pytest.mark.parametrize("form", Form, ids=str)
def test_what_plain_torch_covers(form: Form) -> None:
    """All forms cover the numbers that plain torch does but for some effects."""
    left_out = set()
    for name in COVERAGE[Form.PLAIN]:
        if name in NAMES and name not in CHOICES:  # not every aihwkit has all
            io = IOParameters(bound_management=BoundManagementType.NONE)
            setattr(io, name, other_value(getattr(DEFAULTS, name)))
            if not covers(form, io, False):
                left_out.add(name)
    assert left_out == EFFECTS[form]


@pytest.mark.parametrize("name", ["inp_noise", "out_asymmetry", "w_noise"])
def test_effects_that_are_off(name: str) -> None:
    """A number that is not positive has no effect, and is covered by all."""
    additive = WeightNoiseType.ADDITIVE_CONSTANT
    io = IOParameters(bound_management=BoundManagementType.NONE, w_noise_type=additive)
    setattr(io, name, -1.0)
    assert all(covers(form, io, False) for form in Form)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mv_type", AnalogMVType.POS_NEG_SEPARATE),
        ("noise_management", NoiseManagementType.MAX),
        ("noise_management", NoiseManagementType.AVERAGE_ABS_MAX),
        ("bound_management", BoundManagementType.ITERATIVE_WORST_CASE),
        ("w_noise_type", WeightNoiseType.PCM_READ),
    ],
)
def test_choices(name: str, value: Any) -> None:
    """What is not covered is named with its value."""
    assert obstacle(IOParameters(**{name: value}), backward=False) == f"{name}={value}"
    backward = obstacle(IOParameters(**{name: value}), backward=True)
    assert (backward is None) == (name == "bound_management")


def test_ideal_reads_have_no_obstacle() -> None:
    """All other settings are without effect then."""
    for form in Form:
        assert covers(form, IOParameters(is_perfect=True, ir_drop=1.0), backward=False)
        assert covers(form, IOParameters(mv_type=AnalogMVType.IDEAL, ir_drop=1.0), False)
