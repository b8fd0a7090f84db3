"""Refusal of torch's wrappers that average, as an array has no parameter to average."""

from __future__ import annotations

from typing import Optional

from aihwkit.exceptions import TileError
from aihwkit.simulator.tiles.analog import AnalogTile
from aihwkit.simulator.tiles.module import TileModule
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook

from aihwkit_dspt.tiles.averaged_copy import not_averaged

AVERAGING = ("AveragedModel", "ModelEmaV2", "ModelEmaV3")
"""Classes of torch and timm that average the parameters of a model."""

GRADIENT_WRAPPERS = ("DistributedDataParallel", "FullyShardedDataParallel")


def refuse_averaging_wrappers() -> None:
    """Refuse analog tiles in wrappers that average gradients or parameters from now on."""
    register_module_module_registration_hook(_refuse)


def _refuse(module: nn.Module, name: str, submodule: Optional[nn.Module]) -> None:
    if submodule is None:
        return
    if any(cls.__name__ in AVERAGING for cls in type(module).__mro__):
        if any(isinstance(each, AnalogTile) for each in submodule.modules()):
            raise not_averaged(type(module).__name__)
    elif any(cls.__name__ in GRADIENT_WRAPPERS for cls in type(module).__mro__):
        _refuse_averaged_gradients(module, submodule)


def _refuse_averaged_gradients(module: nn.Module, submodule: nn.Module) -> None:
    for tile_name, tile in submodule.named_modules():
        if isinstance(tile, TileModule) and not tile.supports_ddp:
            raise TileError(
                f"{type(module).__name__} averages gradients, but the arrays of "
                f"{type(tile).__name__} '{tile_name}' are trained by pulses: every process would "
                "train analog arrays of its own. Pass the model to analog_data_parallel(model) of "
                "aihwkit_dspt instead, which lets all processes train the same arrays"
            )
