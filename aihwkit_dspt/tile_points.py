"""Symmetric points of the arrays of a tile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Dict, Tuple

from aihwkit.exceptions import TileError
from aihwkit.simulator.tiles.module import TileModule
from torch import Tensor

from aihwkit_dspt.configs.checks import shown
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.devices.symmetric_points import SymmetricPoints
from aihwkit_dspt.devices.symmetric_points import symmetric_points as array_symmetric_points


@dataclass(frozen=True)
class TileSymmetricPoints:
    """Symmetric points of the arrays of a tile."""

    fast: SymmetricPoints
    """Symmetric points of the array that takes the gradient pulses."""

    slow: SymmetricPoints
    """Symmetric points of the array that holds the weight; the same for a single-device tile."""

    between: Tuple[SymmetricPoints, ...] = ()
    """Symmetric points of the arrays between them in a longer chain, the faster first."""


def symmetric_points(tile: TileModule) -> TileSymmetricPoints:
    r"""Return the true symmetric points of the cells of a tile, from its hidden parameters.

    The simulator knows them, a lab does not: this is the ground truth that estimates are compared
    with. At the symmetric point an up and a down pulse have the same size,
    :math:`G(W_{sp}) = 0` (paper, Def. 1.1).

    Args:
        tile: a :class:`~aihwkit_dspt.TrackingTile` or aihwkit's
            :class:`~aihwkit.simulator.tiles.analog.AnalogTile`, with one pulsed device or a
            compound of two (of a tracking tile any number).

    Returns:
        symmetric points ``[out_size, in_size]`` (one more column if the bias is analog) in the
        weight units of the tile, ``nan`` where a cell has none, with their number.

    Raises:
        TileError: if it is no tile, or has neither one pulsed device nor a compound of two.
        ConfigError: if a device has no registered response.
    """
    if not isinstance(tile, TileModule):
        raise TileError(
            f"tile={shown(tile)} is not an analog tile: pass one, e.g. next(model.analog_tiles())"
        )
    device = getattr(tile.rpu_config, "device", None)
    hidden = tile.get_hidden_parameters()
    devices = getattr(device, "unit_cell_devices", None)
    if devices is None and hidden:
        points = array_symmetric_points(device, hidden)
        return TileSymmetricPoints(points, points)
    is_chain = isinstance(device, TrackingTransferCompound)
    if devices is None or (len(devices) != 2 and not is_chain):
        raise TileError(
            f"a tile with device={type(device).__name__} has no symmetric points: pass a tile with "
            "one pulsed device or a compound of two"
        )
    fast, *between, slow = (
        array_symmetric_points(cell, _of_array(hidden, number))
        for number, cell in enumerate(devices)
    )
    return TileSymmetricPoints(fast, slow, tuple(between))


def _of_array(hidden: Mapping[str, Tensor], number: int) -> Dict[str, Tensor]:
    """Return the device parameters of one array of a compound, without their suffix."""
    suffix = f"_{number}"
    return {
        name.removesuffix(suffix): values
        for name, values in hidden.items()
        if name.endswith(suffix)
    }
