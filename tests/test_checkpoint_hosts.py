"""Checkpoints move between aihwkit 1.1 and 1.2, whose contexts have different shapes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import torch
from aihwkit.nn import AnalogSequential
from torch import nn

from aihwkit_dspt import load_checkpoint
from tests.helpers import difference
from tests.small_training import train, training

FILES = ["aihwkit_1_1.pt", "aihwkit_1_2.pt"]
"""Written by ``training()`` on each, after 40 steps from seed 11."""

DATA = Path(__file__).parent / "data"


def into_checkpoint(model: nn.Module, path: Path) -> None:
    assert load_checkpoint(path, model) == {"epoch": 3}


def into_module(model: nn.Module, path: Path) -> None:
    """Through torch's own method, which aihwkit's layers do not override in other containers."""
    state = torch.load(path, weights_only=True)["model"]
    result = nn.Sequential(model).load_state_dict({f"0.{key}": state[key] for key in state})
    assert result.missing_keys == result.unexpected_keys == []


WAYS: Dict[str, Callable[[nn.Module, Path], None]] = {
    "load_checkpoint": into_checkpoint,
    "load_state_dict": into_module,
}


def after(way: str, file: str) -> Any:
    """Return the state of a model after a file was loaded, and after it was trained on."""
    model, optimizer = training()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        WAYS[way](model, DATA / file)
    tile = model.analog_module.tile
    loaded = tile.dump_extra()
    torch.manual_seed(1)
    train(model, optimizer)
    return {"loaded": loaded, "trained": tile.dump_extra(), "bias": model.get_weights()[1]}


@pytest.mark.parametrize("way", WAYS)
def test_both_hosts_load_both_files(way: str) -> None:
    """They hold the same training, which goes on the same, without a warning."""
    first, second = (after(way, file) for file in FILES)
    assert first["loaded"]["schedule"]["update_count"] == 160
    assert difference(first, second) is None


def test_what_is_missing_is_missed() -> None:
    """The file of the other aihwkit is looked at as strictly as one's own."""
    for file in FILES:
        model = AnalogSequential(training()[0], training()[0])
        with pytest.raises(RuntimeError, match="Missing key"):
            load_checkpoint(DATA / file, model)
