"""Counting what aihwkit's C++ compounds do but do not count, while they do it."""

from __future__ import annotations

import copyreg
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, ContextManager, Dict, List, Optional
from weakref import WeakKeyDictionary

from aihwkit.exceptions import TileError
from aihwkit.simulator.tiles.analog import AnalogTile
from torch import Tensor, nn

from aihwkit_dspt.costs.compound_state import (
    CompoundCells,
    CompoundClock,
    clock,
    is_compound,
    line_sizes,
    period,
)
from aihwkit_dspt.costs.counts import ModelCounts
from aihwkit_dspt.costs.slow_pulses import TransferredLine


@dataclass
class Tally:
    """What was seen of one tile; ``None`` from when on it could not be told."""

    with_pulses: bool
    """Whether to look at the state around every transfer."""

    forward_mvms: int = 0
    backward_mvms: int = 0
    reads: Optional[int] = 0
    slow_pulses: Optional[int] = 0
    flips: Optional[int] = 0

    update_cycles: int = 0
    """Of the C++ compound after the newest update that was watched."""


TALLIES: WeakKeyDictionary[nn.Module, Tally] = WeakKeyDictionary()
"""Tile -> its tally. Not in the tile, whose state and copies stay aihwkit's."""


class _WatchedTile(AnalogTile):
    """aihwkit's tile while it is watched."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Copies and pickles are plain tiles, which nobody watches."""
        # Pickle refuses the usual function for a class that is not that of the object.
        state = super().__reduce_ex__(2)[2:]
        return (copyreg._reconstructor, (AnalogTile, object, None), *state)  # type: ignore[attr-defined]

    def joint_forward(self, x_input: Tensor, is_test: bool = False, ctx: Any = None) -> Tensor:
        TALLIES[self].forward_mvms += x_input.numel() // self.in_size
        output: Tensor = super().joint_forward(x_input, is_test, ctx)
        return output

    def joint_forward_indexed(
        self, x_input: Tensor, is_test: bool = False, ctx: Any = None
    ) -> Tensor:
        output: Tensor = super().joint_forward_indexed(x_input, is_test, ctx)
        TALLIES[self].forward_mvms += output.numel() // self.out_size
        return output

    def backward(self, d_input: Tensor, ctx: Any = None) -> Tensor:
        TALLIES[self].backward_mvms += d_input.numel() // self.out_size
        output: Tensor = super().backward(d_input, ctx)
        return output

    def backward_indexed(self, d_input: Tensor, ctx: Any = None) -> Tensor:
        TALLIES[self].backward_mvms += d_input.numel() // self.out_size
        output: Tensor = super().backward_indexed(d_input, ctx)
        return output

    def update(self, x_input: Tensor, d_input: Tensor) -> None:
        with _watched_update(self, d_input.numel() // self.out_size):
            super().update(x_input, d_input)

    def update_indexed(self, x_input: Tensor, d_input: Tensor) -> None:
        with _watched_update(self, d_input.numel() // self.out_size):
            super().update_indexed(x_input, d_input)


def _watched_update(tile: Any, m_batch: int) -> ContextManager[None]:
    # On a GPU only the products are counted here.
    return nullcontext() if tile.is_cuda else _WatchedUpdate(tile, m_batch)


class _WatchedUpdate:
    """Compares the state of a tile before and after an update."""

    def __init__(self, tile: Any, m_batch: int) -> None:
        self.tile, self.m_batch = tile, m_batch
        self.tally = TALLIES[tile]
        self.was: CompoundClock = clock(tile)
        self.events = self._events()
        self.cells: Optional[CompoundCells] = None
        if self.events and self.tally.with_pulses and self.tally.slow_pulses is not None:
            self.cells = CompoundCells(tile)

    def _events(self) -> Optional[int]:
        """Return the number of transfers of one line in the update, ``None`` if that is unknown."""
        device = self.tile.rpu_config.device
        every = period(device, self.m_batch)
        one_by_one = device.n_reads_per_transfer == 1 and not device.random_selection
        if every is None or not one_by_one or len(device.unit_cell_devices) != 2:
            return None
        start = self.was.update_cycles
        return (start + self.m_batch) // every - start // every if every > 0 else 0

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, *_: Any) -> None:
        now = clock(self.tile)
        if kind is not None or now.update_cycles == self.was.update_cycles:
            return  # it failed; or at learning rate 0 nothing happens
        tally, device = self.tally, self.tile.rpu_config.device
        tally.update_cycles = now.update_cycles
        rate = self.tile.tile.get_learning_rate()
        if device.transfer_lr * (rate if device.scale_transfer_lr else 1.0) == 0.0:
            return  # without a transfer nothing is read
        in_size = line_sizes(self.tile)[0]
        tally.reads = _plus(tally.reads, self.events)
        # A line that was transferred twice shows only what came of both.
        once = self.events is not None and self.events <= in_size
        changes = zip(self.was.in_chopper, now.in_chopper)
        flips = sum(old != new for old, new in changes)
        tally.flips = _plus(tally.flips, flips if once else None)
        if self.events != 0:
            pulses = self._slow_pulses(self.cells, now, rate) if once and self.cells else None
            tally.slow_pulses = _plus(tally.slow_pulses, pulses)

    def _slow_pulses(self, before: CompoundCells, now: CompoundClock, rate: float) -> Optional[int]:
        device, was, after = self.tile.rpu_config.device, self.was, CompoundCells(self.tile)
        in_size = line_sizes(self.tile)[0]
        total: Optional[int] = 0
        for position in range(was.lines[0], was.lines[0] + (self.events or 0)):
            line, at_read = position % in_size, was
            if position >= in_size and was.sweeps is not None:
                # The sweep was completed within this update.
                at_read = replace(was, sweeps=was.sweeps + 1)
            sign = -1.0 if was.in_chopper and was.in_chopper[line] else 1.0
            transfer = TransferredLine(device, line, before, after, at_read, now, sign)
            total = _plus(total, transfer.slow_pulses(rate, in_size))
        return total


def _plus(total: Optional[int], more: Optional[int]) -> Optional[int]:
    return None if total is None or more is None else total + more


class OperationWatch:
    """Watches tiles until it is told to stop; see :func:`watch_operations`."""

    def __init__(self, tallies: Dict[Any, Tally]) -> None:
        self._tiles: List[Any] = list(tallies)
        for tile, tally in tallies.items():
            TALLIES[tile] = tally
            tile.__class__ = _WatchedTile

    def stop(self) -> None:
        """Watch no more. The counts so far stay, until the tile is trained again."""
        for tile in self._tiles:
            tile.__class__ = AnalogTile
        self._tiles = []

    def __enter__(self) -> OperationWatch:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()


def watch_operations(
    model: nn.Module, slow_pulses: bool = True, counted: Optional[ModelCounts] = None
) -> OperationWatch:
    """Count what aihwkit's C++ AGAD and TT-v2 tiles do not count themselves, from now on.

    ::

        with watch_operations(agad_model):
            train(agad_model)
        print(operation_counts(agad_model).table())

    Products are counted at the tiles: forward in training and evaluation, backward also in first
    layers, where aihwkit computes it for nothing. (Reads and writes by aihwkit's ``realistic``
    programming are not.) Pulses to the slow array, flips of random choppers and the reads of
    ``BufferedTransferCompound`` follow from the state of the compound before and after each update:

    * AGAD: its running mean tells what was read, hence what went through the buffer;
    * TT-v2 leaves no trace of its reads. With ``desired_bl=1``, as is aihwkit's default, a cell got
      a pulse if and only if it moved, apart from cells that rest at a bound. Of these the buffer
      tells, if one read moves it by much less than a step; otherwise nobody knows, and the count is
      ``None`` from then on. The same algorithm by
      ``build_config("residual", gamma=0)`` counts its pulses itself, always.

    The count is ``None`` also with several reads per transfer or random lines, an automatic
    ``transfer_every``, more transfers in a batch than lines, ``correct_gradient_magnitudes``
    together with ``auto_scale``, and on a GPU, where devices with ``count_pulses=True`` count
    instead.

    Nothing that is simulated changes. Looking at the state copies all hidden parameters twice per
    update with a transfer, which makes a step of the paper's fully connected network eight to ten
    times as long; without ``slow_pulses`` it takes a few percent. Tracking tiles count for
    themselves and are left alone. The counts belong to the tiles in this process, aihwkit's states
    have no place for them: save ``operation_counts(model).to_dict()`` beside the model, and hand it
    back as ``counted``.

    Args:
        model: a model with aihwkit's tiles.
        slow_pulses: whether to count the pulses to the slow array, too.
        counted: what was counted before, where a training is resumed.

    Returns:
        a context manager, or call its ``stop()``.

    Raises:
        TileError: if there is no such tile, or one that is watched already, is of a class of its
            own, or has done other updates than were counted.
    """
    tiles = {
        name: tile
        for name, tile in model.named_modules()
        if isinstance(tile, AnalogTile) and is_compound(tile.rpu_config.device)
    }
    if not tiles:
        raise TileError(
            f"{type(model).__name__} has none of aihwkit's C++ AGAD and TT-v2 tiles to watch; "
            "tracking tiles count for themselves: call operation_counts(model)"
        )
    tallies = {}
    for name, tile in tiles.items():
        if isinstance(tile, _WatchedTile):
            raise TileError(f"tile '{name}' is watched already: stop the other watch first")
        if type(tile) is not AnalogTile:
            raise TileError(
                f"tile '{name}' is a {type(tile).__name__}, not aihwkit's AnalogTile: nothing is "
                "known about what it does"
            )
        tallies[tile] = _start(name, tile, slow_pulses, counted)
    return OperationWatch(tallies)


def _start(name: str, tile: Any, slow_pulses: bool, counted: Optional[ModelCounts]) -> Tally:
    """Return the tally of a tile, which goes on from what was counted."""
    tally = Tally(slow_pulses and not tile.is_cuda)
    done, known = 0 if tile.is_cuda else clock(tile).update_cycles, 0
    before = None if counted is None else counted.tiles.get(name)
    if before is not None:
        known = before.update_cycles or 0
        tally.forward_mvms = before.forward_mvms or 0
        tally.backward_mvms = before.backward_mvms or 0
        tally.reads, tally.slow_pulses = before.transfer_reads, before.slow_pulses
        tally.flips = before.programming_events
        tally.update_cycles = known
    if known != done:
        raise TileError(
            f"tile '{name}' has done {done} update cycles, of which {known} are counted: watch it "
            "from the start, or pass counted=ModelCounts.from_dict(...) of what was counted so far"
        )
    return tally


def tally_of(tile: Any, update_cycles: int) -> Optional[Tally]:
    """Return what was seen of a tile, ``None`` unless all of its updates were."""
    tally = TALLIES.get(tile)
    return tally if tally is not None and tally.update_cycles == update_cycles else None
