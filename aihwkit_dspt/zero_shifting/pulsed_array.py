"""The C++ array that zero-shifting works on."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Mapping, Optional, Tuple

import torch
from aihwkit.exceptions import ConfigError, TileError
from aihwkit.simulator.configs.devices import PulsedDevice
from aihwkit.simulator.tiles.base import SimulatorTile
from aihwkit.simulator.tiles.module import TileModule
from torch import Tensor, nn

from aihwkit_dspt.devices import LinearResponse, Response, response
from aihwkit_dspt.devices.simulated import PERSISTENT
from aihwkit_dspt.tiles.cpp_tile import copy_cpp_tile
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.of_model import analog_tiles
from aihwkit_dspt.tiles.pipeline import Pipeline
from aihwkit_dspt.tiles.simulator_tile import TrackingSimulatorTile
from aihwkit_dspt.tiles.tile import TrackingTile
from aihwkit_dspt.zero_shifting.moments import normal_like


class PulsedArray:
    """A CPU array of one pulsed device: its cells, its weights, and a way back.

    Args:
        array: a tracking tile, whose fast array is meant; an object with aihwkit's C++
            ``AnalogTile`` in its attribute ``tile`` (such as aihwkit's tiles or a ``Crossbar``);
            a layer with one such tile; or the C++ tile itself.
        device: device configuration of the array. By default ``array.device_config`` or
            ``array.rpu_config.device``.

    Raises:
        ConfigError: if the device configuration is missing or not that of a pulsed device, or does
            not fit the array.
        TileError: if there is no C++ tile, it lives on a GPU, or its weights are not finite.
    """

    def __init__(self, array: Any, device: Optional[PulsedDevice] = None) -> None:
        array, self.owner = _meant(array)
        self.holder: Optional[Any] = array if hasattr(array, "tile") else None
        self.cpp = array.tile if self.holder is not None else array
        if not hasattr(self.cpp, "get_hidden_parameter_names"):
            raise TileError(
                f"array={type(array).__name__} has no aihwkit C++ tile. Pass a TrackingTile, one "
                "of aihwkit's analog tiles or its C++ AnalogTile."
            )
        if "Cuda" in type(self.cpp).__name__:
            raise TileError(
                "array lives on a GPU; zero-shifting pulses CPU arrays. Call .cpu() of the tile "
                "first."
            )
        self.device = device if device is not None else _device_of(array)
        if not isinstance(self.device, PulsedDevice):
            raise ConfigError(
                f"device={type(self.device).__name__} is not a single pulsed device. Pass a tile "
                "with one (SingleRPUConfig), or a TrackingTile whose fast device is one."
            )
        self.cells: Response = response(self.device, self.hidden_parameters())
        if not torch.isfinite(self.weights()).all():
            raise TileError("array has weights that are not finite. Set its weights first.")

    @property
    def shared(self) -> Optional[Tensor]:
        """The tensor that shares its memory with the weights, ``None`` if not known."""
        for name in ("shared", "_shared_weight_tensor"):
            tensor = getattr(self.holder, name, None)
            if isinstance(tensor, Tensor):
                return tensor
        return None

    @property
    def has_write_noise(self) -> bool:
        """Whether the array keeps persistent weights below the visible ones."""
        return PERSISTENT in self.cpp.get_hidden_parameter_names()

    def hidden_parameters(self) -> Mapping[str, Tensor]:
        """Return name to ``[out_size, in_size]`` tensor of the per-cell device parameters."""
        names = self.cpp.get_hidden_parameter_names()
        return OrderedDict(zip(names, self.cpp.get_hidden_parameters(), strict=True))

    def weights(self) -> Tensor:
        """Return a copy of the visible weights ``[out_size, in_size]``."""
        return self.cpp.get_weights()  # type: ignore[no-any-return]

    def persistent_weights(self) -> Tensor:
        """Return a copy of the weights that pulses act on, which write noise then hides."""
        return self.hidden_parameters()[PERSISTENT] if self.has_write_noise else self.weights()

    def copy(self) -> Any:
        """Return an independent copy of the C++ tile, with all of its cells' state."""
        return copy_cpp_tile(self.cpp, self.device)

    def restore(self, backup: Any) -> None:
        """Put the array back into the state of a former :meth:`copy`.

        With a holder the copy takes the array's place, which is exact. A C++ tile passed alone can
        only be set through aihwkit, which clips to the bounds and draws new write noise.
        """
        if self.holder is not None:
            shared = self.shared
            if shared is not None:
                backup.set_shared_weights(shared)
            self.holder.tile = self.cpp = backup
        else:
            self.cpp.set_learning_rate(backup.get_learning_rate())
            kept = PulsedArray(backup, self.device)
            self.cpp.set_weights(kept.persistent_weights().contiguous())

    def was_pulsed(self, n_pulses: int) -> None:
        """Let the tracking tile that the array belongs to know of its new weights.

        It counts the pulses of its fast array, and its mixed weight follows all of its arrays.
        """
        if self.owner is None:
            return
        if self.holder is self.owner.fast:
            self.owner.counters.calibration_pulses += n_pulses
        self.owner.follow_arrays()

    def why_not_storable(self, persistent: Tensor) -> Optional[str]:
        """Return why these persistent weights cannot be set exactly, ``None`` if they can.

        aihwkit clips weights that are set to the bounds of the device before its reference is
        subtracted, and pulsed weights to the bounds after: a range that pulses reach is barred.
        """
        hidden = self.hidden_parameters()
        barred = (persistent < hidden["min_bound"]) | (persistent > hidden["max_bound"])
        if barred.any() and (self.shared is None or self.has_write_noise):
            return f"aihwkit would clip {int(barred.sum())} cells, whose reference shifts the range"
        if (
            self.has_write_noise
            and self.shared is None
            and not self.device.apply_write_noise_on_set
        ):
            return "with apply_write_noise_on_set=False aihwkit sets weights without write noise"
        return None

    def with_write_noise(self, persistent: Tensor, generator: Optional[torch.Generator]) -> Tensor:
        """Return visible weights for persistent weights ``[out_size, in_size]`` after a pulse."""
        if not self.has_write_noise:
            return persistent
        std = float(self.device.write_noise_std) * self.cells.dw_min
        return persistent.add(normal_like(persistent, generator), alpha=std)

    def store(self, persistent: Tensor, visible: Tensor) -> None:
        """Set ``[out_size, in_size]`` weights for which :meth:`why_not_storable` has no objection.

        Pulses act on the persistent ones; the visible ones are read. Without shared memory aihwkit
        draws the write noise itself instead.
        """
        if self.has_write_noise or self.shared is None:
            self.cpp.set_weights(persistent.float().contiguous())
        if self.shared is not None:
            self.shared.copy_(visible)

    @property
    def linear_cells(self) -> LinearResponse:
        """The response, if its steps are linear in the weight.

        Raises:
            ConfigError: if they are not.
        """
        if not isinstance(self.cells, LinearResponse):
            raise ConfigError(
                f"device={type(self.device).__name__} has no closed form: its steps are not linear "
                "in the weight. Pass method='pulses' or 'vectorised'."
            )
        return self.cells


def _meant(given: object) -> Tuple[object, Optional[Pipeline]]:
    """Return the array that is meant, and the pipeline that it belongs to."""
    if isinstance(given, nn.Module) and not isinstance(given, (TileModule, SimulatorTile)):
        tiles = list(analog_tiles(given).values())
        if len(tiles) != 1:
            raise TileError(
                f"array={type(given).__name__} has {len(tiles)} analog tiles. Pass one of them, "
                "e.g. next(model.analog_tiles()), or call calibrate(model, n_pulses)."
            )
        (given,) = tiles
    simulator = given.tile if isinstance(given, TrackingTile) else given
    if isinstance(simulator, TrackingSimulatorTile):
        return simulator.pipeline.fast, simulator.pipeline
    return given, given.owner() if isinstance(given, Crossbar) else None


def _device_of(array: object) -> PulsedDevice:
    if hasattr(array, "device_config"):
        return array.device_config
    if hasattr(array, "rpu_config"):
        return array.rpu_config.device
    raise ConfigError(
        f"device=None, and {type(array).__name__} does not name its device. Pass the device "
        "configuration of the array."
    )
