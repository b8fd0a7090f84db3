"""What aihwkit draws for reads, and what follows from the scales, come back from every copy."""

from __future__ import annotations

import pickle
from copy import deepcopy
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict

import pytest
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.parameters.io import IOParameters
from torch import nn

from aihwkit_dspt import load_checkpoint, save_checkpoint
from tests.helpers import quiet_config
from tests.table import METHODS

VARIATION: Dict[str, Dict[str, float]] = {
    "offsets of outputs": {"out_noise": 0.1, "out_noise_std": 0.5},
    "nonlinearity": {"out_nonlinearity": 0.05, "out_nonlinearity_std": 0.5},
    "asymmetry of weights": {"w_read_asymmetry_dtod": 0.2},
}
"""Parameters of reads that are drawn once for each output or cell."""


def _in_place(layer: nn.Module, fresh: nn.Module) -> nn.Module:
    file = BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    return fresh


def _checkpoint(layer: nn.Module, fresh: nn.Module) -> nn.Module:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        save_checkpoint(path, layer)
        load_checkpoint(path, fresh)
    return fresh


WAYS: Dict[str, Callable[[nn.Module, nn.Module], nn.Module]] = {
    "deepcopy": lambda layer, fresh: deepcopy(layer),
    "pickle": lambda layer, fresh: pickle.loads(pickle.dumps(layer)),
    "state_dict": _in_place,
    "checkpoint": _checkpoint,
}


def _make(method: str, **mapping: Any) -> nn.Module:
    config = quiet_config(**METHODS[method])
    for name, value in mapping.items():
        setattr(config.mapping, name, value)
    return AnalogLinear(4, 3, rpu_config=config)


def _train(layer: nn.Module) -> None:
    torch.manual_seed(1)
    optimizer = AnalogSGD(layer.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        (layer(torch.rand(2, 4)) * torch.randn(2, 3)).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("variation", VARIATION)
@pytest.mark.parametrize("method", ["AGAD", "E-RIDER"])
def test_variation_of_reads(method: str, variation: str, way: str) -> None:
    """With and without an array of its own for forward and backward."""
    io_parameters = IOParameters(**VARIATION[variation])

    def make() -> nn.Module:
        config = quiet_config(**METHODS[method])
        config.forward = config.backward = io_parameters
        return AnalogLinear(4, 3, rpu_config=config)

    layer = make()
    copied = WAYS[way](layer, make())
    drawn, found = (
        one.analog_module.tile.pipeline.mixed_array.tile.dump_extra() for one in (layer, copied)
    )
    names = [name for name in drawn if "fb_pass" in name]
    assert any(len(drawn[name]) for name in names)
    for name in names:
        assert drawn[name] == found[name], name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("columnwise", [False, True])
def test_learning_rate_of_scaled_weights(way: str, columnwise: bool) -> None:
    """``weight_scaling_lr_compensation``: the training goes on with the learning rate it had."""
    mapping = {
        "weight_scaling_omega": 0.3,
        "weight_scaling_columnwise": columnwise,
        "weight_scaling_lr_compensation": True,
    }
    layer = _make("E-RIDER", **mapping)
    _train(layer)
    copied = WAYS[way](layer, _make("E-RIDER", **mapping))
    assert copied.analog_module.mapping_lr_scale == layer.analog_module.mapping_lr_scale != 1.0
    _train(layer)
    _train(copied)
    for one, other in zip(layer.get_weights(), copied.get_weights()):
        assert torch.equal(one, other)
