"""Layers that are used in several places of a model."""

from __future__ import annotations

from typing import Dict

from torch import nn


class Elsewhere(nn.Module):
    """Stands for a module that has another place in the model, while the model is converted.

    aihwkit's conversion takes each module where it finds it first, leaves the other places digital
    and takes them out of a ``Sequential``.
    """


def part_shared(model: nn.Module) -> Dict[str, str]:
    """Leave every module in the first of its places, and :class:`Elsewhere` in the others.

    Args:
        model: the model; it is changed.

    Returns:
        name of the other place -> name of the first one.
    """
    first: Dict[int, str] = {id(model): ""}
    places: Dict[str, str] = {}

    def visit(module: nn.Module, name: str) -> None:
        for key, child in module._modules.items():
            if child is None:
                continue
            place = f"{name}.{key}" if name else key
            if id(child) in first:
                places[place] = first[id(child)]
                module._modules[key] = Elsewhere()
            else:
                first[id(child)] = place
                visit(child, place)

    visit(model, "")
    return places


def join_shared(model: nn.Module, places: Dict[str, str]) -> None:
    """Put the modules back into all of their places.

    Args:
        model: the model; it is changed.
        places: what :func:`part_shared` returned.
    """
    for place, name in places.items():
        parent, _, key = place.rpartition(".")
        model.get_submodule(parent)._modules[key] = model.get_submodule(name)
