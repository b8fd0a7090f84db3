"""Refusal of torch's wrappers that average gradients, as an array has none to average."""

from __future__ import annotations

from typing import Optional

from aihwkit.exceptions import TileError
from aihwkit.simulator.tiles.module import TileModule
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook

WRAPPERS = ("DistributedDataParallel", "FullyShardedDataParallel")


def refuse_averaged_gradients() -> None:
    """Refuse analog tiles in torch's distributed wrappers from now on."""
    register_module_module_registration_hook(_refuse)


def _refuse(module: nn.Module, name: str, submodule: Optional[nn.Module]) -> None:
    if submodule is None or not any(cls.__name__ in WRAPPERS for cls in type(module).__mro__):
        return
    for tile_name, tile in submodule.named_modules():
        if isinstance(tile, TileModule) and not tile.supports_ddp:
            raise TileError(
                f"{type(module).__name__} averages gradients, but the arrays of "
                f"{type(tile).__name__} '{tile_name}' are trained by pulses: every process would "
                "train analog arrays of its own. Pass the model to analog_data_parallel(model) of "
                "aihwkit_dspt instead, which lets all processes train the same arrays"
            )
