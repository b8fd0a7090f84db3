"""Small models for the tests of torch's training tools, in which nothing is random."""

from __future__ import annotations

from typing import Any, List

import torch
import torch.nn.functional as F
from aihwkit.nn import AnalogConv2d
from aihwkit.nn.conversion import convert_to_analog
from torch import Tensor, nn

from tests.helpers import quiet_config, snapshot
from tests.layers.agad import cpp_config
from tests.table import METHODS

KINDS = {
    "E-RIDER": lambda: quiet_config(**METHODS["E-RIDER"]),
    "C++ AGAD": cpp_config,
}
"""Configurations of tracking tiles and of aihwkit's own."""


def network(config: Any) -> nn.Module:
    """Return two analog layers around digital ones, of 6 inputs and 3 outputs."""
    layers = nn.Sequential(nn.Linear(6, 5), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3))
    model: nn.Module = convert_to_analog(layers, config)
    return model


def tracking_network() -> Any:
    """Return :func:`network` on E-RIDER tiles."""
    return network(KINDS["E-RIDER"]())


def indexed(config: Any) -> AnalogConv2d:
    """Return a convolution that uses an index matrix, as all do on a GPU."""
    return AnalogConv2d(2, 4, 3, padding=1, rpu_config=config, use_indexed=True)


def batch(n: int = 8) -> List[Tensor]:
    """Return inputs and classes for :func:`network`."""
    return [torch.randn(n, 6), torch.randint(3, (n,))]


def loss_of(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Return the mean cross entropy."""
    return F.cross_entropy(model(x), y)


def states(model: Any) -> List[Any]:
    """Return all that is known about tracking tiles, and the digital parameters."""
    digital = [
        value.detach().clone()
        for name, value in model.named_parameters()
        if "analog_ctx" not in name
    ]
    return [*map(snapshot, model.analog_tiles()), digital]
