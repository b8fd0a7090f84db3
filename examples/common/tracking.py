"""How far the reference of each method is from the true symmetric points."""

from __future__ import annotations

from typing import Any, Iterator, Tuple

import torch
from aihwkit.simulator.tiles.module import TileModule
from torch import Tensor, nn

from aihwkit_dspt import TrackingTile, symmetric_points


def reference_of(tile: Any) -> Tensor:
    """Return what a method takes for the symmetric points: its estimate Q, or zero."""
    if isinstance(tile, TrackingTile):
        return tile.sp_estimate
    hidden = tile.get_hidden_parameters()
    mean = hidden.get("running_mean_weight")
    return mean if mean is not None else torch.zeros_like(hidden["hidden_weights_0"])


def _pairs(model: nn.Module) -> Iterator[Tuple[Tensor, Tensor]]:
    for tile in model.modules():
        if isinstance(tile, TileModule):
            points = symmetric_points(tile).fast.values.flatten()
            known = ~points.isnan()
            yield reference_of(tile).flatten().double()[known], points[known]


def estimates_and_points(model: nn.Module) -> Tuple[Tensor, Tensor]:
    """Return Q and the true symmetric point of all fast cells of a model that have one."""
    estimates, points = zip(*_pairs(model))
    return torch.cat(estimates), torch.cat(points)


def sp_error(model: nn.Module) -> Tuple[float, float]:
    """Return mean and root-mean-square of Q minus the true symmetric point, in weight units."""
    estimates, points = estimates_and_points(model)
    difference = estimates - points
    return difference.mean().item(), difference.square().mean().sqrt().item()
