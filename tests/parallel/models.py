"""Models and trainings that one process and several do alike."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import torch
from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn

from aihwkit_dspt import TrackingTile, analog_data_parallel
from tests.helpers import quiet_config
from tests.table import METHODS

N_STEPS = 12
N_VECTORS = 8
"""Of the joint batch."""


def mlp(**settings: Any) -> nn.Module:
    """Return a network of three arrays with analog biases."""
    torch.manual_seed(3)
    config = quiet_config(digital_bias=False, **{**METHODS["E-RIDER"], **settings})
    layers = [AnalogLinear(n, m, rpu_config=config) for n, m in ((6, 9), (9, 5), (5, 4))]
    return AnalogSequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


def data(step: int, shape: Any = (6,), n_outputs: int = 4) -> Any:
    """Return the joint batch of a step."""
    generator = torch.Generator().manual_seed(100 + step)
    x = torch.rand(N_VECTORS, *shape, generator=generator) - 0.5
    return x, torch.rand(N_VECTORS, n_outputs, generator=generator) - 0.5


def part(values: Tensor, rank: int, n_ranks: int) -> Tensor:
    """Return what a rank gets of a joint batch."""
    return values.chunk(n_ranks)[rank]


def states(model: nn.Module) -> Dict[str, Any]:
    """Return all of a model's state."""
    return dict(model.state_dict())


def train(model: nn.Module, rank: int = 0, n_ranks: int = 1, steps: Any = range(N_STEPS)) -> None:
    """Train a model of :func:`mlp` with the part of a rank."""
    optimizer = AnalogSGD(model.parameters(), lr=0.2)
    for step in steps:
        x, y = (part(values, rank, n_ranks) for values in data(step))
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
