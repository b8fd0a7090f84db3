"""The networks of the paper and plain stacks of layers, in torch; convert them to analog."""

from __future__ import annotations

from typing import List, Tuple

from torch import nn


def fcn(n_inputs: int = 784, n_hidden: Tuple[int, int] = (256, 128)) -> nn.Sequential:
    """Fully connected network of the paper's Table 2: 784-256-128-10, sigmoid."""
    first, second = n_hidden
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(n_inputs, first),
        nn.Sigmoid(),
        nn.Linear(first, second),
        nn.Sigmoid(),
        nn.Linear(second, 10),
        nn.LogSoftmax(dim=1),
    )


def lenet5() -> nn.Sequential:
    """LeNet-5 of the paper's Table 1: two 5x5 convolutions, 512-128-10, tanh (28x28 inputs)."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 128),
        nn.Tanh(),
        nn.Linear(128, 10),
        nn.LogSoftmax(dim=1),
    )


def stack(n_layers: int, size: int) -> nn.Sequential:
    """Layers of ``size`` x ``size`` without bias, with normalised signals between them.

    So signals, errors and with them the pulses are alike in all layers.
    """
    layers: List[nn.Module] = [nn.Linear(size, size, bias=False)]
    for _ in range(n_layers - 1):
        layers += [
            nn.LayerNorm(size, elementwise_affine=False),
            nn.Linear(size, size, bias=False),
        ]
    return nn.Sequential(*layers)
