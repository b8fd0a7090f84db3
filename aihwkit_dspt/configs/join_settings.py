"""When the arrays of a chain join: the settings of the warm start."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional

from aihwkit_dspt.configs.checks import require, require_number

if TYPE_CHECKING:
    from aihwkit_dspt.configs.compound import TrackingTransferCompound


def waits(config: TrackingTransferCompound) -> List[Optional[float]]:
    """Return the sweeps after which each array between joins, the most significant first.

    ``None`` where an array waits to be told.
    """
    if isinstance(config.join_sweeps, list):
        return list(config.join_sweeps)
    return [config.join_sweeps] * max(len(config.unit_cell_devices) - 2, 0)


def check_joins(config: TrackingTransferCompound) -> None:
    """Check when the arrays of a chain join.

    Raises:
        ConfigError: if ``join_sweeps`` does not fit.
    """
    given, n_between = config.join_sweeps, len(config.unit_cell_devices) - 2
    if not isinstance(given, list):
        given = [given]
        require(
            n_between > 0 or given == [0.0] or not config.unit_cell_devices,
            "join_sweeps",
            config.join_sweeps,
            "there is no array between that could join; pass 0, or more than two unit_cell_devices",
        )
    else:
        require(
            len(given) == n_between or not config.unit_cell_devices,
            "join_sweeps",
            given,
            f"pass a number, or one for each of the {max(n_between, 0)} arrays between, the most "
            "significant first",
        )
    for number, sweeps in enumerate(given):
        if sweeps is not None:
            name = f"join_sweeps[{number}]" if config.join_sweeps is given else "join_sweeps"
            require_number(name, sweeps, low=0.0)
