"""Convolutions that aihwkit's analog layers cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Iterator, Optional

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.tiles.array import TileModuleArray
from torch import nn
from torch.nn.modules.conv import _ConvNd

if TYPE_CHECKING:
    from aihwkit.simulator.parameters.base import RPUConfigBase

CONVERT = "pass the model to convert(model, rpu_config) of aihwkit_dspt"
"""What takes the place of aihwkit's ``convert_to_analog``."""


def check_convolution(
    name: str, layer: _ConvNd, rpu_config: Optional[RPUConfigBase] = None
) -> None:
    """Refuse a convolution whose analog layer could not be made, or would fail when it is called.

    Args:
        name: name of the layer in its model.
        layer: the digital layer.
        rpu_config: configuration of its tile, if it is known yet.

    Raises:
        ConfigError: naming the layer, the setting and what to pass.
    """
    is_split = False
    if rpu_config is not None:
        in_size = layer.weight[0].numel()
        kind = rpu_config.get_default_tile_module_class(layer.out_channels, in_size)
        is_split = issubclass(kind, TileModuleArray)
    for fault in _faults(layer, is_split):
        raise ConfigError(
            f"{name or 'the model'} ({type(layer).__name__}) has {fault}: {CONVERT}, which has "
            f"arrays for it, or exclude_modules=[{name!r}]"
        )


def check_layer(layer: _ConvNd, tile: object) -> None:
    """Refuse an analog convolution, just built, that would fail when it is called.

    Args:
        layer: the layer; its kind may be any of aihwkit's that have their tiles in one module.
        tile: that module.

    Raises:
        ConfigError: naming the setting and what to pass.
    """
    for fault in _faults(layer, isinstance(tile, TileModuleArray)):
        raise ConfigError(
            f"{type(layer).__name__} has {fault}: take {_digital(layer)} and {CONVERT}, which has "
            "arrays for it"
        )


def _faults(layer: _ConvNd, is_split: bool) -> Iterator[str]:
    """Yield what a convolution has that is nothing for an analog one."""
    n_dims = len(layer.kernel_size)
    ours = "but aihwkit's analog layer has"
    if layer.groups != 1:
        yield f"groups={layer.groups}, {ours} one group"
    if layer.padding_mode != "zeros":
        yield f"padding_mode={layer.padding_mode!r}, {ours} 'zeros' only"
    words = layer.padding if isinstance(layer.padding, str) else "".join(_words(layer.padding))
    if words:
        yield f"padding={words!r}, {ours} widths only"
    if n_dims != 2 and any(each != 1 for each in layer.dilation):
        yield f"dilation={layer.dilation}, {ours} none in {n_dims} dimensions"
    if n_dims != 2 and is_split:
        # It indexes the inputs of one tile.
        yield (
            f"{layer.weight[0].numel()} inputs and {layer.out_channels} outputs, which "
            "mapping.max_input_size and max_output_size cut into several arrays (0: into one), "
            f"{ours} one array in {n_dims} dimensions"
        )


def _words(padding: Iterable[object]) -> Iterator[str]:
    """Yield the letters of a word, which aihwkit's layers take for a sequence of widths."""
    yield from (each for each in padding if isinstance(each, str))


def _digital(layer: _ConvNd) -> str:
    return f"nn.{type(layer).__name__.replace('Analog', '').replace('Mapped', '')}(...)"


def is_convolution(analog_class: object) -> bool:
    """Whether a class is one of aihwkit's convolutions with the settings of torch's."""
    return isinstance(analog_class, type) and issubclass(analog_class, nn.modules.conv._ConvNd)
