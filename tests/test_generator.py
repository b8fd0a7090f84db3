"""Whatever looks at a model or copies it leaves torch's generator where it is.

A training then goes on the same, whether it is watched or not.
"""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import torch
from aihwkit.simulator.configs.configs import InferenceRPUConfig

from aihwkit_dspt import (
    AveragedWeights,
    SymmetricPointDrift,
    SymmetricPointMonitor,
    at_slow_weights,
    conversion_report,
    estimate_coincidences,
    load_checkpoint,
    operation_counts,
    save_checkpoint,
    symmetric_points,
    to_inference,
    training_plan,
)
from tests.resume_cases import make, train


def saved(model: Any, folder: Path) -> None:
    save_checkpoint(folder / "run.pt", model)
    load_checkpoint(folder / "run.pt", model)


def averaged(model: Any, _: Path) -> None:
    AveragedWeights(model).update_parameters(model)


def at_slow(model: Any, _: Path) -> None:
    with at_slow_weights(model):
        pass


LOOKS: Dict[str, Callable[[Any, Path], Any]] = {
    "deepcopy": lambda model, _: deepcopy(model),
    "pickle": lambda model, _: pickle.loads(pickle.dumps(model)),
    "load_state_dict": lambda model, _: model.load_state_dict(model.state_dict()),
    "save_checkpoint": saved,
    "to_inference": lambda model, _: to_inference(model, InferenceRPUConfig()),
    "AveragedWeights": averaged,
    "training_plan": lambda model, _: training_plan(model, input_shape=(3, 6), steps=3),
    "training_plan loss": lambda model, _: training_plan(
        model, loss=lambda copied: copied(torch.ones(3, 6)).sum(), steps=3
    ),
    "SymmetricPointMonitor": lambda model, _: SymmetricPointMonitor(model).record(),
    "SymmetricPointDrift": lambda model, _: SymmetricPointDrift(model, walk=0.01).advance(),
    "operation_counts": lambda model, _: operation_counts(model),
    "estimate_coincidences": lambda model, _: estimate_coincidences(model),
    "conversion_report": lambda model, _: conversion_report(model),
    "symmetric_points": lambda model, _: symmetric_points(model[0].analog_module),
    "at_slow_weights": at_slow,
    "repr": lambda model, _: repr(model),
}


@pytest.mark.parametrize("settings", ["E-RIDER", "E-RIDER-random", "E-RIDER-three arrays"])
@pytest.mark.parametrize("look", LOOKS)
def test_the_generator_stays(look: str, settings: str, tmp_path: Path) -> None:
    """Where the chopper flips at random, too, which draws a seed when it is built."""
    model, optimizer, scheduler = make("linear", settings)
    train("linear", model, optimizer, scheduler)
    before = torch.get_rng_state()
    LOOKS[look](model, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)
