"""What has to hold after every whole step."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import torch
from torch import Tensor, nn

from aihwkit_dspt import TrackingTile
from aihwkit_dspt.tiles.names import named_arrays
from tests.helpers import PROPERTIES, mixed_weight

TOLERANCE = 2e-6
"""Single precision and a sum of three terms; in units of the largest term, at least of 1."""


class Fault(Exception):
    """Something that must not happen."""


class NotFinite(Fault):
    """A value that is not finite; a fault unless it happens to C++ AGAD, too."""


def tiles(layer: nn.Module) -> List[TrackingTile]:
    """Return all tracking tiles of a layer."""
    return [module for module in layer.modules() if isinstance(module, TrackingTile)]


def check(layer: nn.Module) -> None:
    """Raise a fault unless all is finite and the mixed weight is in use.

    The weight in use is that of the C++ tile through which forward and backward go.
    """
    for tile in tiles(layer):
        values = {name: getattr(tile, name) for name in PROPERTIES}
        for name, value in values.items():
            if not bool(value.isfinite().all()):
                raise NotFinite(name)
        expected = mixed_weight(tile)
        scale = max(1.0, *(float(values[name].abs().max()) for name in PROPERTIES[:3]))
        for name, used in (
            ("weight in use", tile.tile.get_weights()),
            ("weight of the C++ tile", tile.tile.pipeline.mixed_array.tile.get_weights()),
        ):
            off = float((used - expected).abs().max())
            if not off <= TOLERANCE * scale:
                raise Fault(f"{name} is off W + gamma*c*(P - Q~) by {off:.3g}")


def states(layer: nn.Module) -> List[Dict[str, Any]]:
    """Return all that the tiles of a layer remember, as copies."""
    return [state(tile) for tile in tiles(layer)]


def state(tile: TrackingTile) -> Dict[str, Any]:
    """Return all that a tile remembers, as copies."""
    extra = tile.tile.dump_extra()
    for name in named_arrays(tile.tile.pipeline):
        del extra[name]["hidden_parameters"]  # below, by name
    return {
        "values": {name: getattr(tile, name) for name in PROPERTIES},
        "used": tile.tile.get_weights(),
        "hidden": tile.get_hidden_parameters(),
        "extra": extra,
    }


def without_persistent(found: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """Return states without weights that hide below write noise, and those of cells clipped.

    aihwkit clips these to the bounds when they are set, before a reference is subtracted, so that
    they do not always come back. In a unit cell it then draws the write noise once more.
    """
    return [{**one, "hidden": _without_persistent(one["hidden"])} for one in found]


def _without_persistent(hidden: Dict[str, Tensor]) -> Dict[str, Tensor]:
    persistent = [name for name in hidden if name.startswith("persistent_weights")]
    noisy = [name.replace("persistent", "hidden") for name in persistent]
    kept = {name: value for name, value in hidden.items() if name not in persistent + noisy}
    for name, weights in list(kept.items()):
        if name.startswith("hidden_weights"):
            low, high = (
                kept[name.replace("hidden_weights", f"{of}_bound")] for of in ("min", "max")
            )
            kept[name] = torch.minimum(torch.maximum(weights, low), high)
    return kept


def check_same(what: str, first: Any, second: Any) -> None:
    """Raise a fault unless two nested states are the same, bit for bit."""
    found = differ(first, second)
    if found:
        raise Fault(f"{what}: {shortened(found)}")


def differ(first: Any, second: Any) -> str:
    """Return where two nested states differ; nothing if they do not."""
    return _difference(first, second, "state") or ""


def _difference(first: Any, second: Any, path: str) -> Optional[str]:
    """Return where two nested states differ, and by how much."""
    if isinstance(first, Tensor) and isinstance(second, Tensor) and first.shape == second.shape:
        if torch.allclose(first, second, rtol=0.0, atol=0.0, equal_nan=True):
            return None
        return f"{path} differs by {float((first - second).abs().max()):.3g}"
    if isinstance(first, dict) and isinstance(second, dict) and list(first) == list(second):
        pairs = [(first[key], second[key], f"{path}.{key}") for key in first]
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        pairs = [(one, other, f"{path}[{i}]") for i, (one, other) in enumerate(zip(first, second))]
    else:
        return None if first == second else f"{path} is {first!r} and {second!r}"
    return next((found for pair in pairs if (found := _difference(*pair))), None)


def shortened(text: str) -> str:
    """Return a text on one line, not too long."""
    line = " ".join(str(text).split())
    return line if len(line) <= 400 else line[:400] + " ..."
