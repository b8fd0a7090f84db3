"""Moving the symmetric points of a model while it trains."""

from __future__ import annotations

from functools import partial
from typing import Dict, Mapping, Optional, Sequence
from warnings import warn

import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.simulator.configs.compounds import DigitalRankUpdateCell, UnitCell
from aihwkit.simulator.configs.devices import PulsedDevice
from torch import nn

from aihwkit_dspt.configs.checks import require_whole, shown
from aihwkit_dspt.drift.array import MovingPoints
from aihwkit_dspt.drift.law import DriftLaw
from aihwkit_dspt.monitor.steps import StepListener
from aihwkit_dspt.stages.uninterrupted import in_one_go
from aihwkit_dspt.tiles.names import array_names
from aihwkit_dspt.tiles.of_model import analog_tiles, tracking_tiles

PULSED = PulsedDevice, UnitCell, DigitalRankUpdateCell
"""Devices of tiles that are trained by pulses."""


class SymmetricPointDrift:
    r"""Moves the steps of pulses, and with them the symmetric points, while a model trains.

    As a context manager it moves them after every ``every``-th training step::

        with SymmetricPointDrift(model, walk=0.002, seed=1):
            train(model)

    or call :meth:`advance` when you like. In a training step a point :math:`w` moves by

    .. math::

        dw = \sigma\,\xi + v + u\,n - (1 - e^{-\kappa})(w - w_0) + J

    Between moves of several steps the law is the same. A point is reflected where it comes closer
    to a bound of its cell than 2 % of the range. The sizes of up and down pulses change so that
    they are equal at the new point and their mean stays, whatever the response of the device is.
    Weights do not move. A failed or interrupted move leaves all arrays as they were.

    The hidden parameters of the tile are those of the moved cells: they are saved, copied and
    loaded with the model, and :func:`~aihwkit_dspt.symmetric_points` and the monitor follow.
    What is left to go on is in :meth:`state_dict`::

        save_checkpoint("run.pt", model, optimizer, drift=drift.state_dict())
        drift.load_state_dict(load_checkpoint("run.pt", model, optimizer)["drift"])

    Args:
        model: a model with tracking tiles, or one such tile. With ``gamma=0`` a tracking tile is
            aihwkit's AGAD. Tiles of other kinds stay as they are; pulsed ones are named by a
            warning.
        walk: :math:`\sigma`, random walk of each cell, in weight units per root of a step.
        trend: :math:`v`, common to all cells, in weight units per step.
        wear: :math:`u`, aging, in weight units per pulse :math:`n` that the cell took. Pulses that
            undid each other between two moves are not seen.
        relaxation: :math:`\kappa`, return to where a point was at first (:math:`w_0`), per step.
        jump_rate: probability per cell and step that its point jumps (:math:`J`).
        jump_std: standard deviation of jumps, in weight units.
        every: number of training steps between moves.
        arrays: numbers of the arrays, as in ``unit_cell_devices``: 0 is the fastest; ``None`` for
            all of them.
        seed: seed of the random numbers, which are the drift's own.

    Attributes:
        step: number of training steps so far.

    Raises:
        TileError: if the model has no tracking tile.
        ConfigError: if the device of one of the arrays has no symmetric points.
        ArgumentError: if a number is out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        walk: float = 0.0,
        trend: float = 0.0,
        wear: float = 0.0,
        relaxation: float = 0.0,
        jump_rate: float = 0.0,
        jump_std: float = 0.0,
        every: int = 1,
        arrays: Optional[Sequence[int]] = None,
        seed: int = 0,
    ) -> None:
        self.law = DriftLaw(walk, trend, wear, relaxation, jump_rate, jump_std).checked()
        self.every = require_whole("every", every, 1)
        self.step = 0
        self._moved = 0
        self._generator = torch.Generator().manual_seed(require_whole("seed", seed, 0))
        self._arrays = arrays
        try:
            self._tiles = tracking_tiles(model)
        except TileError as error:
            raise TileError(
                f"{error}. Cells of aihwkit's own tiles cannot be moved; a tracking tile with "
                "gamma=0 equals its AGAD in every state, with reference=ReferenceType.ZERO TT-v2"
            ) from error
        self._points: Dict[str, MovingPoints] = {}
        self._find()
        self._warn_of_others(model)
        self._listener = StepListener(list(self._tiles.values()), self._on_step)

    def _warn_of_others(self, model: nn.Module) -> None:
        """Name the pulsed tiles of other kinds, whose points stay where they are."""
        others = []
        for name, tile in analog_tiles(model).items():
            device = getattr(getattr(tile, "rpu_config", None), "device", None)
            if name not in self._tiles and isinstance(device, PULSED):
                others.append(f"'{name}' ({type(device).__name__})")
        if others:
            warn(
                f"the symmetric points of {', '.join(others)} do not move: cells of aihwkit's own "
                "tiles cannot be moved. Convert these layers with a TrackingRPUConfig, too; with "
                "gamma=0 it equals aihwkit's AGAD, with reference=ReferenceType.ZERO TT-v2",
                stacklevel=3,
            )

    def _find(self) -> Dict[str, MovingPoints]:
        """Return the points of all arrays by name; a loaded tile has other arrays."""
        for tile_name, tile in self._tiles.items():
            pipeline = tile.tile.pipeline
            pipeline.settle()
            names, crossbars = array_names(len(pipeline.arrays)), pipeline.arrays[::-1]
            chosen = range(len(names)) if self._arrays is None else self._arrays
            for number in chosen:
                index = require_whole("arrays", number, 0, len(names) - 1)
                name = ".".join(part for part in (tile_name, names[index]) if part)
                if name not in self._points:
                    self._points[name] = MovingPoints(name, crossbars[index])
                self._points[name].array = crossbars[index]
        return self._points

    # -- moves ------------------------------------------------------------------------------------

    def __enter__(self) -> SymmetricPointDrift:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()

    def _on_step(self) -> None:
        self.step += 1
        if self.step - self._moved >= self.every:
            self._move(self.step - self._moved, _moved=self.step)

    @torch.no_grad()
    def advance(self, n_steps: int = 1) -> None:
        """Move all points now as they do in so many training steps.

        Raises:
            ArgumentError: if it is not a positive number.
        """
        self._move(require_whole("n_steps", n_steps, 1))

    @torch.no_grad()
    def _move(self, n_steps: int, **counted: int) -> None:
        """Move all points and count, as a whole or not at all."""
        random = self._generator.get_state()
        is_done: Dict[str, bool] = {}
        try:
            moves = [
                call
                for points in self._find().values()
                for call in points.moved(self.law, n_steps, self._generator)
            ]
            note = partial(is_done.update, {"moved": True})
            in_one_go(*moves, partial(vars(self).update, counted), note)
        finally:
            if not is_done:
                self._generator.set_state(random)

    # -- state ------------------------------------------------------------------------------------

    def state_dict(self) -> Dict[str, object]:
        """Return what is needed, beside the model, to go on as if nothing had happened."""
        return {
            "step": self.step,
            "moved": self._moved,
            "law": self.law._asdict(),
            "random": self._generator.get_state(),
            "arrays": {name: points.state() for name, points in self._find().items()},
        }

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on where :meth:`state_dict` was called, after the model was loaded.

        Raises:
            ArgumentError: if it is the state of another drift, or of another model; nothing is
                changed then.
        """
        names = ["step", "moved", "law", "random", "arrays"]
        if not isinstance(state, dict) or sorted(state) != sorted(names):
            raise ArgumentError(f"state={shown(state)} is not valid: pass that of a drift")
        if state["law"] != self.law._asdict():
            raise ArgumentError(
                f"state has the law {state['law']}, this drift {self.law._asdict()}: make the "
                "drift with the numbers of the state"
            )
        points = self._find()
        if sorted(state["arrays"]) != sorted(points):
            raise ArgumentError(
                f"state has the arrays {sorted(state['arrays'])}, this drift {sorted(points)}: "
                "load it with the same model and arrays"
            )
        checked = {name: points[name].checked_state(of) for name, of in state["arrays"].items()}
        self._generator.set_state(state["random"].cpu())
        self.step, self._moved = int(state["step"]), int(state["moved"])
        for name, of_array in checked.items():
            points[name].load_state(of_array)
