"""The state of an array, with which it can go on."""

from __future__ import annotations

from typing import Any, Dict

from aihwkit_dspt.tiles.cpp_tile import (
    cpp_granularity,
    set_cpp_granularity,
    with_granularity,
)
from aihwkit_dspt.tiles.crossbar import Crossbar


def state_of(array: Crossbar) -> Dict[str, Any]:
    """Return all that is needed to continue, as CPU tensors and plain Python values."""
    return {
        "weights": array.weights.detach().cpu().clone().contiguous(),
        "hidden_parameters": array.hidden_parameters().detach().cpu().clone(),
        "learning_rate": float(array.cpp.get_learning_rate()),
        "extra": extra_of(array),
    }


def extra_of(array: Crossbar) -> Dict[str, Any]:
    """Return what aihwkit's ``dump_extra`` does, with the device's own granularity."""
    return with_granularity(array.cpp.dump_extra(), array.granularity)


def set_state(array: Crossbar, state: Dict[str, Any]) -> None:
    """Set the state that :func:`state_of` returned."""
    array.weights.copy_(state["weights"].to(array.shared.device))
    array.set_hidden_parameters(state["hidden_parameters"])
    array.cpp.set_learning_rate(state["learning_rate"])
    array.cpp.load_extra(state["extra"], False)
    array.granularity = cpp_granularity(array.cpp)
    set_cpp_granularity(array.cpp, array.pulse_granularity)
