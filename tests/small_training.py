"""The training of the checkpoints in ``tests/data``."""

from __future__ import annotations

from typing import Tuple

import torch
from aihwkit.nn import AnalogLinear
from aihwkit.optim import AnalogSGD
from torch import nn

from tests.helpers import quiet_config
from tests.table import METHODS


def training() -> Tuple[AnalogLinear, AnalogSGD]:
    """Return a layer in which nothing is random, and its optimizer."""
    model = AnalogLinear(3, 2, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    return model, AnalogSGD(model.parameters(), lr=0.1)


def train(model: AnalogLinear, optimizer: AnalogSGD) -> None:
    """Train for 40 steps with data from torch's generator."""
    for _ in range(40):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(torch.rand(4, 3)), torch.randn(4, 2)).backward()
        optimizer.step()
