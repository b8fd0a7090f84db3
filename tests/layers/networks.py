"""A small network in torchvision's manner, and layers of every kind on tracking tiles."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

import torch
from aihwkit.nn import (
    AnalogConv1d,
    AnalogConv2d,
    AnalogConv2dMapped,
    AnalogConv3d,
    AnalogGRUCell,
    AnalogLinear,
    AnalogLinearMapped,
    AnalogLSTMCell,
    AnalogLSTMCellCombinedWeight,
    AnalogRNN,
    AnalogSequential,
    AnalogVanillaRNNCell,
)
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn

from tests.helpers import quiet_config
from tests.table import METHODS


def mixed_layers() -> AnalogSequential:
    """Return a digital and an analog layer."""
    layer = AnalogLinear(6, 4, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    return AnalogSequential(nn.Linear(6, 6), layer)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.downsample = None
        if stride != 1:
            conv = nn.Conv2d(n_in, n_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + identity)


class ResNet(nn.Module):
    """Stem, two stages and a classifier of ten classes for RGB images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(BasicBlock(4, 4, 1))
        self.layer2 = nn.Sequential(BasicBlock(4, 8, 2))
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of ``[n, 3, height, width]`` images."""
        x = torch.relu(self.bn1(self.conv1(x)))
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


def rnn(cell: Any, **settings: Any) -> Callable[[Any], nn.Module]:
    """Return a function that makes a recurrent network of 3 inputs and 4 hidden units."""
    return lambda config: AnalogRNN(cell, 3, 4, rpu_config=config, **settings)


RNNS: Dict[str, Callable[[Any], nn.Module]] = {
    "vanilla": rnn(AnalogVanillaRNNCell),
    "gru": rnn(AnalogGRUCell),
    "lstm": rnn(AnalogLSTMCell),
    "lstm-combined": rnn(AnalogLSTMCellCombinedWeight),
    "lstm-bidir": rnn(AnalogLSTMCell, bidir=True),
    "gru-2-layers": rnn(AnalogGRUCell, num_layers=2),
}
"""Recurrent networks; they take ``[time, batch, 3]``."""

Model = Tuple[Callable[[Any], nn.Module], Tuple[int, ...]]

MODELS: Dict[str, Model] = {
    "linear": (lambda config: AnalogLinear(6, 4, rpu_config=config), (5, 6)),
    "linear-no-bias": (lambda config: AnalogLinear(6, 4, bias=False, rpu_config=config), (5, 6)),
    "linear-mapped": (lambda config: AnalogLinearMapped(9, 7, rpu_config=config), (5, 9)),
    "conv1d": (lambda config: AnalogConv1d(2, 4, 3, padding=1, rpu_config=config), (5, 2, 6)),
    "conv2d": (lambda config: AnalogConv2d(2, 4, 3, rpu_config=config), (5, 2, 5, 5)),
    "conv2d-mapped": (lambda config: AnalogConv2dMapped(2, 4, 2, rpu_config=config), (5, 2, 4, 4)),
    "conv3d": (lambda config: AnalogConv3d(2, 3, 2, rpu_config=config), (5, 2, 3, 3, 3)),
    **{name: (make, (3, 5, 3)) for name, make in RNNS.items()},
    "sequential": (
        lambda config: AnalogSequential(
            AnalogConv2d(1, 3, 3, rpu_config=config),
            nn.Tanh(),
            nn.Flatten(),
            AnalogSequential(AnalogLinear(12, 4, rpu_config=config)),
        ),
        (5, 1, 4, 4),
    ),
    "resnet": (lambda config: convert_to_analog(ResNet(), config), (5, 3, 6, 6)),
}
"""Name -> function that makes a model on a configuration, and the shape of a batch."""


def output(model: nn.Module, x: Tensor) -> Tensor:
    """Return the output tensor of a model; of a recurrent one without its states."""
    result = model(x)
    value: Tensor = result[0] if isinstance(result, tuple) else result
    return value


def sgd(model: nn.Module, lr: float = 0.1) -> AnalogSGD:
    """Return aihwkit's optimiser, grouped as aihwkit's examples do."""
    optimizer = AnalogSGD(model.parameters(), lr=lr)
    optimizer.regroup_param_groups(model)
    return optimizer


def fit(model: nn.Module, shape: Tuple[int, ...], n_steps: int = 8) -> None:
    """Train with random inputs and targets."""
    optimizer = sgd(model)
    for _ in range(n_steps):
        optimizer.zero_grad()
        result = output(model, torch.randn(shape))
        (0.2 * (result - torch.randn_like(result)).square().sum()).backward()
        optimizer.step()
