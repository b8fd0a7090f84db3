"""Recording what the symmetric-point estimate is made of."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Dict, Iterable, Iterator, List, Optional

import torch
from aihwkit.exceptions import ArgumentError, TileError
from torch import Tensor

from aihwkit_dspt.configs.checks import is_whole, shown
from aihwkit_dspt.stages.listener import Listener
from aihwkit_dspt.tiles.of_model import require_tracking_tile
from aihwkit_dspt.tiles.tile import TrackingTile


class RecordedReads:
    """Reads of the fast array and the estimates after them, for every line that is recorded.

    Args:
        lines: the lines (columns, or rows with row transfer) to record.
        eta: step size of the estimate.

    Attributes:
        lines: the lines that are recorded, in ascending order.
        eta: step size of the estimate.
    """

    def __init__(self, lines: Iterable[int], eta: float) -> None:
        self.lines = sorted(set(lines))
        self.eta = eta
        self._kept: Dict[str, Dict[int, List[Tensor]]] = {
            name: {line: [] for line in self.lines} for name in ("fast", "estimate", "chopper")
        }

    def add(self, lines: slice, **values: Tensor) -> None:
        """Keep copies of the ``[n_lines, out_size]`` values of the lines that are recorded."""
        for name, rows in values.items():
            kept = self._kept[name]
            for line in range(lines.start, lines.stop):
                if line in kept:
                    kept[line].append(rows[line - lines.start].detach().clone())

    @property
    def n_reads(self) -> int:
        """Number of reads that all recorded lines have in common."""
        return min(len(rows) for rows in self._kept["fast"].values())

    def _series(self, name: str) -> Tensor:
        n_reads = self.n_reads
        if n_reads == 0:
            raise TileError(
                f"no line of {self.lines} has been read yet: train for at least one sweep over the "
                "array (as many transfers as it has lines) inside the 'with' block"
            )
        rows = self._kept[name].values()
        return torch.stack([torch.stack(row[:n_reads]) for row in rows], dim=1).cpu()

    @property
    def fast(self) -> Tensor:
        """``[n_reads, n_lines, out_size]`` reads of P, with the noise of the read."""
        return self._series("fast")

    @property
    def estimate(self) -> Tensor:
        """``[n_reads, n_lines, out_size]`` estimates Q, each after its read."""
        return self._series("estimate")

    @property
    def chopper(self) -> Tensor:
        """``[n_reads, n_lines, out_size]`` chopper signs c at the reads, before they flip."""
        return self._series("chopper")


class _Recorder(Listener):
    """Keeps reads of a tile, with estimate and chopper at that time."""

    def __init__(self, tile: TrackingTile, array: int, reads: RecordedReads) -> None:
        self._tile = tile
        self._array = array
        self._reads = reads

    def on_read(self, lines: slice, read: Tensor) -> None:
        link = self._tile.tile.pipeline.fastest_first[self._array]
        estimate = link.estimator.sp_estimate[lines]
        signs = link.chopper.signs(lines).expand_as(estimate)
        self._reads.add(lines, fast=read, estimate=estimate, chopper=signs)


def _chosen_lines(lines: Optional[Iterable[int]], n_lines: int) -> List[int]:
    """Return the numbers of the lines to record; stops at the first that is none."""
    if lines is None:
        return list(range(n_lines))
    chosen = []
    for line in lines if isinstance(lines, Iterable) else [lines]:
        if not is_whole(line) or not 0 <= line < n_lines:
            break
        chosen.append(int(line))
    else:
        if chosen and isinstance(lines, Iterable):
            return chosen
    raise ArgumentError(
        f"lines={shown(lines)} are not lines of this tile: pass numbers from 0 to {n_lines - 1}"
    )


@contextmanager
def record_reads(
    tile: TrackingTile, lines: Optional[Iterable[int]] = None, array: int = 0
) -> Iterator[RecordedReads]:
    """Record every read of the fast array of a tile and the estimate that came of it.

    ::

        with record_reads(tile, lines=range(8)) as reads:
            train(model)
        spectra = filter_spectra(reads)

    The state of the tile stays as it is. A record takes twelve bytes per cell and read, so choose
    some lines of a large tile.

    Args:
        tile: the tile, with a dynamic reference.
        lines: numbers of the lines to record, ``None`` for all.
        array: number of the array that is read, as in ``unit_cell_devices``: 0 is the fast array.

    Yields:
        the :class:`RecordedReads`, which can still be used afterwards.

    Raises:
        TileError: if it is not a tracking tile, or has no estimate.
        ArgumentError: if there are no such lines, or no array of this number is read.
    """
    pipeline = require_tracking_tile(tile).tile.pipeline
    if not pipeline.link.tracks:
        raise TileError(
            f"a tile with reference={pipeline.config.reference} estimates nothing: record "
            "one with reference=ReferenceType.DYNAMIC (RIDER, E-RIDER, AGAD)"
        )
    estimator = pipeline.link_of(array).estimator
    n_lines = len(estimator.sp_estimate)
    chosen = _chosen_lines(lines, n_lines)
    reads = RecordedReads(chosen, estimator.eta)
    with tile.listen(_Recorder(tile, array, reads), array):
        yield reads
