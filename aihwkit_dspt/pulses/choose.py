"""The one place where the way of an array's pulses is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.parameters.training import UpdateParameters
from torch import float32

from aihwkit_dspt.configs.enums import PulseMode
from aihwkit_dspt.pulses.batched import BatchedPulses
from aihwkit_dspt.pulses.coverage import device_obstacle, update_obstacle

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.crossbar import Crossbar


def batch_pulses(array: Crossbar, mode: PulseMode, field: str, update: UpdateParameters) -> None:
    """Let an array take the pulses of batches at once where the mode says so.

    Args:
        array: the array.
        mode: how pulses are simulated.
        field: field of the configuration that holds ``update``.
        update: how pulses are generated.

    Raises:
        ConfigError: with ``PulseMode.BATCHED`` and a device or pulses that it does not cover.
    """
    if mode is PulseMode.CPP:
        return
    obstacles = [
        found
        for found in (
            _named("unit_cell_devices", device_obstacle(array.device_config)),
            _named(field, update_obstacle(update)),
            _named("runtime.data_type", None if array.shared.dtype is float32 else "not float32"),
        )
        if found is not None
    ]
    if not obstacles:
        array.batched = BatchedPulses(array, update, mode is PulseMode.BATCHED)
    elif mode is PulseMode.BATCHED:
        raise ConfigError(
            f"pulse_mode={mode} is not valid with {obstacles[0]}: it has no batched form; pass "
            "PulseMode.AUTO or PulseMode.CPP"
        )


def _named(field: str, obstacle: str | None) -> str | None:
    return None if obstacle is None else f"{field}: {obstacle}"
