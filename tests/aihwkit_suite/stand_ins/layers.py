"""Layers that aihwkit's tests are repeated over."""

from __future__ import annotations

from typing import Any, Optional, Type
from unittest import SkipTest

from aihwkit import nn
from torch.nn import GRU as TorchGRU
from torch.nn import LSTM as TorchLSTM
from torch.nn import RNN as TorchRNN


def _layer(
    name: str,
    layer_class: Any,
    limits: Optional[tuple[int, int]] = None,
    cell: Any = None,
    native: Any = None,
    **defaults: Any,
) -> Type[Any]:
    """Return a description of a layer for the decorators.

    Args:
        name: its name, part of the names of the tests.
        layer_class: aihwkit's class.
        limits: largest input and output size of a mapped tile; not mapped without.
        cell: cell of a recurrent layer.
        native: torch's counterpart of a recurrent layer.
        defaults: arguments of the layer; a test may pass the first two by position.
    """

    def get_layer(self: Any, *sizes: int, rpu_config: Any = None, **arguments: Any) -> Any:
        """Return a layer with the bias and the tile of the test class."""
        if limits is not None and self.bias and not self.digital_bias:
            raise SkipTest("mapped layers have no analog bias")
        arguments = {**defaults, **dict(zip(defaults, sizes)), **arguments}
        arguments.setdefault("bias", self.bias)
        rpu_config = rpu_config if rpu_config is not None else self.get_rpu_config()
        mapping = rpu_config.mapping
        mapping.max_input_size, mapping.max_output_size = limits or (0, 0)
        mapping.digital_bias = self.digital_bias
        if cell is None:
            return layer_class(**arguments, rpu_config=rpu_config)
        return layer_class(cell, **arguments, rpu_config=rpu_config)

    def get_native_layer_comparison(self: Any, *sizes: int, **arguments: Any) -> Any:
        """Return torch's counterpart."""
        del self
        return native(*sizes, **arguments)

    members = {"use_cuda": False, "get_layer": get_layer}
    if native is not None:
        members["get_native_layer_comparison"] = get_native_layer_comparison
    return type(name, (), members)


_LINEAR = {"in_features": 3, "out_features": 4}
_CONV = {"in_channels": 2, "out_channels": 3, "padding": 2}
_RNN = {"input_size": 2, "hidden_size": 3}

Linear = _layer("Linear", nn.AnalogLinear, **_LINEAR)
Conv1d = _layer("Conv1d", nn.AnalogConv1d, **_CONV, kernel_size=[4])
Conv2d = _layer("Conv2d", nn.AnalogConv2d, **_CONV, kernel_size=[3, 3])
Conv3d = _layer("Conv3d", nn.AnalogConv3d, **_CONV, kernel_size=[2, 2, 2])
# Limits that cut the defaults into several tiles.
LinearMapped = _layer("LinearMapped", nn.AnalogLinearMapped, (4, 3), in_features=10, out_features=6)
Conv1dMapped = _layer("Conv1dMapped", nn.AnalogConv1dMapped, (4, 3), **_CONV, kernel_size=[4])
Conv2dMapped = _layer("Conv2dMapped", nn.AnalogConv2dMapped, (21, 3), **_CONV, kernel_size=[3, 3])
Conv3dMapped = _layer(
    "Conv3dMapped", nn.AnalogConv3dMapped, (21, 3), **_CONV, kernel_size=[2, 2, 2]
)
LSTM = _layer("LSTM", nn.AnalogRNN, cell=nn.AnalogLSTMCell, native=TorchLSTM, **_RNN)
LSTMCombinedWeight = _layer(
    "LSTMCombinedWeight",
    nn.AnalogRNN,
    cell=nn.AnalogLSTMCellCombinedWeight,
    native=TorchLSTM,
    **_RNN,
)
GRU = _layer("GRU", nn.AnalogRNN, cell=nn.AnalogGRUCell, native=TorchGRU, **_RNN)
VanillaRNN = _layer(
    "VanillaRNN", nn.AnalogRNN, cell=nn.AnalogVanillaRNNCell, native=TorchRNN, **_RNN
)


def __getattr__(name: str) -> Any:
    """Return the variant on a GPU of any layer, ``<layer>Cuda``."""
    layer = globals().get(name.removesuffix("Cuda"))
    if layer is None or not name.endswith("Cuda"):
        raise AttributeError(name)

    def moved(member: Any) -> Any:
        return lambda self, *sizes, **arguments: member(self, *sizes, **arguments).cuda()

    members = {key: moved(value) for key, value in vars(layer).items() if key.startswith("get_")}
    globals()[name] = type(name, (), {**members, "use_cuda": True})
    return globals()[name]
