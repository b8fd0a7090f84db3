"""A tile or a model on the CPU and the same on a GPU, and what they have in common."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict
from typing import Any, Dict

import torch
from torch import Tensor, nn

from aihwkit_dspt import TrackingTile, operation_counts
from aihwkit_dspt.tiles.names import named_schedules, named_stages, named_values
from aihwkit_dspt.tiles.of_model import tracking_tiles
from tests.gpu.device import GPU

EXACT = 2e-5
"""Sums in another order, where both get the same vectors."""

NEAR = 0.05
"""Part of what a training has changed. Where errors differ in their last digit a pulse may, too,
and what follows with it."""


def on_gpu(model: Any) -> Any:
    """Return a copy on the GPU."""
    return deepcopy(model).to(GPU)


def update(tile: TrackingTile, x: Tensor, d: Tensor) -> None:
    """Send an update to where the tile is."""
    place = tile.tile.pipeline.fast.weights.device
    tile.update(x.to(place), d.to(place))


def values_of(tile: TrackingTile) -> Dict[str, Tensor]:
    """Return copies of all that a tile holds in tensors, on the CPU."""
    pipeline = tile.tile.pipeline
    found = {name: value.cpu().clone() for name, value in named_values(pipeline).items()}
    for name, stage in named_stages(pipeline).items():
        for own, value in stage.named_buffers():
            found[f"{name}.{own}"] = value.cpu().clone()
    found["mixed"] = tile.tile.get_weights()
    found["hidden"] = tile.tile.get_hidden_parameters()
    return found


def counted(tile: TrackingTile) -> Dict[str, Any]:
    """Return what a tile has counted."""
    pipeline = tile.tile.pipeline
    schedules = {name: each.state() for name, each in named_schedules(pipeline).items()}
    operations = asdict(operation_counts(tile).total)
    for name in ("coincidences", "reasons"):  # aihwkit counts those on the CPU alone
        del operations[name]
    return {"joined": pipeline.joined.state(), **schedules, **operations}


def assert_equal(cpu: TrackingTile, gpu: TrackingTile, atol: float = EXACT) -> None:
    """Compare all that two tiles hold and count."""
    assert gpu.tile.pipeline.fast.weights.device.type == GPU
    theirs = values_of(gpu)
    for name, value in values_of(cpu).items():
        assert value.dtype == theirs[name].dtype, name
        assert torch.allclose(
            value.double(), theirs[name].double(), rtol=1e-5, atol=atol, equal_nan=True
        ), name
    assert counted(cpu) == counted(gpu)


def weights_of(model: nn.Module) -> Tensor:
    """Return the weights of all arrays of a model in one vector, on the CPU."""
    arrays = [
        array.weights.detach().cpu().flatten()
        for tile in tracking_tiles(model).values()
        for array in tile.tile.pipeline.arrays
    ]
    return torch.cat(arrays)


def assert_near(before: Tensor, cpu: Tensor, gpu: Tensor) -> None:
    """Compare what two trainings have changed."""
    change = (cpu - before).norm()
    assert change > 0.0
    assert (gpu.cpu() - cpu).norm() <= NEAR * change
