"""aihwkit's own plots, with tracking tiles.

``aihwkit.utils.visualization`` builds aihwkit's ``AnalogTile`` whatever the ``tile_class`` of the
configuration. Here that one name is changed in that one module, when somebody imports it.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Optional, Sequence

from aihwkit.simulator.parameters.base import RPUConfigBase
from aihwkit.simulator.tiles.analog import AnalogTile

from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.rpu_config import TrackingRPUConfig
from aihwkit_dspt.tiles.tile import TrackingTile

MODULE = "aihwkit.utils.visualization"


def plotted_tile(out_size: int, in_size: int, rpu_config: RPUConfigBase) -> AnalogTile:
    """Return the tile of ``out_size`` traces that aihwkit plots.

    With a tracking compound as device aihwkit's copy of the configuration may be of any class, as
    ``plot_device`` and its like make it.
    """
    compound = rpu_config.device
    if not isinstance(compound, TrackingTransferCompound):
        return AnalogTile(out_size, in_size, rpu_config)
    names = ("forward", "backward", "update", "mapping", "runtime", "pre_post")
    given = {name: getattr(rpu_config, name) for name in names if hasattr(rpu_config, name)}
    tile = TrackingTile(out_size, in_size, TrackingRPUConfig(device=compound, **given))
    # aihwkit asks the device of its copy for the bounds next; the fast one has them.
    object.__setattr__(rpu_config, "device", compound.unit_cell_devices[0])
    return tile


class _PlotsFinder(MetaPathFinder):
    """Finds the module where it is, and changes the name once it is loaded."""

    def find_spec(
        self,
        fullname: str,
        path: Optional[Sequence[str]],
        target: Optional[ModuleType] = None,
    ) -> Optional[ModuleSpec]:
        if fullname != MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        loader: Any = None if spec is None else spec.loader
        if loader is None:
            return None
        load = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            load(module)
            _change(module)

        loader.exec_module = exec_module
        return spec


def _change(module: Any) -> None:
    module.AnalogTile = plotted_tile


def plot_tracking_tiles() -> None:
    """Let aihwkit's plots take tracking configurations and compounds."""
    if MODULE in sys.modules:
        _change(sys.modules[MODULE])
    elif not any(isinstance(finder, _PlotsFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _PlotsFinder())
