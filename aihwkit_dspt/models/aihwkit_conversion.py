"""A model that aihwkit's own ``convert_to_analog`` is about to convert."""

from __future__ import annotations

import warnings
from types import FrameType
from typing import Container, Dict, Iterator, List, Mapping, Optional, Tuple
from weakref import WeakSet, ref

from aihwkit.exceptions import ConfigError
from aihwkit.nn.conversion import _DEFAULT_CONVERSION_MAP, specific_rpu_config_id
from torch import nn

from aihwkit_dspt.models.aihwkit_layers import CONVERT, check_convolution, is_convolution
from aihwkit_dspt.models.containers import SameSequential
from aihwkit_dspt.models.rules import kind_of
from aihwkit_dspt.models.ties import tied_modules
from aihwkit_dspt.tiles.of_model import is_analog_layer

_told: WeakSet[nn.Module] = WeakSet()
"""Modules that a warning has named."""


_NAMES = {
    *("conversion_map", "exclude_modules", "module", "module_name", "rpu_config"),
    *("specific_rpu_config_fun", "tile_module_class"),
}
"""What is looked at of a call of aihwkit's; a version that names it differently goes unchecked."""


class _Last:
    """What the conversion that is under way converts; of a ``Sequential`` its analog copy, too."""

    model: Optional[ref[nn.Module]] = None


def look(frame: FrameType) -> None:
    """Hold a model against what aihwkit does with it.

    Args:
        frame: call of ``convert_to_analog`` that copies the configuration for its next layer.

    Raises:
        ConfigError: for a layer that aihwkit has no layer for and would fail at, and for modules in
            several places, which it takes apart or drops.

    Warns:
        UserWarning: once, for layers that stay digital and tied ones that come apart.
    """
    values = frame.f_locals
    if not values.keys() >= _NAMES:
        return
    kinds = values["conversion_map"]
    if kinds.get(nn.Sequential) is SameSequential:  # it is convert() that calls
        return
    layer = values.get("mod", values["module"])
    name = values.get("full_name", values["module_name"])
    depth = 6  # _warn, look, _look, __getstate__, deepcopy, convert_to_analog
    outer = frame
    while outer.f_back is not None and outer.f_back.f_code is frame.f_code:
        outer = outer.f_back
        depth += 1
    if is_convolution(kinds.get(type(layer))):
        is_final = values["specific_rpu_config_fun"] is specific_rpu_config_id
        is_final = is_final and values["tile_module_class"] is None
        check_convolution(name, layer, values["rpu_config"] if is_final else None)
    model, left = outer.f_locals["module"], set(values["exclude_modules"])
    if _Last.model is not None and _Last.model() is model:
        return  # has been looked at as a whole
    _require_once(model, kinds, left)
    _Last.model = ref(model)
    if kinds is _DEFAULT_CONVERSION_MAP:
        _warn(model, left, depth)


def _require_once(model: nn.Module, kinds: Mapping[type, object], left: Container[str]) -> None:
    """Refuse modules in several places that would not be one module any more."""
    places: Dict[int, List[Tuple[str, nn.Module, nn.Module]]] = {}
    visited = {id(model)}
    waiting: List[Tuple[str, nn.Module]] = [("", model)]
    while waiting:
        name, parent = waiting.pop()
        for key, child in parent._modules.items():
            place = f"{name}.{key}" if name else key
            if child is None or place in left:
                continue
            places.setdefault(id(child), []).append((place, parent, child))
            if id(child) not in visited:
                visited.add(id(child))
                waiting.append((place, child))
    for found in places.values():
        if len(found) < 2:
            continue
        kind = type(found[0][2])
        parents = [parent for _, parent, _ in found]
        is_dropped = any(
            isinstance(parent, nn.Sequential) and parents.count(parent) > 1 for parent in parents
        )
        if kind in kinds or is_dropped:
            names = " and ".join(repr(place) for place, _, _ in found)
            fate = "drops all but the first" if is_dropped else "makes several of it"
            raise ConfigError(
                f"{names} are one {kind.__name__}, and aihwkit's convert_to_analog {fate}: "
                f"{CONVERT}, which keeps it one"
            )


def _warn(model: nn.Module, left: Container[str], depth: int) -> None:
    digital = [(name, each) for name, each in _digital(model, "", left) if each not in _told]
    _told.update(each for _, each in digital)
    if digital:
        shown = ", ".join(f"{name} ({type(each).__name__})" for name, each in digital[:3])
        more = f" and {len(digital) - 3} more" if len(digital) > 3 else ""
        warnings.warn(
            f"aihwkit's convert_to_analog leaves {shown}{more} digital: {CONVERT}, which has "
            "arrays for most of such layers and says why of others, or name them in "
            "exclude_modules",
            stacklevel=depth + 1,
        )
    tied = tied_modules(model)
    apart = [
        (name, each)
        for name, each in model.named_modules()
        if id(each) in tied
        and type(each) in _DEFAULT_CONVERSION_MAP
        and name not in left
        and each not in _told
    ]
    _told.update(each for _, each in apart)
    if apart:
        shown = ", ".join(f"{name} (tied to {tied[id(each)]})" for name, each in apart)
        warnings.warn(
            f"aihwkit's convert_to_analog gives {shown} a copy of weights that were shared, which "
            "will differ from now on: convert(model, rpu_config) of aihwkit_dspt says what becomes "
            "of them (tied='keep' or 'untie')",
            stacklevel=depth + 1,
        )


def _digital(module: nn.Module, name: str, left: Container[str]) -> Iterator[Tuple[str, nn.Module]]:
    """Yield the layers of known kinds that aihwkit leaves digital."""
    if (name in left and name) or is_analog_layer(module):
        return
    kind = kind_of(module)
    if kind not in (None, nn.TransformerEncoder):
        if type(module) not in _DEFAULT_CONVERSION_MAP:
            yield name or "the model", module
        return
    for key, child in module._modules.items():
        if child is not None:
            yield from _digital(child, f"{name}.{key}" if name else key, left)
