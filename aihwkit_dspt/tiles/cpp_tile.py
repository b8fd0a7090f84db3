"""New C++ tiles."""

from __future__ import annotations

from typing import Any

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.configs import SingleRPUConfig

from aihwkit_dspt.configs.checks import shown


def create_cpp_tile(x_size: int, d_size: int, config: SingleRPUConfig) -> Any:
    """Return a new C++ tile, or raise ``ConfigError`` if aihwkit refuses the settings."""
    try:
        parameters = config.device.as_bindings(config.runtime.data_type)
        return config.as_bindings().create_array(x_size, d_size, parameters)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"device={shown(config.device)} is not valid, or how it is read or pulsed: aihwkit "
            f"refuses to build the array ({error}); pass other settings"
        ) from error
