"""What the simulator knows about the cells of a tile and a lab does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import torch
from aihwkit.exceptions import TileError
from aihwkit.simulator.configs.devices import PulsedDevice
from torch import Tensor

from aihwkit_dspt.devices import Response, response, symmetric_points
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.link import Link
from aihwkit_dspt.tiles.pipeline import Pipeline

if TYPE_CHECKING:
    from aihwkit.simulator.tiles.module import TileModule

ROUNDING = 1e-12
"""A variance below this part of the squares is rounding: device parameters are single precision."""


class Unsaturated(NamedTuple):
    """Weights between which a cell is at least one weight granularity away from its bounds."""

    low: Tensor
    """``[d_size, x_size]``, laid out in memory as the weights of the array."""

    high: Tensor
    """As ``low``."""

    def n_saturated(self, weights: Tensor) -> Tensor:
        """Return the number of cells that are closer to a bound, or (by write noise) beyond.

        Cells narrower than two steps always count.
        """
        return ((weights < self.low) | (weights > self.high)).count_nonzero()


@dataclass(frozen=True)
class GroundTruth:
    """Symmetric points and bounds of the arrays of a link, in the weight units of the tile."""

    points: Tensor
    """Symmetric points ``[n_points]`` of the cells that have one."""

    centred: Tensor
    """The same minus their mean."""

    spread: float
    """Variance of the points; 0 if they differ by no more than rounding."""

    index: Optional[Tensor]
    """Flat indices ``[n_points]`` of these cells in ``[in_size, out_size]``, the layout of the
    estimate; ``None`` if all cells have one."""

    fast: Optional[Unsaturated]
    """Of the array that is read; ``None`` if its cells are not single pulsed devices."""

    slow: Optional[Unsaturated]
    """Of the next slower array, in the same way."""

    def known(self, values: Tensor) -> Tensor:
        """Return those of the ``[in_size, out_size]`` values that belong to :attr:`points`."""
        flat = working(values.flatten())
        return flat if self.index is None else flat.index_select(0, self.index)


def ground_truth(pipeline: Pipeline, link: Link) -> GroundTruth:
    """Return the ground truth of a link in a pipeline.

    Raises:
        ConfigError: if the device of an array has no registered response.
    """
    source = link.source
    every = torch.full(pipeline.sizes(), torch.nan, dtype=torch.double, device="cpu")
    if isinstance(source.device_config, PulsedDevice):
        every = symmetric_points(source.device_config, source.device_parameters()).values
    every = pipeline.oriented(every).flatten()
    index = (~every.isnan()).nonzero().flatten()
    points = every[index]
    spread = float(points.square().mean() - points.mean().square())
    like = working(source.shared)
    return GroundTruth(
        points.to(like),
        (points - points.mean()).to(like),
        spread if spread > ROUNDING * float(points.square().mean()) else 0.0,
        None if len(index) == len(every) else index.to(like.device),
        _unsaturated(source),
        _unsaturated(link.target),
    )


def working(values: Tensor) -> Tensor:
    """Return values in the precision of their tile, which is single at least."""
    return values.float() if values.dtype in (torch.half, torch.bfloat16) else values


def cells_of(array: Crossbar) -> Optional[Response]:
    """Return the response and bounds of the cells, ``None`` for cells of several devices."""
    if not isinstance(array.device_config, PulsedDevice):
        return None
    return response(array.device_config, array.device_parameters())


def _unsaturated(array: Crossbar) -> Optional[Unsaturated]:
    cells = cells_of(array)
    if cells is None:
        return None
    weights = array.weights
    low, high = cells.w_min + array.granularity, cells.w_max - array.granularity
    # Where these overlap every weight is saturated, and has to be counted once.
    overlap = low > high
    low, high = (limit.masked_fill(overlap, torch.inf) for limit in (low, high))
    return Unsaturated(*(torch.empty_like(weights).copy_(limit) for limit in (low, high)))


class CachedGroundTruth:
    """The ground truth of a link, computed when it is asked for and when devices were replaced.

    Training never changes the device parameters. Loading a state, setting hidden parameters, moving
    to a GPU and copying do, and all of them either make a new C++ tile or write to the shared
    weights by torch, which counts the writes (``_version``). What is written past this package, on
    the C++ tiles, is not noticed.

    Args:
        tile: the tile.
        array: number of the array that the link reads, as in ``unit_cell_devices``.
    """

    def __init__(self, tile: TileModule, array: int) -> None:
        self._tile = tile
        self._array = array
        self._devices: object = None
        self._truth: Optional[GroundTruth] = None

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline of the tile, which has another one after a state was loaded."""
        pipeline: Pipeline = self._tile.tile.pipeline
        return pipeline

    @property
    def link(self) -> Link:
        """The link.

        Raises:
            TileError: if the tile has fewer arrays since a state was loaded.
        """
        links = self.pipeline.fastest_first
        if self._array >= len(links):
            raise TileError(
                f"the tile has {len(links) + 1} arrays since a state was loaded: make a new monitor"
            )
        return links[self._array]

    def __call__(self) -> GroundTruth:
        """Return the ground truth of the link as it is now."""
        link = self.link
        # The C++ tiles are held, so that a new one cannot be taken for the old one.
        arrays = link.source, link.target
        devices = [(array.cpp, array.parameters_version) for array in arrays]
        if self._truth is None or not _same(devices, self._devices):
            self._truth, self._devices = ground_truth(self.pipeline, link), devices
        return self._truth


def _same(first: Any, second: Any) -> bool:
    return all(a is c and b == d for (a, b), (c, d) in zip(first, second))
