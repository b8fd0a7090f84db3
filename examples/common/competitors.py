"""Who runs in the race: untuned presets, as ``build_config`` makes them."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional

from aihwkit.nn.modules.base import AnalogLayerBase
from aihwkit.simulator.configs.helpers import build_config as aihwkit_build_config
from torch import nn

from aihwkit_dspt import build_config

OURS = "E-RIDER"
FROZEN = "frozen arrays"
DIGITAL = "digital SGD"
AIHWKIT: Dict[str, str] = {"TT-v2": "ttv2", "c-TTv2": "c-ttv2", "AGAD": "agad"}
"""Name -> algorithm of aihwkit's ``build_config``."""

COMPETITORS = (OURS, *AIHWKIT, FROZEN, DIGITAL)


def rpu_config(
    competitor: str, make_device: Callable[[], Any], seed: int, changes: Mapping[str, Any]
) -> Optional[Any]:
    """Return the RPU configuration of a competitor, ``None`` for the digital network.

    Args:
        competitor: see :data:`COMPETITORS`; ``FROZEN`` has the configuration of E-RIDER.
        make_device: makes the device of all arrays.
        seed: of the devices.
        changes: what differs from E-RIDER's defaults, see :func:`changed`.
    """
    if competitor == DIGITAL:
        return None
    if competitor in AIHWKIT:
        algorithm = AIHWKIT[competitor]
        return aihwkit_build_config(algorithm, make_device(), construction_seed=seed)
    return changed(make_device(), seed, changes)


def changed(device: Any, seed: int, changes: Mapping[str, Any]) -> Any:
    """Return E-RIDER with other settings than the defaults.

    Args:
        device: the device.
        seed: its seed.
        changes: keyword of ``build_config`` or, with dots, the place of a field in the
            configuration (``mapping.weight_scaling_omega``) -> value.
    """
    keywords = {name: value for name, value in changes.items() if "." not in name}
    config = build_config("e-rider", device, construction_seed=seed, **keywords)
    for place, value in changes.items():
        if "." in place:
            *path, name = place.split(".")
            owner: Any = config
            for part in path:
                owner = getattr(owner, part)
            if not hasattr(owner, name):
                raise ValueError(f"{place!r} is no field of the configuration")
            setattr(owner, name, value)
    return config


def freeze(model: nn.Module) -> None:
    """Throw away what the arrays of a model would learn from the last backward pass."""
    for module in model.modules():
        if isinstance(module, AnalogLayerBase):
            for tile in module.analog_tiles():
                tile.analog_ctx.reset()
