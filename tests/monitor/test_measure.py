"""The monitor's numbers against numbers computed by hand."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Tuple

import pytest
import torch
from aihwkit.nn import AnalogConv1dMapped, AnalogConv2d, AnalogConv3dMapped, AnalogLinearMapped
from torch import nn

from aihwkit_dspt import (
    ERIDERPCMPreset,
    ReferenceSync,
    ReferenceType,
    SymmetricPointMonitor,
    TrackingTile,
    TransferScope,
)
from aihwkit_dspt.monitor import COLUMNS
from tests.helpers import quiet_config, quiet_device, quiet_tile, train
from tests.layers.networks import MODELS, fit
from tests.monitor.by_hand import assert_equal, by_hand, known_device
from tests.table import METHODS

MORE: Dict[str, Tuple[Callable[[Any], nn.Module], Tuple[int, ...]]] = {
    "conv2d-indexed": (
        lambda config: AnalogConv2d(2, 4, 2, use_indexed=True, rpu_config=config),
        (5, 2, 4, 4),
    ),
    "conv1d-mapped": (
        lambda config: AnalogConv1dMapped(2, 4, 3, rpu_config=config),
        (5, 2, 6),
    ),
    "conv3d-mapped": (
        lambda config: AnalogConv3dMapped(2, 3, 2, rpu_config=config),
        (5, 2, 3, 3, 3),
    ),
    "mapped-in-four": (lambda config: AnalogLinearMapped(9, 7, rpu_config=config), (5, 9)),
}
CASES = {**MODELS, **MORE}


def config(digital_bias: bool = True, **settings: Any) -> Any:
    """Return E-RIDER without randomness on devices with known symmetric points."""
    devices = [known_device(), known_device(0.2, 0.3)]
    return quiet_config(
        digital_bias=digital_bias,
        unit_cell_devices=devices,
        **{**METHODS["E-RIDER"], "transfer_lr": 3.0, **settings},
    )


def tiles_of(model: nn.Module) -> Dict[str, TrackingTile]:
    """Return the tracking tiles of a model by name."""
    return {name: tile for name, tile in model.named_modules() if isinstance(tile, TrackingTile)}


@pytest.mark.parametrize(
    ("layer", "digital_bias"),
    [(layer, True) for layer in CASES]
    # aihwkit has no mapped convolution with an analog bias.
    + [(layer, False) for layer in CASES if not ("conv" in layer and "mapped" in layer)],
)
def test_layers(layer: str, digital_bias: bool) -> None:
    """Every layer type, cut into several arrays or not, with a digital or an analog bias."""
    make, shape = CASES[layer]
    rpu_config = config(digital_bias)
    if layer == "mapped-in-four":
        rpu_config.mapping.max_input_size = rpu_config.mapping.max_output_size = 5
    model = make(rpu_config)
    tiles = tiles_of(model)
    if layer == "mapped-in-four":
        assert len(tiles) == 4
    fit(model, shape)
    # So few steps flip no chopper of a larger layer; the estimate and the signs are set as well.
    for tile in tiles.values():
        tile.tile.pipeline.link.reference.values.normal_(-0.3, 0.2)
        tile.tile.pipeline.link.chopper.in_sign[::3] = -1.0
        tile.tile.pipeline.refresh_weights()
    measured = SymmetricPointMonitor(model).record()
    assert list(measured) == list(tiles)
    for name, tile in tiles.items():
        assert tile.sp_estimate.std() > 0.0
        assert_equal(measured[name], by_hand(tile))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"transfer_columns": False},
        {"out_chop_prob": 0.5},
        {"in_chop_random": True},
        {"gamma": 0.0},
        {"transfer_scope": TransferScope.ARRAY},
        {"reference_device": known_device(0.1, 0.1)},
        {"reference_sync": ReferenceSync.EVERY_READ, "in_chop_prob": 0.0, "eta": 0.3},
        {"reference": ReferenceType.ZERO, "in_chop_prob": 0.1},
    ],
    ids=["plain", "rows", "out_chop", "random", "gamma=0", "array", "analog Q~", "RIDER", "zero"],
)
def test_settings(settings: Dict[str, Any]) -> None:
    """Directions, choppers, methods, and a reference that is programmed to an analog array."""
    tile = TrackingTile(7, 5, config(**settings))
    tile.set_learning_rate(0.3)
    monitor = SymmetricPointMonitor(tile)
    for _ in range(5):
        train(tile, 37)  # the last sweep is not over: some choppers have flipped, others have not
        (row,) = monitor.record().values()
        assert_equal(row, by_hand(tile))


def test_bounds_of_each_cell() -> None:
    """Every cell has its own bounds; cells are placed a hair's breadth on either side of the line.

    The line is one ``dw_min`` of the configuration away from the bounds.
    """
    device = quiet_device(w_max_dtod=0.3, w_min_dtod=0.3, dw_min_dtod=0.3)
    tile = quiet_tile((8, 9), unit_cell_devices=[device, device], **METHODS["E-RIDER"])
    hidden = tile.get_hidden_parameters()
    assert hidden["max_bound_0"].std() > 0.05
    for number, array in enumerate((tile.tile.pipeline.fast, tile.tile.pipeline.slow)):
        low, high = hidden[f"min_bound_{number}"], hidden[f"max_bound_{number}"]
        beyond = torch.rand(8, 9) < 0.5
        distance = 0.01 + torch.where(beyond, -1e-4, 1e-4)
        array.place(torch.where(torch.rand(8, 9) < 0.5, high - distance, low + distance))
        (row,) = SymmetricPointMonitor(tile).record().values()
        name = ("fast", "slow")[number]
        assert row[f"{name}_saturated"] == pytest.approx(int(beyond.sum()) / 72)


def test_frozen_tiles_are_seen() -> None:
    """A frozen tile is measured like any other, and does not change."""
    tile = TrackingTile(6, 4, config())
    train(tile, 20)
    tile.requires_grad_(False)
    first = SymmetricPointMonitor(tile).record()["TrackingTile"]
    train(tile, 20)
    assert_equal(SymmetricPointMonitor(tile).record()["TrackingTile"], by_hand(tile))
    assert SymmetricPointMonitor(tile).record()["TrackingTile"] == first


def test_saturated_cells() -> None:
    """Cells are placed just within and just beyond one step from the bounds, and beyond."""
    tile = TrackingTile(4, 5, config())
    for number, array in enumerate((tile.tile.pipeline.fast, tile.tile.pipeline.slow)):
        reference = tile.get_hidden_parameters()[f"reference_{number}"]
        distance = torch.full((4, 5), 0.0102)
        distance[0, :3] = torch.tensor([0.0098, 0.0, -0.005])
        distance[1, 1] = 0.0098
        side = torch.ones(4, 5)
        side[1:] = -1.0
        array.place(side * (1.0 - distance) - reference)
    (row,) = SymmetricPointMonitor(tile).record().values()
    assert row["fast_saturated"] == row["slow_saturated"] == 4 / 20


def test_constructed_numbers() -> None:
    """The same symmetric points in all cells, the rest placed: the columns can be told by heart."""
    # up_down=0.2 makes a down pulse 0.8 of an up pulse; the bounds are -0.6 and 0.6.
    point = 0.6 * (1.0 - 0.8) / (1.0 + 0.8)
    tile = quiet_tile((4, 6), **METHODS["E-RIDER"])
    simulator = tile.tile
    sign = torch.tensor([1.0, -1.0]).repeat(12).view(4, 6)
    simulator.pipeline.fast.place(point + 0.03 * sign)
    simulator.pipeline.slow.place(torch.full((4, 6), 0.2))
    simulator.pipeline.link.estimator.sp_estimate.fill_(point).add_(
        0.01 + 0.02 * simulator.pipeline.oriented(sign)
    )
    simulator.pipeline.link.reference.values.fill_(point - 0.04)
    simulator.pipeline.link.chopper.in_sign[:2] = -1.0
    simulator.pipeline.refresh_weights()
    (row,) = SymmetricPointMonitor(tile).record().values()
    mixed = 24 * (0.2**2) + 2 * 0.2 * 0.1 * 0.04 * 8 + 0.1**2 * 24 * (0.04**2 + 0.03**2)
    expected = {
        "n_points": 24,
        "sp_error_mean": 0.01,
        "sp_error_rms": math.hypot(0.01, 0.02),
        "fast_error_mean": 0.0,
        "fast_error_rms": 0.03,
        "error_correlation": 1.0,
        "residual_rms": math.hypot(0.04, 0.03),
        "fast_saturated": 0.0,
        "slow_saturated": 0.0,
        "chopper_balance": (4 - 2) / 6,
        "weight_norm": math.sqrt(mixed),
    }
    for column, value in expected.items():
        assert row[column] == pytest.approx(value, abs=1e-6), column
    # All symmetric points are equal: nothing correlates with them.
    assert math.isnan(row["sp_correlation"])
    assert math.isnan(row["fast_correlation"])


def test_start() -> None:
    """Before training Q is zero everywhere, so its error is minus the symmetric point."""
    tile = TrackingTile(30, 20, config())
    (row,) = SymmetricPointMonitor(tile).record().values()
    # The references are drawn: mean -0.3 and deviation 0.1 of 600 cells, within 5 sigma.
    assert row["sp_error_mean"] == pytest.approx(0.3, abs=5 * 0.1 / math.sqrt(600))
    assert row["sp_error_rms"] == pytest.approx(math.hypot(0.3, 0.1), abs=0.025)
    assert math.isnan(row["sp_correlation"])


def test_cells_without_points() -> None:
    """Corrupt cells have no symmetric point and are left out; they count as saturated."""
    device = quiet_device(corrupt_devices_prob=0.3, corrupt_devices_range=0.1, w_max_dtod=0.2)
    tile = quiet_tile((12, 10), unit_cell_devices=[device, device], **METHODS["E-RIDER"])
    train(tile)
    hidden = tile.get_hidden_parameters()
    dead = hidden["max_bound_0"] == hidden["min_bound_0"]
    assert 10 < int(dead.sum()) < 80
    (row,) = SymmetricPointMonitor(tile).record().values()
    assert row["n_points"] == int((~dead).sum())
    up, down = 1.0, 0.8  # up_down=0.2
    w_max, w_min = hidden["max_bound_0"].double(), hidden["min_bound_0"].double()
    points = ((up - down) / (up / w_max - down / w_min))[~dead]
    errors = tile.sp_estimate.double()[~dead] - points
    assert row["sp_error_mean"] == pytest.approx(errors.mean().item(), abs=1e-6)
    assert row["sp_error_rms"] == pytest.approx(errors.square().mean().sqrt().item(), abs=1e-6)
    assert row["fast_saturated"] >= int(dead.sum()) / dead.numel()
    # The residual and the norm are those of all cells.
    residual = (tile.fast_weights - tile.reference).double().square().mean().sqrt().item()
    assert row["residual_rms"] == pytest.approx(residual, rel=1e-5)
    assert row["weight_norm"] == pytest.approx(tile.get_weights()[0].norm().item(), rel=1e-5)


def test_unit_cells_have_no_ground_truth() -> None:
    """What needs a symmetric point or bounds is ``nan``, the rest is measured."""
    tile = TrackingTile(4, 3, ERIDERPCMPreset())
    train(tile, 5)
    (row,) = SymmetricPointMonitor(tile).record().values()
    assert row["n_points"] == 0
    missing = {name for name, value in row.items() if math.isnan(value)}
    about_points = {name for name in COLUMNS if "error" in name or "correlation" in name}
    assert missing == about_points | {"fast_saturated", "slow_saturated"}
