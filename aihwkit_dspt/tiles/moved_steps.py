"""Changing the sizes of the pulses of cells while they are in use."""

from __future__ import annotations

from functools import partial
from typing import List

from aihwkit.exceptions import ConfigError
from torch import Tensor

from aihwkit_dspt.devices.simulated import PERSISTENT
from aihwkit_dspt.stages.uninterrupted import Call
from aihwkit_dspt.tiles.crossbar import Crossbar

UP, DOWN = ("dwmin_up", "slope_up"), ("dwmin_down", "slope_down")
"""Parameters that are proportional to the size of a pulse up and down."""


def require_movable(name: str, array: Crossbar) -> None:
    """Raise ``ConfigError`` if cells of an array would move when their parameters are set.

    aihwkit clips weights below write noise to the bounds before a reference is subtracted, and
    pulses reach farther. Batched pulses, which are there on the CPU, hold these weights themselves.
    """
    names = array.hidden_parameter_names()
    if PERSISTENT in names and "reference" in names and not _holds(array):
        remedy = "pulse_mode=PulseMode.BATCHED or write_noise_std=0"
        if array.is_cuda:
            remedy = "write_noise_std=0, or train on the CPU with pulse_mode=PulseMode.BATCHED"
        raise ConfigError(
            f"{name} has write_noise_std={array.device_config.write_noise_std} below a reference: "
            f"aihwkit would clip its cells when their steps change. Pass {remedy}"
        )


def scaled_steps(array: Crossbar, up: Tensor, down: Tensor) -> List[Call]:
    """Return the calls that multiply the pulses of all cells by ``[d_size, x_size]`` factors.

    Weights, noise and the granularity for which pulse trains are made stay as they are. The calls
    are to be made in one go.
    """
    names, parameters = array.hidden_parameter_names(), array.hidden_parameters().clone()
    for of_sign, factors in ((UP, up), (DOWN, down)):
        for name in of_sign:
            if name in names:
                parameters[names.index(name)] *= factors.to(parameters)
    calls: List[Call] = [partial(array.cpp.set_hidden_parameters, parameters)]
    if PERSISTENT in names:
        persistent = parameters[names.index(PERSISTENT)]
        calls.append(partial(array.cpp.set_weights, persistent))
        if _holds(array):
            values = persistent.float().contiguous().numpy().copy()
            calls.append(partial(setattr, array.batched, "persistent", values))
    # aihwkit clips the visible weights, and estimates a granularity.
    calls.append(partial(array.weights.copy_, array.weights.clone()))
    calls.append(partial(array.cpp.load_extra, array.cpp.dump_extra(), False))
    version = {"parameters_version": array.parameters_version + 1}
    calls.append(partial(vars(array).update, version))
    return calls


def _holds(array: Crossbar) -> bool:
    """Return whether weights below write noise are held by the batched pulses."""
    return array.batched is not None and array.values is not None
