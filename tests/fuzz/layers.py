"""Layers of every kind on a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Callable, Dict, Tuple

import torch
from aihwkit.nn import (
    AnalogConv1d,
    AnalogConv1dMapped,
    AnalogConv2d,
    AnalogConv2dMapped,
    AnalogConv3d,
    AnalogConv3dMapped,
    AnalogGRUCell,
    AnalogLinear,
    AnalogLinearMapped,
    AnalogLSTMCell,
    AnalogLSTMCellCombinedWeight,
    AnalogRNN,
    AnalogSequential,
    AnalogVanillaRNNCell,
)
from aihwkit.nn.modules.base import AnalogLayerBase
from torch import Tensor, nn


class TransposedTile(AnalogLayerBase, nn.Module):
    """A tile whose inputs and outputs have the vector dimension first."""

    def __init__(self, config: Any, bias: bool, in_trans: bool, out_trans: bool) -> None:
        super().__init__()
        self.in_trans, self.out_trans = in_trans, out_trans
        self.analog_module = config.tile_class(4, 5, config, bias, in_trans, out_trans)
        self.analog_module.set_weights(
            torch.empty(4, 5).uniform_(-0.2, 0.2), torch.zeros(4) if bias else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[n, 4]`` outputs of ``[n, 5]`` inputs."""
        output = self.analog_module(x.t() if self.in_trans else x)
        return output.t() if self.out_trans else output


Maker = Callable[..., nn.Module]


def _linear(config: Any, bias: bool) -> nn.Module:
    return AnalogLinear(5, 4, bias=bias, rpu_config=config)


def _two(config: Any, bias: bool) -> nn.Module:
    first, last = (AnalogLinear(*sizes, bias=bias, rpu_config=config) for sizes in ((5, 3), (3, 2)))
    return AnalogSequential(first, nn.Tanh(), last)


def _convolution(layer: Any, **settings: Any) -> Maker:
    return lambda config, bias: layer(2, 3, 2, bias=bias, rpu_config=config, **settings)


def _recurrent(cell: Any, **settings: Any) -> Maker:
    return lambda config, bias: AnalogRNN(cell, 3, 2, bias=bias, rpu_config=config, **settings)


LAYERS: Dict[str, Tuple[Maker, Tuple[int, ...]]] = {
    "AnalogLinear": (_linear, (3, 5)),
    "AnalogLinear-3d": (_linear, (2, 3, 5)),
    "two AnalogLinear": (_two, (3, 5)),
    "AnalogLinearMapped": (
        lambda config, bias: AnalogLinearMapped(5, 4, bias=bias, rpu_config=config),
        (3, 5),
    ),
    "TransposedTile": (lambda config, bias: TransposedTile(config, bias, True, True), (3, 5)),
    "AnalogConv1d": (_convolution(AnalogConv1d), (2, 2, 4)),
    "AnalogConv2d": (_convolution(AnalogConv2d), (2, 2, 3, 3)),
    "AnalogConv2d-indexed": (_convolution(AnalogConv2d, use_indexed=True), (2, 2, 3, 3)),
    "AnalogConv3d": (_convolution(AnalogConv3d), (2, 2, 3, 2, 2)),
    "AnalogConv1dMapped": (_convolution(AnalogConv1dMapped), (2, 2, 4)),
    "AnalogConv2dMapped": (_convolution(AnalogConv2dMapped), (2, 2, 3, 3)),
    "AnalogConv3dMapped": (_convolution(AnalogConv3dMapped), (2, 2, 3, 2, 2)),
    "vanilla": (_recurrent(AnalogVanillaRNNCell), (2, 2, 3)),
    "gru": (_recurrent(AnalogGRUCell), (2, 2, 3)),
    "lstm": (_recurrent(AnalogLSTMCell, bidir=True), (2, 2, 3)),
    "lstm-combined": (_recurrent(AnalogLSTMCellCombinedWeight), (2, 2, 3)),
}
"""Layer -> function that makes it, and the shape of a batch."""

WRONG: Dict[str, Tuple[Maker, Tuple[int, ...]]] = {
    "in_trans alone": (lambda config, bias: TransposedTile(config, bias, True, False), (3, 5)),
    "out_trans alone": (lambda config, bias: TransposedTile(config, bias, False, True), (3, 5)),
}
"""Layers that aihwkit's C++ tiles cannot do."""


@dataclass
class Layer:
    """A layer by name, with or without bias."""

    name: str
    bias: bool

    @classmethod
    def drawn(cls, random: Random) -> Layer:
        """Return one of the layers; the plain one is the most frequent."""
        name = "AnalogLinear" if random.random() < 0.3 else random.choice(sorted(LAYERS))
        return cls(name, random.random() < 0.7)

    def make(self, config: Any) -> nn.Module:
        """Return the layer on a configuration."""
        return {**LAYERS, **WRONG}[self.name][0](config, self.bias)

    def batch(self) -> Tensor:
        """Return a random batch."""
        return torch.rand({**LAYERS, **WRONG}[self.name][1]) - 0.2
