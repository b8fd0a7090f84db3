"""Small helpers shared by the tests."""

from __future__ import annotations

from itertools import count
from typing import Any, Dict, List, Optional, Tuple, cast

import torch
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from torch import Tensor

from aihwkit_dspt import TrackingRPUConfig, TrackingTile, TrackingTransferCompound
from aihwkit_dspt.tiles.names import link_prefix, named_values, weight_names

PROPERTIES = (
    "fast_weights",
    "slow_weights",
    "reference",
    "sp_estimate",
    "transfer_buffer",
    "chopper",
)
"""The public quantities of a tracking tile."""


def perfect() -> IOParameters:
    """Return a read without any non-ideality."""
    return IOParameters(is_perfect=True)


def deterministic(desired_bl: int = 31) -> UpdateParameters:
    """Return pulse parameters without randomness."""
    return UpdateParameters(
        pulse_type=PulseType.DETERMINISTIC_IMPLICIT,
        desired_bl=desired_bl,
        update_bl_management=False,
        update_management=False,
    )


def quiet_device(**changes: Any) -> SoftBoundsDevice:
    """Return a linear (soft bounds) device without variation and noise, SP at 0.12."""
    settings: Dict[str, Any] = {
        "dw_min": 0.01,
        "up_down": 0.2,
        "dw_min_dtod": 0.0,
        "dw_min_std": 0.0,
        "w_max_dtod": 0.0,
        "w_min_dtod": 0.0,
        "up_down_dtod": 0.0,
    }
    return SoftBoundsDevice(**{**settings, **changes})


def quiet_config(
    desired_bl: int = 1, gradient_bl: int = 31, digital_bias: bool = True, **settings: Any
) -> Any:
    """Return a tracking configuration in which nothing is random; ``settings`` override."""
    defaults: Dict[str, Any] = {
        "unit_cell_devices": [quiet_device(), quiet_device()],
        "transfer_forward": perfect(),
        "transfer_update": deterministic(desired_bl),
        "fast_lr": 0.5,
        "transfer_lr": 0.3,
    }
    return TrackingRPUConfig(
        device=TrackingTransferCompound(**{**defaults, **settings}),
        forward=perfect(),
        backward=perfect(),
        update=deterministic(gradient_bl),
        mapping=MappingParameter(digital_bias=digital_bias),
    )


def quiet_tile(
    sizes: Tuple[int, int] = (4, 6), bias: bool = False, trans: bool = False, **settings: Any
) -> TrackingTile:
    """Return an ``(out_size, in_size)`` tile in which nothing is random, at random weights."""
    tile = TrackingTile(*sizes, quiet_config(**settings), bias, trans, trans)
    tile.set_learning_rate(0.1)
    tile.tile.set_weights_uniform_random(-0.2, 0.2)
    return tile


def draw_batch(tile: TrackingTile, n_batch: int = 3) -> Tuple[Tensor, Tensor]:
    """Return random inputs and errors for a tile that is not transposed."""
    x = torch.empty(n_batch, tile.in_size).uniform_(-1.0, 1.0)
    return x, torch.randn(n_batch, tile.out_size) * 0.3 + 0.1


def train(tile: TrackingTile, n_updates: int = 30, n_batch: int = 3) -> None:
    """Update a tile with random data."""
    for _ in range(n_updates):
        tile.update(*draw_batch(tile, n_batch))


def used_weights(tile: TrackingTile, repeats: int = 1) -> Tuple[Tensor, Tensor]:
    """Return the ``[d_size, x_size]`` weights that forward and backward really use.

    Args:
        tile: a tile with perfect reads.
        repeats: how often each unit vector is read; many go through the batched product.
    """
    x_size, d_size = tile.tile.get_x_size(), tile.tile.get_d_size()
    forward = tile.tile.forward(torch.eye(x_size).repeat(repeats, 1))[-x_size:].t()
    return forward, tile.tile.backward(torch.eye(d_size).repeat(repeats, 1))[-d_size:]


def mixed_weight(tile: TrackingTile) -> Tensor:
    """Return ``W_0 + sum gamma*c*(P - Q~)`` in double precision from the public quantities."""
    config = tile.rpu_config.device
    n_links = len(config.unit_cell_devices) - 1
    scales = config.gamma
    if not isinstance(scales, list):
        scales = [scales ** (n_links - number) for number in range(n_links)]
    mixed = tile.slow_weights.double()
    for scale, name, prefix in zip(scales, weight_names(n_links + 1), map(link_prefix, count())):
        fast, reference, chopper = (
            tile.value(item).double() for item in (name, f"{prefix}reference", f"{prefix}chopper")
        )
        mixed = mixed + scale * chopper * (fast - reference)
    return mixed


def tile_of(layer: Any) -> TrackingTile:
    """Return the tile of a layer that has one."""
    (tile,) = layer.analog_tiles()
    return cast(TrackingTile, tile)


def snapshot(tile: TrackingTile) -> Dict[str, Any]:
    """Return everything that is known about a tile, as copies, but for counts of operations."""
    state = {name: tile.value(name) for name in named_values(tile.tile.pipeline)}
    state["used"] = used_weights(tile)
    state["hidden"] = tile.tile.get_hidden_parameters().clone()
    state["extra"] = tile.tile.dump_extra()
    # Looking at the used weights is a forward and a backward pass, which are counted.
    del state["extra"]["counters"]
    return state


def states(model: Any) -> List[Any]:
    """Return everything that is known about the tiles of a model."""
    return [snapshot(tile) for tile in model.analog_tiles()]


def difference(first: Any, second: Any, path: str = "") -> Optional[str]:
    """Return where two nested states differ, bit for bit, or ``None``."""
    if isinstance(first, dict):
        if sorted(first) != sorted(second):
            return f"{path}: {sorted(first)} != {sorted(second)}"
        pairs = [(first[key], second[key], f"{path}.{key}") for key in first]
    elif isinstance(first, (list, tuple)):
        if len(first) != len(second):
            return f"{path}: length {len(first)} != {len(second)}"
        pairs = [(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(first, second))]
    elif isinstance(first, Tensor):
        return None if torch.equal(first, second) else f"{path}: {first} != {second}"
    else:
        return None if first == second else f"{path}: {first!r} != {second!r}"
    return next((found for pair in pairs if (found := difference(*pair))), None)
