"""Decorators that repeat a test case over layers and biases, always with the tile under test."""

from __future__ import annotations

import sys
from itertools import product
from typing import Any, Callable, Dict, List, Optional

from .tiles import PerfectTileUnderTest, TileUnderTest


def parameterized_class(
    attributes: List[Dict[str, Any]], *, class_name_func: Optional[Callable[..., str]] = None
) -> Callable[[Any], Any]:
    """Make a copy of a test case for each dictionary of class attributes.

    The case itself keeps its helpers and loses its tests, also for classes that inherit from it.
    Stands in for the package ``parameterized``, of which aihwkit's tests use only this.
    """

    def decorate(case: Any) -> Any:
        module = vars(sys.modules[case.__module__])
        own = {key: value for key, value in vars(case).items() if key not in _NOT_COPIED}
        for number, values in enumerate(attributes):
            name = (
                class_name_func(case, number, values)
                if class_name_func is not None
                else f"{case.__name__}_{number}"
            )
            module[name] = type(name, (case,), {**own, **values})
        for key in own:
            if key.startswith("test"):
                delattr(case, key)
        return case

    return decorate


_NOT_COPIED = ("__dict__", "__weakref__")


def _public(description: Any) -> Dict[str, Any]:
    """Return the public members of a description, inherited ones included."""
    return {key: getattr(description, key) for key in dir(description) if key[0] != "_"}


def _tile(tiles: List[Any]) -> Any:
    """Return the tile under test with such reads as the tiles of the test have."""
    return TileUnderTest if TileUnderTest in tiles else PerfectTileUnderTest


def _named(case: Any, _: int, values: Dict[str, Any]) -> str:
    return f"{case.__name__}_{values['parameter']}"


def parametrize_over_tiles(tiles: List[Any]) -> Callable[[Any], Any]:
    """Use the tile under test in place of a list of tiles."""
    tile = _tile(tiles)
    attributes = {**_public(tile), "parameter": tile.__name__}
    return parameterized_class([attributes], class_name_func=_named)


def parametrize_over_layers(
    layers: List[Any], tiles: List[Any], biases: List[Optional[str]]
) -> Callable[[Any], Any]:
    """Repeat over layers and biases: ``"analog"``, ``"digital"`` or ``None``."""
    tile = _tile(tiles)

    def attributes(layer: Any, bias: Optional[str]) -> Dict[str, Any]:
        def get_rpu_config(*_: Any) -> Any:
            rpu_config = tile().get_rpu_config()
            rpu_config.mapping.digital_bias = bias == "digital"
            return rpu_config

        return {
            **_public(layer),
            "parameter": f"{layer.__name__}_{tile.__name__}_{(bias or 'no').capitalize()}Bias",
            "get_rpu_config": get_rpu_config,
            "tile_class": tile,
            "bias": bias is not None,
            "digital_bias": bias == "digital",
            "analog_bias": bias == "analog",
        }

    return parameterized_class(
        [attributes(layer, bias) for layer, bias in product(layers, biases)],
        class_name_func=_named,
    )
