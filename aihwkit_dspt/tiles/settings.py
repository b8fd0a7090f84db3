"""Settings of a saved state and of the tile that it is loaded into."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple
from warnings import warn

from aihwkit_dspt.configs.compound import TrackingTransferCompound, chop_period

Difference = Tuple[str, object, object]
"""Nested name of a field, its value in the saved state and in the tile."""

Meaning = Callable[[Any], object]


FIXED: Dict[str, Optional[Meaning]] = {
    # Tells lines from cells: of buffer, estimate, reference, signs and the line that is next.
    "transfer_columns": None,
    # The line that is next, and when transfers start.
    "transfer_scope": None,
    # Signs that have flipped stay on the arrays, and phases are counted in periods.
    "in_chop_prob": lambda value: (value > 0.0, chop_period(value)),
    "out_chop_prob": lambda value: value > 0.0,
    # The cells themselves: their parameters are in the state, their granularity is not.
    "unit_cell_devices": None,
    "reference_device": None,
    # The stages, which know their own tensors.
    "estimator": None,
    "buffer": None,
    "chopper": None,
}
"""Settings that give a state its meaning, and what about them does; ``None`` for all.

A state is loaded only into a tile of the same ones (and of the same method). All others say how to
go on: another ``gamma`` mixes the same arrays differently, another ``desired_bl`` takes other
portions out of the same buffer.
"""


def fixed_settings(config: TrackingTransferCompound) -> Dict[str, object]:
    """Return the settings without which a state could not be understood, as copies."""
    return {name: deepcopy(getattr(config, name)) for name in FIXED}


def conflicts(saved: Dict[str, object], config: TrackingTransferCompound) -> List[Difference]:
    """Return the settings of a state that a tile has to share and does not."""
    found: List[Difference] = []
    for name, meaning in FIXED.items():
        own = getattr(config, name)
        if meaning is None:
            # Devices are drawn already, so that the seed means nothing any more.
            pairs = differences(saved[name], own, name)
            found += [item for item in pairs if not item[0].endswith(".construction_seed")]
        elif meaning(saved[name]) != meaning(own):
            found.append((name, saved[name], own))
    return found


def differences(saved: Any, own: Any, path: str = "") -> Iterator[Difference]:
    """Yield the fields in which the configurations of a state and of a tile differ.

    ``path`` is the name of what is compared. Where the classes are related, as a preset and its
    base, only fields count.
    """
    both = saved, own
    if is_dataclass(own) and (isinstance(saved, type(own)) or isinstance(own, type(saved))):
        names = dict.fromkeys(item.name for one in both for item in fields(one))
        prefix = f"{path}." if path else ""
        for name in names:
            if name != "tile_class":  # aihwkit keeps that of the tile
                first, second = (getattr(one, name, "not a field") for one in both)
                yield from differences(first, second, f"{prefix}{name}")
    elif all(isinstance(one, (list, tuple)) for one in both) and len(saved) == len(own):
        for index, (first, second) in enumerate(zip(saved, own)):
            yield from differences(first, second, f"{path}[{index}]")
    elif saved != own:
        yield path, saved, own


def described(found: List[Difference]) -> str:
    """Return a sentence part that names each field with both values."""
    return ", ".join(
        f"{path} is {_short(saved)} in the state and {_short(own)} in this tile"
        for path, saved, own in found
    )


def _short(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_short, value))}]"
    return type(value).__name__ if is_dataclass(value) else str(value)


class _Told:
    """What has been said of the load that is under way: many tiles have the same to say."""

    load: Optional[List[str]] = None
    messages: Tuple[str, ...] = ()


def warn_of_settings(found: List[Difference], replaced: bool, load: List[str]) -> None:
    """Warn, once in a load, of a state whose settings are not those of the tile.

    ``replaced`` says whether those of the state are in force now. ``load`` is an object that is the
    same for all tiles of a load.
    """
    message = f"the settings of the state differ from those of the tile: {described(found)}. "
    if replaced:
        message += (
            "Those of the state are in force now; to keep the tile's, pass load_rpu_config=False"
        )
    else:
        message += "Those of the tile stay in force"
    if _Told.load is not load:
        _Told.load, _Told.messages = load, ()
    if message not in _Told.messages:
        _Told.messages += (message,)
        warn(message, UserWarning, stacklevel=2)
