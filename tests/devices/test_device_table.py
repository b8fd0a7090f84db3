"""The table of devices has a row for every pulsed device of aihwkit, so that none goes untested."""

from __future__ import annotations

from typing import Any, Set

import pytest
from aihwkit.simulator.configs import devices
from aihwkit.simulator.configs.devices import PulsedDevice

from aihwkit_dspt.pulses.coverage import DEVICES as WITH_BATCHED_PULSES
from tests.device_table import ALL_VARIED, NOISY, PULSED, QUIET

CLASSES = {
    kind
    for kind in vars(devices).values()
    if isinstance(kind, type) and issubclass(kind, PulsedDevice) and kind is not PulsedDevice
}


def kinds(rows: Any) -> Set[type]:
    """Return the classes of devices, or of what makes them."""
    return {base for row in rows for base in type(row() if callable(row) else row).__mro__}


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        (QUIET.values(), CLASSES),
        (ALL_VARIED.values(), CLASSES),
        (NOISY.values(), set(WITH_BATCHED_PULSES)),
    ],
    ids=["quiet", "varied", "noisy"],
)
def test_every_class_has_a_row(rows: Any, wanted: Set[type]) -> None:
    """A class that aihwkit or this package adds is missed."""
    assert wanted <= kinds(rows)


def test_names_of_classes() -> None:
    """One name for each."""
    assert set(PULSED.values()) == CLASSES
