"""Watching the symmetric points being tracked."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

import torch
from torch import nn

from aihwkit_dspt.configs.checks import require_whole
from aihwkit_dspt.monitor.columns import COLUMNS
from aihwkit_dspt.monitor.ground_truth import CachedGroundTruth
from aihwkit_dspt.monitor.measure import finish, look
from aihwkit_dspt.monitor.steps import StepListener
from aihwkit_dspt.monitor.tensorboard import require_writer, write_histograms, write_scalars
from aihwkit_dspt.monitor.text import as_csv, as_json, table
from aihwkit_dspt.parallel.lending import is_borrowed
from aihwkit_dspt.tiles.names import row_name
from aihwkit_dspt.tiles.of_model import tracking_tiles
from aihwkit_dspt.whole_file import whole_file


class SymmetricPointMonitor:
    r"""Records how far estimate and arrays of each tile are from the true symmetric points.

    As a context manager it takes a record at once, if it has none yet, and after every ``every``-th
    training step::

        with SymmetricPointMonitor(model, every=100) as monitor:
            train(model)
        print(monitor.summary())
        monitor.to_csv("history.csv")

    or call :meth:`record` when you like. A training step is a step of any torch optimizer that
    updated at least one tile of the model; neither model nor optimizer is changed. Between records
    only these steps are counted.

    In a chain of more than two arrays each that is read has a row of its own: ``tile`` the fastest,
    ``tile.array_1`` the next, and so on.

    The true symmetric points :math:`W_{sp}` come from the simulator's hidden parameters. They are
    computed at the first record and kept (eight bytes per cell, and two weights per cell and array
    for the bounds) until a state is loaded.

    In several processes (:func:`~aihwkit_dspt.analog_data_parallel`) each has a monitor of its own,
    with the tiles whose arrays it owns; a rank may own none and record nothing.

    Args:
        model: a model with tracking tiles, or one such tile. Tiles of other kinds have no estimate
            and are not recorded.
        every: number of training steps between records.
        first_step: number of steps before the monitor, where a training is resumed.

    Attributes:
        history: column name -> list with an entry per record and tile; the columns are those of
            :data:`~aihwkit_dspt.monitor.COLUMNS`, which says what they hold.
        step: number of training steps so far.

    Raises:
        TileError: if the model has no tracking tile.
        ArgumentError: if ``model`` is not a module, ``every`` is not a positive or ``first_step`` a
            negative number.
    """

    def __init__(self, model: nn.Module, every: int = 100, first_step: int = 0) -> None:
        self.every = require_whole("every", every, 1)
        self.step = require_whole("first_step", first_step, 0)
        self._tiles = {
            name or type(tile).__name__: tile
            for name, tile in tracking_tiles(model).items()
            if not is_borrowed(tile)
        }
        self._links = {
            row_name(name, number): CachedGroundTruth(tile, number)
            for name, tile in self._tiles.items()
            for number in range(len(tile.tile.pipeline.links))
        }
        self._listener = StepListener(list(self._tiles.values()), self._on_step)
        self.history: Dict[str, List[Any]] = {column: [] for column in COLUMNS}

    # -- records ------------------------------------------------------------------------------

    def __enter__(self) -> SymmetricPointMonitor:
        self._listener.start()
        if not self.history["step"]:
            self.record()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()

    def _on_step(self) -> None:
        self.step += 1
        if self.step % self.every == 0:
            self.record()

    @torch.no_grad()
    def record(self, step: Optional[int] = None) -> Dict[str, Dict[str, float]]:
        """Measure all tiles now and add the numbers to the history.

        Args:
            step: number to record it under, ``None`` for the steps counted so far. A second record
                under the same number replaces the first.

        Returns:
            name of the tile -> measured column -> value.

        Raises:
            ArgumentError: if ``step`` is not a whole number.
        """
        step = self.step if step is None else require_whole("step", step)
        links = list(self._links.values())
        if not links:
            return {}
        truths = [truth() for truth in links]
        looks = [look(each.pipeline, each.link, truth) for each, truth in zip(links, truths)]
        # One wait for each GPU, not one for each number.
        numbers = torch.stack([numbers.to(looks[0].device) for numbers in looks]).tolist()
        measured = {
            name: finish(row, truth.spread, len(truth.points), each.link.source.weights.numel())
            for (name, each), row, truth in zip(self._links.items(), numbers, truths)
        }
        if self.history["step"][-1:] == [step]:
            for values in self.history.values():
                del values[-len(links) :]
        for name, row in measured.items():
            for column, value in {"step": step, "tile": name, **row}.items():
                self.history[column].append(value)
        return measured

    # -- the numbers in other forms ---------------------------------------------------------------

    def to_dict(self) -> Dict[str, List[Any]]:
        """Return a copy of ``history``, e.g. for ``pandas.DataFrame``."""
        return deepcopy(self.history)

    def to_csv(self, path: Union[str, Path]) -> None:
        """Write the history as comma-separated values, a line per record and tile.

        The folder has to exist. An interrupted call leaves the file as it was.
        """
        self._write(path, as_csv(self.history))

    def to_json(self, path: Union[str, Path]) -> None:
        """Write the history as a JSON object with a list per column, ``null`` for ``nan``.

        The folder has to exist. An interrupted call leaves the file as it was.
        """
        self._write(path, as_json(self.history))

    @staticmethod
    def _write(path: Union[str, Path], text: str) -> None:
        with whole_file(path) as file:
            file.write(text.encode("utf-8"))

    def newest(self) -> List[Dict[str, Any]]:
        """Return the rows of the newest record, one per tile; taken now if there is none."""
        if not self.history["step"]:
            self.record()
        start = len(self.history["step"]) - len(self._links)
        return [
            {column: values[row] for column, values in self.history.items()}
            for row in range(start, start + len(self._links))
        ]

    def summary(self) -> str:
        """Return the newest record as a table, a line per tile, in weight units."""
        rows = self.newest()
        if not rows:
            return "no arrays of the model are in this process"
        n_records = len(self.history["step"]) // len(rows)
        head = f"step {rows[0]['step']:,}, record {n_records} (weight units)"
        return f"{head}\n{table(rows)}"

    def log(self, writer: Any, step: Optional[int] = None) -> None:
        """Take a record and write it, with histograms, to TensorBoard.

        Args:
            writer: a ``torch.utils.tensorboard.SummaryWriter`` or any object with
                ``add_scalar(tag, value, step)`` and, if there are to be histograms,
                ``add_histogram(tag, values, step)``.
            step: number to record it under, ``None`` for the steps counted so far.

        Raises:
            ArgumentError: if the writer has no ``add_scalar``, or ``step`` is not a whole number.
        """
        require_writer(writer)
        self.record(step)
        for row in self.newest():
            name = row["tile"]
            write_scalars(writer, row, row["step"])
            write_histograms(writer, name, self._links[name], row["step"])
