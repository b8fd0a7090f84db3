"""The hidden parameters of a tracking tile, under our names and under aihwkit's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, MutableMapping
from typing import Any, Dict, Iterable, List, Optional

from aihwkit.exceptions import TileError
from torch import Tensor

from aihwkit_dspt.configs.checks import shown, suggestion
from aihwkit_dspt.configs.tensor_checks import require_numbers
from aihwkit_dspt.tiles.names import link_prefix, weight_names

COMPOUND_NAMES: Dict[str, str] = {
    "fast_weights": "hidden_weights_0",
    "slow_weights": "hidden_weights_1",
    "transfer_buffer": "buffered_FP_weight",
    "sp_estimate": "running_mean_weight",
    "reference": "past_mean_weight",
}
"""Quantity of the method -> its name among the hidden parameters of aihwkit's C++ AGAD.

Layout, sign and units are the same. Only ``past_mean_weight`` may lag in C++: it takes the estimate
one sweep after the flip, when the line is read next.
"""

OWN_NAMES: Dict[str, str] = {
    **{theirs: ours for ours, theirs in COMPOUND_NAMES.items()},
    # C++ TT-v2 numbers its buffer.
    "buffered_FP_weight_0": "transfer_buffer",
}
"""aihwkit's name -> ours."""

WITHOUT_COMPOUND_NAME = "chopper"
"""What aihwkit's compounds do not list, and a dictionary of theirs does not have."""


def own_names(names: Iterable[str]) -> Dict[str, str]:
    """Return aihwkit's name -> ours, for the names of the hidden parameters of a tile.

    aihwkit's C++ chains of more than two devices number their arrays and buffers.
    """
    n_between = sum(name.startswith("array_") and name.endswith("_weights") for name in names)
    if n_between == 0:
        return OWN_NAMES
    weights = weight_names(n_between + 2)
    return {
        **{f"hidden_weights_{number}": name for number, name in enumerate(weights)},
        **{
            f"buffered_FP_weight_{number}": f"{link_prefix(number)}transfer_buffer"
            for number in range(n_between + 1)
        },
    }


class HiddenParameters(OrderedDict):  # type: ignore[type-arg]
    """Hidden parameters by name; each entry answers to aihwkit's name, too.

    ``h["hidden_weights_0"]`` and ``h["fast_weights"]`` are the same entry, to read, to set and to
    remove. It is listed once, under our name.
    """

    def _own(self, name: object) -> object:
        known = own_names(self)
        return known.get(name, name) if isinstance(name, str) else name

    def __getitem__(self, name: str) -> Tensor:
        value: Tensor = super().__getitem__(self._own(name))
        return value

    def __setitem__(self, name: str, value: Tensor) -> None:
        super().__setitem__(self._own(name), value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(self._own(name))

    def __contains__(self, name: object) -> bool:
        return super().__contains__(self._own(name))

    # A dictionary's own ones do not ask for what is above.
    get: Any = MutableMapping.get
    setdefault: Any = MutableMapping.setdefault

    def pop(self, name: str, *default: object) -> object:
        """Remove an entry and return it, or ``default`` if there is none of this name."""
        return super().pop(self._own(name), *default)

    def move_to_end(self, name: str, last: bool = True) -> None:
        """Move an entry to either end."""
        super().move_to_end(self._own(name), last)


def in_order(
    given: object, names: List[str], current: Mapping[str, Tensor]
) -> Optional[List[Tensor]]:
    """Return the values of a dictionary in the order of the tile's hidden parameters.

    Where both names of a quantity are there, aihwkit's counts: a plain copy of our dictionary has
    ours in any case, and theirs only if somebody set it. Without a chopper, which aihwkit's
    compounds do not list, the tile keeps its own.

    Args:
        given: name -> ``[d_size, x_size]`` values.
        names: the names of the tile.
        current: name -> values that the tile has now.

    Returns:
        the values; ``None`` for an empty dictionary.

    Raises:
        TileError: if names are unknown or missing, or values are no finite numbers of this shape.
    """
    if not isinstance(given, Mapping):
        raise TileError(
            f"hidden parameters={shown(given)} are not valid: pass a dictionary such as "
            "tile.get_hidden_parameters() returns"
        )
    if not given:
        return None
    theirs = own_names(names)
    own = {name: value for name, value in given.items() if name not in theirs}
    own.update({theirs[name]: given[name] for name in given if name in theirs})
    for name in names:
        if name.endswith(WITHOUT_COMPOUND_NAME):
            own.setdefault(name, current[name])
    unknown = [name for name in own if name not in names]
    missing = [name for name in names if name not in own]
    if unknown or missing:
        hint = suggestion(str(unknown[0]), [*names, *theirs]) if unknown else ""
        raise TileError(
            f"hidden parameters {unknown} are unknown and {missing} missing{hint}: change the "
            "dictionary that tile.get_hidden_parameters() returns"
        )
    shape = next(iter(current.values())).shape
    return [require_numbers(name, own[name], shape, TileError) for name in names]
