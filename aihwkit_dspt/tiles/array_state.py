"""The state of an array, with which it can go on, and parameters of its cells."""

from __future__ import annotations

from typing import Any, Dict, Optional

from aihwkit.simulator.configs.compounds import UnitCell
from torch import Tensor, allclose, equal, stack

from aihwkit_dspt.tiles.cpp_tile import (
    cpp_granularity,
    set_cpp_granularity,
    with_granularity,
)
from aihwkit_dspt.tiles.crossbar import Crossbar

SAME_WEIGHT = 1e-6
"""Weights of a unit cell and of its devices that differ by less are the same but for rounding."""


def state_of(array: Crossbar) -> Dict[str, object]:
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


def set_parameters(array: Crossbar, parameters: Tensor, weights: Optional[Tensor]) -> None:
    """Set the ``[n_names, d_size, x_size]`` parameters of an array.

    Where its ``[d_size, x_size]`` weights are given, too, those of unit cells follow the devices in
    the cells. Given alone, they are programmed into the cells.
    """
    if weights is None:
        array.set_hidden_parameters(parameters)
        return
    total = sum_of_cells(array, parameters)
    weights, current = weights.to(array.weights), array.hidden_parameters()
    if total is None or allclose(total.to(weights), weights, atol=SAME_WEIGHT):
        array.set_hidden_parameters(parameters)
        array.weights.copy_(weights)
    elif equal(parameters.to(current), current):
        if not equal(weights, array.weights):
            array.program(weights)
    else:
        array.set_hidden_parameters(parameters, keeps_weights=False)


def sum_of_cells(array: Crossbar, parameters: Tensor) -> Optional[Tensor]:
    """Return the weights that ``[n_names, d_size, x_size]`` device parameters make.

    They are summed over the devices of each cell; ``None`` if the array has no unit cells.
    """
    if not isinstance(array.device_config, UnitCell):
        return None
    names, extra = array.hidden_parameter_names(), array.cpp.dump_extra()
    scales = extra.get("rpu.rpucuda_device.dev_reduce_weightening")
    scales = scales or extra["rpu.rpu_device.reduce_weightening"]
    parts = [parameters[names.index(f"hidden_weights_{k}")] * s for k, s in enumerate(scales)]
    return stack(parts).sum(0)
