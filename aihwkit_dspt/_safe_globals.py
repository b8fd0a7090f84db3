"""Lets ``torch.load(..., weights_only=True)`` read states of analog tiles."""

from __future__ import annotations

import pkgutil
import sys
from dataclasses import is_dataclass
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any, Iterator, List

import aihwkit.inference.compensation
import aihwkit.inference.converter
import aihwkit.inference.noise
import aihwkit.simulator.configs
import aihwkit.simulator.parameters
import aihwkit.simulator.presets
from aihwkit.simulator.tiles.array import TileModuleArray
from torch.serialization import add_safe_globals

import aihwkit_dspt.configs
import aihwkit_dspt.plain

PACKAGES = (
    aihwkit.simulator.configs,
    aihwkit.simulator.parameters,
    aihwkit.simulator.presets,
    aihwkit_dspt.configs,
    aihwkit_dspt.plain,
)


PARTS_OF_INFERENCE = (
    aihwkit.inference.noise,
    aihwkit.inference.converter,
    aihwkit.inference.compensation,
)
"""Noise models and the like: classes of plain numbers that configurations of inference hold. Of
their modules only those count that aihwkit has imported: others need scikit-learn and SciPy, which
take a second."""


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    yield package
    for item in pkgutil.iter_modules(getattr(package, "__path__", ()), package.__name__ + "."):
        yield import_module(item.name)


def configuration_classes() -> List[Any]:
    """Return the classes that an RPU configuration can consist of: plain data, and tile classes."""
    found: List[object] = [TileModuleArray]
    for package in PACKAGES:
        for module in _modules(package):
            for value in vars(module).values():
                if isinstance(value, type) and (is_dataclass(value) or issubclass(value, Enum)):
                    found.append(value)
                    for name in ("tile_class", "simulator_tile_class"):
                        found.append(getattr(value, name, None))
    for name, module in sys.modules.items():
        if name.startswith(tuple(package.__name__ for package in PARTS_OF_INFERENCE)):
            # Not what the module only imports.
            found += [each for each in vars(module).values() if _is_of(each, module)]
    return list({item: None for item in found if isinstance(item, type)})


def _is_of(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__


def register_safe_globals() -> None:
    """Allow the configuration classes of aihwkit and of this package in ``weights_only`` loads.

    The state of an analog tile holds its RPU configuration, which torch would refuse. Devices or
    configurations of your own have to be added with ``torch.serialization.add_safe_globals``.
    """
    add_safe_globals(configuration_classes())
