"""Calibration of whole models: the first stage of the two-stage method."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice

from aihwkit_dspt import TrackingTile, build_config, calibrate, symmetric_points
from tests.helpers import quiet_device, quiet_tile, train
from tests.table import METHODS

DW_MIN = 0.005


def device(**changes: Any) -> SoftBoundsReferenceDevice:
    """Return a device whose symmetric points have mean -0.2 and spread 0.1."""
    return SoftBoundsReferenceDevice(
        dw_min=DW_MIN,
        subtract_symmetry_point=True,
        reference_mean=0.2,
        reference_std=0.1,
        **changes,
    )


def model(algorithm: str = "two-stage", **changes: Any) -> AnalogSequential:
    """Return two small analog layers."""
    config = build_config(algorithm, device(**changes))
    return AnalogSequential(
        AnalogLinear(12, 9, rpu_config=config), AnalogLinear(9, 5, rpu_config=config)
    )


def tiles(layers: AnalogSequential) -> list[TrackingTile]:
    """Return the tracking tiles of a model."""
    return list(layers.analog_tiles())


@pytest.mark.parametrize("algorithm", ["two-stage", "e-rider", "rider"])
@pytest.mark.parametrize("write_noise_std", [0.0, 0.5])
def test_calibrated_model(algorithm: str, write_noise_std: float) -> None:
    """The reference is near the true SP, the residual is zero and the weights are kept.

    2,000 cyclic pulses are 18 time constants of the slowest cells and more; what is left is one
    pulse and the cycle-to-cycle noise, on average below ten pulses.
    """
    layers = model(algorithm, write_noise_std=write_noise_std)
    before = [tile.get_weights()[0] for tile in tiles(layers)]
    results = calibrate(layers, 2000, method="pulses")
    assert list(results) == [name for name, _ in layers.named_analog_tiles()]
    for tile, weights, result in zip(tiles(layers), before, results.values()):
        points = symmetric_points(tile).fast.values
        known = ~points.isnan()
        error = (tile.reference - points)[known].abs().mean()
        shift = points[known].abs().mean()
        assert error < 10 * DW_MIN < shift / 2
        assert torch.equal(tile.reference, result.estimate)
        assert torch.equal(tile.sp_estimate, tile.reference)
        assert torch.equal(tile.fast_weights, tile.reference)
        assert result.n_pulses == 2000
        if write_noise_std == 0.0:
            assert (tile.get_weights()[0] - weights).abs().max() < 1e-6


def test_refused_models() -> None:
    """Models on which a calibration makes no sense."""
    with pytest.raises(TileError, match="no TrackingTile"):
        calibrate(torch.nn.Linear(3, 2), 100)
    with pytest.raises(TileError, match=r"ReferenceType\.ZERO"):
        calibrate(model("residual"), 100)


def test_interrupted_calibration_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt during the second tile leaves the first one as it was, too."""
    layers = model()
    before = [tile.tile.get_hidden_parameters() for tile in tiles(layers)]
    module = import_module("aihwkit_dspt.zero_shifting.calibrate")
    plain = module.zero_shift
    calls = []

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return plain(*args, **kwargs)

    monkeypatch.setattr(module, "zero_shift", interrupted)
    with pytest.raises(KeyboardInterrupt):
        calibrate(layers, 100)
    for tile, parameters in zip(tiles(layers), before):
        assert torch.equal(tile.tile.get_hidden_parameters(), parameters)


def test_calibrating_a_tile_that_sent_deterministic_pulses() -> None:
    """aihwkit's copies of such a tile crash with the next pulse; ours are built anew."""
    tile = quiet_tile(**METHODS["two-stage"])
    train(tile, 20)
    before = tile.get_weights()[0]
    result = calibrate(tile, 2000, method="pulses")
    assert (tile.reference - symmetric_points(tile).fast.values).abs().max() < 0.02
    assert torch.equal(next(iter(result.values())).estimate, tile.reference)
    assert (tile.get_weights()[0] - before).abs().max() < 1e-6
    train(tile, 20)


@pytest.mark.parametrize("device", [None, quiet_device(dw_min=0.05)], ids=["register", "array"])
def test_what_is_kept_and_what_starts_anew(device: Any) -> None:
    """The weight in use stays, also where an array holds the points coarsely; the buffer is empty.

    A buffer holds what belongs to the reference of before.
    """
    tile = quiet_tile(**METHODS["E-RIDER"], reference_device=device)
    train(tile, 40)
    before = tile.get_weights()[0]
    assert tile.transfer_buffer.any()
    points = torch.linspace(-0.2, 0.2, 24).view(4, 6)
    tile.tile.calibrate(points)
    assert not tile.transfer_buffer.any()
    assert torch.equal(tile.fast_weights, points)
    assert torch.equal(tile.reference, points) == (device is None)
    assert (tile.get_weights()[0] - before).abs().max() < 1e-6
