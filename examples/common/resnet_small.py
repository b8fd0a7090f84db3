"""A residual network of three blocks for small images."""

from __future__ import annotations

from torch import nn

from common.resnet import BasicBlock


def small_resnet(n_classes: int = 10, width: int = 8) -> nn.Sequential:
    """Return a stem, three residual blocks and a classifier, for colour images.

    Args:
        n_classes: number of outputs.
        width: channels of the first block; the others have two and four times as many.
    """
    return nn.Sequential(
        nn.Conv2d(3, width, 3, 1, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        BasicBlock(width, width, 1),
        BasicBlock(width, 2 * width, 2),
        BasicBlock(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, n_classes),
    )
