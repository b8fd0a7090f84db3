"""Settings of optimizers that arrays do not take are refused, or named once."""

from __future__ import annotations

import warnings
from typing import Any, Dict, List, Tuple

import pytest
from aihwkit.exceptions import ArgumentError
from aihwkit.optim import AnalogAdam, AnalogOptimizer, AnalogSGD
from torch.optim import SGD, AdamW

from aihwkit_dspt import analog_optimizer
from tests.helpers import difference
from tests.optim.models import batch, loss_of, states, tracking_network


def step(model: Any, optimizer: Any) -> List[str]:
    """Take two steps; return what was said of digital parameters."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(2):
            optimizer.zero_grad()
            loss_of(model, *batch()).backward()
            optimizer.step()
    return [str(each.message) for each in told if "digital parameters only" in str(each.message)]


MAKES: Dict[str, Any] = {
    "AnalogSGD": lambda model, **more: AnalogSGD(model.parameters(), lr=0.1, **more),
    "AnalogAdam": lambda model, **more: AnalogAdam(model.parameters(), lr=0.1, **more),
    "AnalogOptimizerAdamW": lambda model, **more: AnalogOptimizer(
        AdamW, model.parameters(), lr=0.1, **more
    ),
    "AnalogAdamW": lambda model, **more: analog_optimizer(model, AdamW, lr=0.1, **more),
}


@pytest.mark.parametrize("name", MAKES)
def test_maximize_is_refused(name: str) -> None:
    """Arrays would go down where the rest goes up; nothing is changed."""
    model = tracking_network()
    optimizer = MAKES[name](model, maximize=True)
    before = states(model)
    with pytest.raises(ArgumentError, match=rf"maximize=True of {name} .*negative of the loss"):
        step(model, optimizer)
    assert difference(before, states(model)) is None


@pytest.mark.parametrize("name", MAKES)
def test_maximize_of_digital_groups(name: str) -> None:
    """A group without arrays may go up."""
    model = tracking_network()
    optimizer = MAKES[name](model)
    digital = [group for group in optimizer.param_groups if not group.get("analog")]
    if name == "AnalogAdamW":
        digital[0]["maximize"] = True
    assert step(model, optimizer) == []


SETTINGS: List[Tuple[Dict[str, float], str]] = [
    ({"momentum": 0.9}, "momentum=0.9 of AnalogSGD"),
    ({"weight_decay": 0.1}, "weight_decay=0.1 of AnalogSGD"),
    ({"momentum": 0.5, "weight_decay": 0.1}, "momentum=0.5, weight_decay=0.1 of AnalogSGD"),
]


@pytest.mark.parametrize(("settings", "message"), SETTINGS)
def test_what_arrays_leave_out_is_told_once(settings: Dict[str, float], message: str) -> None:
    """Of each optimizer; and not where it is documented."""
    model = tracking_network()
    for _ in range(2):
        told = step(model, AnalogSGD(model.parameters(), lr=0.1, **settings))
        assert len(told) == 1
        assert told[0].startswith(message)
    assert step(model, AnalogSGD(model.parameters(), lr=0.1)) == []
    assert step(model, analog_optimizer(model, SGD, lr=0.1, **settings)) == []
