"""Every read parameter is either covered by the batched product or named as the obstacle."""

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

from aihwkit_dspt.tiles.read_support import ANY_VALUE, SOME_VALUES, obstacle

PLAIN = IOParameters()
NAMES = [item.name for item in fields(IOParameters)]


def other_value(value: Any) -> Any:
    """Return a value that differs."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, Enum):
        return next(item for item in type(value) if item is not value)
    return value + 1 if isinstance(value, (int, float)) else [1.0]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SOME_VALUES])
def test_numbers(name: str) -> None:
    """A field that is not covered is an obstacle as soon as it differs from the default."""
    io = IOParameters()
    setattr(io, name, other_value(getattr(PLAIN, name)))
    found = obstacle(io, backward=False)
    assert found is None if name in ANY_VALUE else found is not None and found.startswith(name)


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
    assert obstacle(IOParameters(is_perfect=True, ir_drop=1.0), backward=False) is None
    assert obstacle(IOParameters(mv_type=AnalogMVType.IDEAL, ir_drop=1.0), False) is None
