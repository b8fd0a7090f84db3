"""The RPU configuration that puts a tracking compound on a tracking tile."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Type

from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.pre_post import PrePostProcessingParameter
from aihwkit.simulator.parameters.runtime import RuntimeParameter
from aihwkit.simulator.tiles.array import TileModuleArray

from aihwkit_dspt.configs.built import Buildable
from aihwkit_dspt.configs.checks import require, strict_fields
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.parameter_checks import check_mapping
from aihwkit_dspt.plain import plain
from aihwkit_dspt.tiles.tile import TrackingTile

PARTS = {
    "mapping": MappingParameter,
    "pre_post": PrePostProcessingParameter,
    "runtime": RuntimeParameter,
}
"""What aihwkit asks for its settings before there is a tile."""

ON_COPY: List[Callable[[], None]] = []
"""What is called when a configuration is copied, as aihwkit does it before each conversion."""


@strict_fields
@dataclass
class TrackingRPUConfig(Buildable, UnitCellRPUConfig):
    """Configuration for analog training with a tracked symmetric point.

    It takes the place of aihwkit's
    :class:`~aihwkit.simulator.configs.configs.UnitCellRPUConfig` in a script; ``forward``,
    ``backward``, ``update``, ``mapping``, ``pre_post`` and ``runtime`` keep their meaning.

    Raises:
        ConfigError: for an unknown field, a ``tile_class`` that does not track, a part of another
            class than declared, a value of the mapping that is not of its declared type, and where
            a field of a tile that is built is set (``tile.rpu_config``).
    """

    tile_class: Type[TrackingTile] = TrackingTile
    """Tile class that corresponds to this RPUConfig."""

    device: TrackingTransferCompound = field(default_factory=TrackingTransferCompound)
    """What to simulate: devices, reference, chopper, buffer and their settings."""

    def get_default_tile_module_class(self, out_size: int = 0, in_size: int = 0) -> Type[Any]:
        """Return the class of the tile module, or of an array of them where a layer is split.

        Raises:
            ConfigError: if a value of the mapping is not of its declared type.
        """
        check_mapping(plain(self.mapping))
        cls: Type[Any] = super().get_default_tile_module_class(out_size, in_size)
        return cls

    def __getstate__(self) -> Dict[str, object]:
        for look in ON_COPY:
            look()
        return super().__getstate__()

    def _guard(self, key: str, value: object) -> None:
        super()._guard(key, value)
        kind = PARTS.get(key)
        if kind is not None:
            remedy = f"pass {kind.__name__}()"
            require(isinstance(value, kind), key, value, remedy)
        if key == "mapping":
            # aihwkit's mapped convolutions split by it before they ask for a tile.
            check_mapping(plain(value))
        if key == "tile_array_class":
            remedy = "pass TileModuleArray or a subclass of it"
            is_array = isinstance(value, type) and issubclass(value, TileModuleArray)
            require(is_array, key, value, remedy)
        if key == "tile_class":
            require(
                isinstance(value, type) and issubclass(value, TrackingTile),
                "tile_class",
                value,
                "another tile would leave the method out; pass TrackingTile or a subclass of it",
            )
