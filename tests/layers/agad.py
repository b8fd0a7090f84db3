"""The same model twice: on aihwkit's C++ AGAD, and on tracking tiles with ``gamma=0``."""

from __future__ import annotations

from typing import Any, Callable, Tuple

from aihwkit.simulator.configs.compounds import DynamicTransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from torch import nn

from tests.helpers import deterministic, perfect, quiet_config, quiet_device
from tests.parity import TOLERANCE, cpp_states
from tests.table import METHODS


def cpp_config(digital_bias: bool = True, **settings: Any) -> UnitCellRPUConfig:
    """Return C++ AGAD with the settings of :func:`tests.helpers.quiet_config`."""
    defaults = {
        "unit_cell_devices": [quiet_device(), quiet_device()],
        "transfer_forward": perfect(),
        "transfer_update": deterministic(1),
        "fast_lr": 0.5,
        "transfer_lr": 0.3,
        "in_chop_prob": METHODS["AGAD"]["in_chop_prob"],
    }
    config = UnitCellRPUConfig(
        device=DynamicTransferCompound(**{**defaults, **settings}),
        forward=perfect(),
        backward=perfect(),
        update=deterministic(31),
    )
    config.mapping.digital_bias = digital_bias
    return config


def our_config(**settings: Any) -> Any:
    """Return the same on tracking tiles."""
    return quiet_config(**{**METHODS["AGAD"], **settings})


def pair(
    make: Callable[[Any], nn.Module], settings: Any = None, **mapping: Any
) -> Tuple[nn.Module, nn.Module]:
    """Return the model on C++ tiles and on ours, with equal weights.

    Args:
        make: makes the model on a configuration.
        settings: fields of both compounds, or ``digital_bias``.
        mapping: fields of ``mapping`` of both configurations.
    """
    configs = cpp_config(**(settings or {})), our_config(**(settings or {}))
    for config in configs:
        for name, value in mapping.items():
            assert hasattr(config.mapping, name)
            setattr(config.mapping, name, value)
    theirs, ours = map(make, configs)
    for one, other in zip(theirs.modules(), ours.modules(), strict=True):
        if hasattr(one, "get_weights") and not getattr(one, "IS_CONTAINER", True):
            other.set_weights(*one.get_weights())
    return theirs, ours


def assert_same(theirs: nn.Module, ours: nn.Module) -> None:
    """Compare every state of every tile and every digital parameter.

    Nothing is random, sums are formed in the same order: only rounding is left.
    """
    digital = [
        [value for name, value in model.named_parameters() if "analog_ctx" not in name]
        for model in (theirs, ours)
    ]
    for one, other in zip(*digital, strict=True):
        assert (one - other).abs().max() <= TOLERANCE
    for tile, tracking in zip(theirs.analog_tiles(), ours.analog_tiles(), strict=True):
        # The array itself, without scales and with an analog bias.
        states = {**cpp_states(tile, columns=True), "slow_weights": tile.tile.get_weights()}
        for name, value in states.items():
            difference = (value - getattr(tracking, name)).abs().max().item()
            assert difference <= TOLERANCE, f"{name} differs by {difference}"
        for one, other in zip(tile.get_weights(), tracking.get_weights()):
            assert one is other is None or (one - other).abs().max() <= TOLERANCE
