"""What aihwkit's C++ transfer compounds show of their state, on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, Dict, Optional, Tuple

import numpy as np
from aihwkit.simulator.configs.compounds import (
    BufferedTransferCompound,
    ChoppedTransferCompound,
    DynamicTransferCompound,
)
from numpy import float32
from numpy.typing import NDArray

from aihwkit_dspt.tiles.schedule import round_half_away

COMPOUNDS: Tuple[type, ...] = (
    DynamicTransferCompound,
    ChoppedTransferCompound,
    BufferedTransferCompound,
)
"""AGAD, (chopped) TT-v2 and TT-v2 as aihwkit's C++ simulates them."""

DEVICE = "rpu.rpu_device."

Array = NDArray[Any]


def is_compound(device: Any) -> bool:
    """Return whether a device is one of aihwkit's compounds whose operations are counted."""
    return type(device) in COMPOUNDS


@dataclass(frozen=True)
class CompoundClock:
    """How far a compound has come, from the numbers in its extra state."""

    update_cycles: int
    """Vector pairs since the weights were set."""

    lines: Tuple[int, ...]
    """Next line of each device; only the automatic period moves more than the first one."""

    sweeps: Optional[int]
    """Full sweeps over the fast array; ``None`` for the compound that does not count them."""

    in_chopper: Tuple[float, ...]
    """Chopper signs of the lines as 0 and 1, empty without choppers."""

    fast_lr: float
    """Learning rate of the last gradient pulses."""


def clock(tile: Any) -> CompoundClock:
    """Return the clock of an analog tile with one of the :data:`COMPOUNDS`."""
    extra: Dict[str, Any] = tile.tile.dump_extra()
    sweeps = extra.get(DEVICE + "transfer_counter")
    return CompoundClock(
        int(extra[DEVICE + "current_update_idx"][0]),
        tuple(int(line) for line in extra[DEVICE + "current_slice_indices"]),
        None if sweeps is None else int(sweeps[0]),
        tuple(extra.get(DEVICE + "in_chopper", ())),
        float(extra.get(DEVICE + "tmp_count_lr", [0.0])[0]),
    )


def line_sizes(tile: Any) -> Tuple[int, int]:
    """Return the number of lines that are read in turn, and of cells in each."""
    sizes = tile.tile.get_x_size(), tile.tile.get_d_size()
    in_size, out_size = sizes if tile.rpu_config.device.transfer_columns else sizes[::-1]
    return in_size, out_size


def period(device: Any, m_batch: int) -> Optional[int]:
    """Return the vectors between two transfer events, 0 for none.

    ``None`` if aihwkit derives it from the device, in which case it does each event twice.
    """
    every = device.transfer_every_vec[0] if device.transfer_every_vec else device.transfer_every
    if every < 0.0:
        return None
    if device.units_in_mbatch:
        return int(ceil(float32(every) * float32(m_batch)))
    return round_half_away(float(float32(every)))


class CompoundCells:
    """Buffer, weights and means of a compound before or after an update, ``[d_size, x_size]``."""

    def __init__(self, tile: Any) -> None:
        names = list(tile.tile.get_hidden_parameter_names())
        values = tile.tile.get_hidden_parameters().cpu().numpy()
        self._values: Dict[str, Array] = dict(zip(names, values))

    @property
    def buffer(self) -> Array:
        """Transfer buffer."""
        return next(v for n, v in self._values.items() if n.startswith("buffered_FP_weight"))

    @property
    def slow(self) -> Array:
        """Weights of the slow array; with write noise those below it."""
        return self._values.get("persistent_weights_1", self._values["hidden_weights_1"])

    @property
    def mean(self) -> Array:
        """Running mean of the reads (AGAD)."""
        return self._values["running_mean_weight"]

    @property
    def past_mean(self) -> Array:
        """Reference of the reads (AGAD)."""
        return self._values["past_mean_weight"]

    def device_parameters(self, number: int) -> Dict[str, Array]:
        """Return the parameters of the cells of one of the two arrays."""
        tail = f"_{number}"
        return {n[: -len(tail)]: v for n, v in self._values.items() if n.endswith(tail)}


def line_of(values: Array, line: int, columns: bool) -> Array:
    """Return the cells of a line in double precision."""
    return (values[:, line] if columns else values[line]).astype(np.float64)
