"""aihwkit's own ``convert_to_analog`` with a configuration of this package.

It leaves layers digital, takes shared ones apart and drops modules that a ``Sequential`` has twice,
without a word, and the layers that it makes have no ``weight``. It asks for a copy of the
configuration before each layer, which is where its model is looked at. Nothing of aihwkit is
changed, and its other configurations are none of our business.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Optional, Tuple
from weakref import WeakKeyDictionary, ref

from aihwkit.nn.conversion import convert_to_analog
from torch import Size, nn
from torch.nn.modules.module import register_module_module_registration_hook

from aihwkit_dspt.configs.rpu_config import ON_COPY
from aihwkit_dspt.tiles.of_model import is_analog_layer
from aihwkit_dspt.tiles.tile import TrackingTile
from aihwkit_dspt.tiles.tile_device import ON_MOVE

_owners: WeakKeyDictionary[nn.Module, Tuple[ref[nn.Module], Size]] = WeakKeyDictionary()
"""First tile of a layer that shows no weight yet -> the layer, and the shape of its weight."""


def watch_conversions() -> None:
    """Look at what aihwkit converts with a configuration of this package from now on."""
    ON_COPY.append(_look)
    ON_MOVE.append(_show)
    register_module_module_registration_hook(_registered)


def _look() -> None:
    """Hold the model against what aihwkit does with it, if it is aihwkit that copies."""
    frame: Optional[FrameType] = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") == "copy":
        frame = frame.f_back
    if frame is None or frame.f_code is not convert_to_analog.__code__:
        return
    from aihwkit_dspt.models.aihwkit_conversion import look

    look(frame)


def _registered(module: nn.Module, name: str, child: Optional[nn.Module]) -> None:
    """Note a layer that gets its tile, and let one show its weight that comes into a model."""
    if name == "analog_module" and is_analog_layer(module):
        weight = module._parameters.get("weight")
        tile = _first_tile(child)
        if weight is not None and tile is not None:
            _check_layer(module, child)
            _owners[tile] = (ref(module), weight.shape)
    elif is_analog_layer(child):
        tile = _first_tile(child)
        if tile is not None:
            _show(tile)


def _check_layer(layer: nn.Module, tile: Optional[nn.Module]) -> None:
    from aihwkit_dspt.models.aihwkit_layers import check_layer

    if isinstance(layer, nn.modules.conv._ConvNd):
        check_layer(layer, tile)


def _first_tile(module: Optional[nn.Module]) -> Optional[TrackingTile]:
    parts = () if module is None else module.modules()
    return next((each for each in parts if isinstance(each, TrackingTile)), None)


def _show(tile: TrackingTile) -> None:
    """Let the layer of a tile show its weight, which aihwkit leaves at ``None``."""
    layer_of, shape = _owners.pop(tile, (None, None))
    layer = None if layer_of is None else layer_of()
    if layer is None or shape is None or layer.__dict__.get("weight", layer) is not None:
        return
    from aihwkit_dspt.models.shown_weight import show_weight

    show_weight(layer, shape)
