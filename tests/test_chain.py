"""Everything around the tile takes the number of arrays from the list: here there are three."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, Dict

import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.nn import AnalogLinear
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.configs import InferenceRPUConfig
from aihwkit.simulator.presets.devices import ReRamArrayHfO2PresetDevice
from torch import Tensor

from aihwkit_dspt import (
    Listener,
    ReferenceType,
    SymmetricPointMonitor,
    TrackingTile,
    at_slow_weights,
    build_config,
    calibrate,
    filter_spectra,
    operation_counts,
    record_reads,
    symmetric_points,
    to_inference,
)
from aihwkit_dspt.plots import sp_error_over_time, sp_scatter
from aihwkit_dspt.tiles.names import named_values
from tests.helpers import difference, mixed_weight, quiet_config, quiet_device, snapshot
from tests.table import METHODS, TRACKING_ALGORITHMS

CHAIN: Dict[str, Any] = {
    "unit_cell_devices": [quiet_device(up_down=up_down) for up_down in (0.2, 0.1, 0.0)],
    "gamma": 0.5,
    "transfer_every_vec": [1.0, 2.0],
}
POINTS = (0.0666667, 0.0315789, 0.0)
"""Symmetric points of the arrays: the bound 0.6 times (up - down) / (up + down)."""


def layer(**settings: Any) -> AnalogLinear:
    """Return a layer on three arrays in which nothing is random."""
    config = quiet_config(**{**METHODS["E-RIDER"], **CHAIN, **settings})
    return AnalogLinear(6, 4, bias=False, rpu_config=config)


def tile_of(model: Any) -> TrackingTile:
    """Return the tile of a layer."""
    tile: TrackingTile = next(iter(model.analog_tiles()))
    return tile


def train(model: Any, n_steps: int = 60) -> None:
    """Train with random data."""
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    for _ in range(n_steps):
        optimizer.zero_grad()
        (model(torch.rand(3, 6)) - torch.randn(3, 4)).square().sum().backward()
        optimizer.step()


def test_names() -> None:
    """Those of two arrays, and the array between with its number."""
    tile = tile_of(layer())
    two = ["transfer_buffer", "sp_estimate", "reference", "chopper"]
    between = [f"array_1_{name}" for name in ("weights", *two)]
    names = ["fast_weights", "slow_weights", *two, *between]
    assert list(named_values(tile.tile.pipeline)) == names
    assert list(tile.get_hidden_parameters())[-len(names) :] == names
    assert tile.get_hidden_parameters()["max_bound_2"].shape == (4, 6)
    hidden = tile.get_hidden_parameters()
    for number, name in enumerate(["fast_weights", "array_1_weights", "slow_weights"]):
        assert hidden[f"hidden_weights_{number}"] is hidden[name]
    hidden["hidden_weights_1"] = torch.full((4, 6), 0.25)
    tile.set_hidden_parameters(hidden)
    assert (tile.value("array_1_weights") == 0.25).all()
    assert not (tile.slow_weights == 0.25).any()
    with pytest.raises(ArgumentError, match="name='array_2_weights' is not known"):
        tile.value("array_2_weights")


def test_monitor(tmp_path: Path) -> None:
    """A row for each array that is read, with the numbers of its own cells."""
    model = layer()
    with SymmetricPointMonitor(model, every=20) as monitor:
        train(model)
    tile = tile_of(model)
    rows = {row["tile"]: row for row in monitor.newest()}
    name = next(iter(rows))
    assert list(rows) == [name, f"{name}.array_1"]
    for row, prefix, point in zip(rows.values(), ("", "array_1_"), POINTS):
        error = tile.value(f"{prefix}sp_estimate") - point
        assert row["sp_error_mean"] == pytest.approx(error.mean().item(), abs=1e-5)
        assert row["step"] == 60
    assert len(monitor.history["step"]) == 2 * 4
    assert f"{name}.array_1" in monitor.summary()
    monitor.to_csv(tmp_path / "history.csv")
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 9
    lines = sp_error_over_time(monitor).get_legend_handles_labels()[1]
    assert {name, f"{name}.array_1"} <= set(lines)


def test_pictures() -> None:
    """The scatter is of the array that is asked for."""
    tile = tile_of(layer())
    tile.set_reference(torch.full((4, 6), 0.3), 1)
    with pytest.raises(ArgumentError, match="array=2"):
        tile.set_reference(torch.full((4, 6), 0.3), 2)
    for array, height in ((0, 0.0), (1, 0.3)):
        cells = sp_scatter(tile, array=array).collections[-1].get_offsets()
        assert cells[:, 1].tolist() == pytest.approx([height] * 24)
    with pytest.raises(ArgumentError, match="array=2"):
        sp_scatter(tile, array=2)


def test_symmetric_points() -> None:
    """Of all arrays, those between included."""
    points = symmetric_points(tile_of(layer()))
    values = [points.fast, *points.between, points.slow]
    means = [float(each.values.mean()) for each in values]
    assert means == pytest.approx(list(POINTS), abs=1e-6)


@pytest.mark.parametrize("array", [0, 1])
def test_reads(array: int) -> None:
    """Each link has listeners and records of its own."""
    model = layer(in_chop_prob=0.5)
    tile = tile_of(model)

    class Count(Listener):
        reads, events, steps = 0, 0, 0

        def on_read(self, lines: slice, read: Tensor) -> None:
            self.reads += 1

        def on_event(self, event: Any) -> None:
            self.events += 1

        def on_step(self, n_vectors: int) -> None:
            self.steps += 1

    with tile.listen(Count(), array) as heard, record_reads(tile, array=array) as reads:
        train(model, 240)
    n_events = {0: 720, 1: 360}[array]  # of single vectors
    assert (heard.reads, heard.events, heard.steps) == (n_events, n_events, 240)
    assert reads.n_reads == n_events // 6
    newest = tile.value(("", "array_1_")[array] + "sp_estimate")[:, 5]
    assert torch.equal(reads.estimate[-1, 5], newest)
    assert filter_spectra(reads).attenuation.isfinite().all()


def test_counts() -> None:
    """Sums over all links; a copy goes on with them."""
    model = layer()
    train(model)
    counts = operation_counts(model).total
    links = tile_of(model).tile.pipeline.fastest_first
    assert counts.transfer_reads == sum(link.schedule.n_reads for link in links) == 180 + 90
    assert counts.programming_events == sum(link.reference.n_syncs for link in links)
    assert min(link.reference.n_syncs for link in links) > 0
    assert counts.update_cycles == 180
    assert operation_counts(deepcopy(model)).total == counts


def test_calibration() -> None:
    """Every array with a reference is zero-shifted; the mixed weight stays."""
    model = layer(reference=ReferenceType.STATIC, in_chop_prob=0.0)
    train(model, 20)
    tile = tile_of(model)
    weights = tile.tile.get_weights()
    results = calibrate(model, 2000, progress=False)
    assert [name[-8:] for name in results][1:] == [".array_1"]
    for result, prefix in zip(results.values(), ("", "array_1_")):
        reference = tile.value(f"{prefix}reference")
        assert torch.equal(reference, result.estimate)
    points = symmetric_points(tile)
    assert (tile.reference - points.fast.values).abs().max() < 0.02
    assert (tile.value("array_1_reference") - points.between[0].values).abs().max() < 0.02
    assert (tile.tile.get_weights() - weights).abs().max() < 1e-5
    assert operation_counts(model).total.calibration_pulses == 2000


def test_inference_and_slow_weights() -> None:
    """Inference tiles get the mixed weight of all arrays, or the slowest array alone."""
    model = layer()
    train(model)
    tile = tile_of(model)
    x = torch.eye(6)
    perfect = InferenceRPUConfig()
    perfect.forward.is_perfect = True
    expected = mixed_weight(tile).float()
    assert torch.allclose(to_inference(model, perfect)(x).t(), expected, atol=1e-6)
    with at_slow_weights(model):
        assert torch.allclose(model(x).t(), tile.slow_weights, atol=1e-6)
    assert torch.allclose(model(x).t(), expected, atol=1e-6)
    assert not torch.allclose(tile.slow_weights, expected, atol=1e-3)


def test_state_of_another_number_of_arrays_is_refused(tmp_path: Path) -> None:
    """With the reason, and the tile is left as it was."""
    two = AnalogLinear(6, 4, bias=False, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    three = layer()
    before = snapshot(tile_of(three))
    with pytest.raises(
        TileError, match=r"unit_cell_devices is \[SoftBoundsDevice, SoftBoundsDevice\] in the"
    ):
        three.load_state_dict(two.state_dict(), load_rpu_config=False)
    assert difference(before, snapshot(tile_of(three))) is None
    # With the settings of the state it becomes a tile of two arrays; a monitor says so.
    monitor = SymmetricPointMonitor(three)
    with pytest.warns(UserWarning, match="unit_cell_devices"):
        three.load_state_dict(two.state_dict(), load_rpu_config=True)
    assert difference(snapshot(tile_of(two)), snapshot(tile_of(three))) is None
    with pytest.raises(TileError, match="make a new monitor"):
        monitor.record()


def test_an_array_between_has_the_signs_of_its_reader() -> None:
    """With all of these signs turned, it holds the negative, and nothing else changes.

    All devices are symmetric about zero, where the arrays start.
    """
    devices = [quiet_device(up_down=0.0) for _ in range(3)]
    model = layer(unit_cell_devices=devices, units_in_mbatch=False)
    turned = deepcopy(model)
    pipeline = tile_of(turned).tile.pipeline
    pipeline.fastest_first[1].chopper.in_sign.neg_()
    pipeline.refresh_weights()
    for each in (model, turned):
        torch.manual_seed(3)
        train(each)
    found, expected = (
        {name: tile_of(each).value(name) for name in named_values(tile_of(each).tile.pipeline)}
        for each in (turned, model)
    )
    assert expected["array_1_weights"].abs().max() > 0.01
    for name, values in expected.items():
        negative = name in ("array_1_weights", "array_1_reference", "array_1_sp_estimate")
        negative = negative or name == "array_1_chopper"
        assert torch.allclose(found[name], -values if negative else values, atol=1e-6), name


@pytest.mark.parametrize("algorithm", TRACKING_ALGORITHMS)
def test_build_config(algorithm: str) -> None:
    """A chain by one argument; without a warm start each array goes on to the next slower one."""
    device = ReRamArrayHfO2PresetDevice()
    config = build_config(algorithm, device, n_arrays=4, join_sweeps=0)
    assert len(config.device.unit_cell_devices) == 4
    assert config.device.transfer_every_vec == []
    counted = build_config(algorithm, device, n_arrays=4, transfer_every=2.0)
    assert counted.device.transfer_every_vec == [2.0, 10.0, 50.0]
    model = AnalogLinear(6, 4, rpu_config=config)
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    for _ in range(30):
        optimizer.zero_grad()
        model(torch.rand(10, 6)).sum().backward()
        optimizer.step()
    tile = tile_of(model)
    periods = [link.schedule.sweep_every for link in tile.tile.pipeline.fastest_first]
    assert periods == [64.0, 320.0, 1600.0]
    assert (tile.tile.get_weights().double() - mixed_weight(tile)).abs().max() < 1e-5
    own = build_config(algorithm, device, n_arrays=3, gamma=0.3, transfer_every_vec=[1.0, 2.0])
    assert (own.device.gamma, own.device.transfer_every_vec) == (0.3, [1.0, 2.0])
    for bad in (1, 2.5, "4"):
        with pytest.raises(ArgumentError, match="n_arrays="):
            build_config(algorithm, device, n_arrays=bad)
    with pytest.raises(ArgumentError, match="n_arrays=3 is not valid for 'agad'"):
        build_config("agad", device, n_arrays=3)
