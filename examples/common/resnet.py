"""ResNet-18 for small images, in torchvision's names."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.downsample = nn.Identity()
        if stride != 1 or n_in != n_out:
            shortcut = nn.Conv2d(n_in, n_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(n_out))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block."""
        out = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(out)) + self.downsample(x))


class ResNet18(nn.Module):
    """ResNet-18 with a 3x3 stem and no pooling before the first stage, as used on CIFAR.

    Args:
        n_classes: number of outputs.
        width: channels of the first stage; 64 in the original.
    """

    def __init__(self, n_classes: int, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(BasicBlock(width, width), BasicBlock(width, width))
        self.layer2 = self._stage(width)
        self.layer3 = self._stage(2 * width)
        self.layer4 = self._stage(4 * width)
        self.fc = nn.Linear(8 * width, n_classes)

    @staticmethod
    def _stage(n_in: int) -> nn.Sequential:
        return nn.Sequential(BasicBlock(n_in, 2 * n_in, 2), BasicBlock(2 * n_in, 2 * n_in))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of ``[n, 3, height, width]`` images."""
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


DIGITAL = ["conv1", "layer1", "layer2", "layer3", "layer4.0"]
"""What stays digital in the paper: all but the last residual block and the classifier."""
