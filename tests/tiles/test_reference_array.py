"""The reference on an array of its own: programmed within half a step, and counted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from aihwkit.simulator.configs.devices import ConstantStepDevice, SoftBoundsDevice
from aihwkit.simulator.parameters.enums import RPUDataType

from aihwkit_dspt import ReferenceType
from aihwkit_dspt.tiles import reference_array
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.lines import LineAccess
from aihwkit_dspt.tiles.reference_array import ReferenceArray
from tests import device_table
from tests.helpers import PROPERTIES, quiet_device, quiet_tile, train
from tests.table import METHODS


def linear_device(**changes: Any) -> ConstantStepDevice:
    """Return a device whose step is the same everywhere and always."""
    settings: Any = {
        "dw_min": 0.01,
        "dw_min_dtod": 0.0,
        "dw_min_std": 0.0,
        "up_down_dtod": 0.0,
        "w_max_dtod": 0.0,
        "w_min_dtod": 0.0,
    }
    return ConstantStepDevice(**{**settings, **changes})


@pytest.mark.parametrize("columns", [True, False])
def test_programs_within_half_a_step(columns: bool) -> None:
    """Without noise the cells hold the target to half a step, within the bounds."""
    access = LineAccess(5, columns)
    sizes = (5, 3) if columns else (3, 5)
    array = ReferenceArray(*sizes, linear_device(), access, RPUDataType.FLOAT)
    assert not array.values().any()
    for lines in (slice(0, 5), slice(2, 3), slice(1, 4)):
        target = torch.empty(lines.stop - lines.start, 3).uniform_(-0.59, 0.59)
        copy, before = target.clone(), array.values().clone()
        held = array.program(lines, target)
        assert (held - target).abs().max() <= 0.005 + 1e-5
        assert torch.equal(held, array.values()[lines])
        before[lines] = held
        assert torch.equal(array.values(), before)
        assert torch.equal(target, copy)
    held = array.program(slice(0, 5), torch.full((5, 3), 3.0))
    assert torch.allclose(held, torch.full((5, 3), 0.6), atol=1e-6)


def test_programming_is_open_loop() -> None:
    """On a soft-bounds device the pulses fall short of a target far from where it is."""
    access = LineAccess(2, True)
    array = ReferenceArray(2, 3, quiet_device(up_down=0.0), access, RPUDataType.FLOAT)
    held = array.program(slice(0, 2), torch.full((2, 3), 0.5))
    # 50 pulses of 0.01 (1 - w/0.6) from 0.
    expected = 0.6 * (1 - (1 - 0.01 / 0.6) ** 50)
    assert torch.allclose(held, torch.full((2, 3), expected), atol=1e-5)


def test_tile_without_noise_stays_near_the_register() -> None:
    """The reference that is in use is what the array holds, near the estimate at each sync."""
    settings = {**METHODS["RIDER"], "in_chop_prob": 0.0}
    tile = quiet_tile(reference_device=linear_device(), **settings)
    for _ in range(30):
        train(tile, 1, n_batch=1)
        held = tile.tile.pipeline.oriented(tile.tile.pipeline.link.reference_array.values())
        assert torch.equal(tile.reference, held)
    line = (tile.tile.pipeline.link.schedule.line - 1) % 6
    assert (tile.reference - tile.sp_estimate)[:, line].abs().max() <= 0.005 + 1e-5


@pytest.mark.parametrize("device", [None, linear_device()], ids=["register", "array"])
@pytest.mark.parametrize("method", ["RIDER", "E-RIDER"])
def test_programming_events_are_counted(method: str, device: Any) -> None:
    """RIDER programs at each read, E-RIDER once per line and chopper period (paper sec. 3)."""
    settings = {**METHODS[method], "reference_device": device, "transfer_every": 1.0}
    tile = quiet_tile(**settings)
    n_sweeps, (d_size, x_size) = 9, (4, 6)
    for _ in range(n_sweeps):
        train(tile, x_size, n_batch=1)
    period = tile.rpu_config.device.chop_period()
    events = n_sweeps * x_size if method == "RIDER" else n_sweeps // period * x_size
    assert tile.tile.pipeline.link.reference.n_syncs == events > 0
    assert tile.tile.pipeline.link.reference.n_synced_cells == events * d_size


def test_set_reference_programs_the_device() -> None:
    """A calibrated reference reaches a linear device within half a step."""
    tile = quiet_tile(**{**METHODS["two-stage"], "reference_device": linear_device()})
    target = torch.empty(4, 6).uniform_(-0.4, 0.4)
    tile.set_reference(target)
    assert torch.equal(tile.sp_estimate, target)
    assert 0.0 < (tile.reference - target).abs().max() <= 0.005 + 1e-5
    assert tile.tile.pipeline.link.reference.n_synced_cells == 24


def test_hidden_parameters_reach_the_array() -> None:
    """Setting hidden parameters sets the cells that hold the reference, not only its copy."""
    settings = {**METHODS["E-RIDER"], "reference_device": quiet_device(dw_min=0.02)}
    trained, fresh = quiet_tile(**settings), quiet_tile(**settings)
    train(trained, 60)
    fresh.tile.set_hidden_parameters(trained.tile.get_hidden_parameters())
    for name in PROPERTIES:
        assert torch.equal(getattr(fresh, name), getattr(trained, name)), name
    held = fresh.tile.pipeline.oriented(fresh.tile.pipeline.link.reference_array.values())
    assert torch.equal(held, fresh.reference)


def test_zero_has_no_array() -> None:
    """Without a device the reference is a register; with zero there is nothing to hold."""
    assert quiet_tile(**METHODS["E-RIDER"]).tile.pipeline.link.reference_array is None
    tile = quiet_tile(reference=ReferenceType.ZERO)
    assert not tile.reference.any()


def reference_cells(tile: Any) -> torch.Tensor:
    """Return the parameters of the cells that hold the reference."""
    cells: torch.Tensor = tile.tile.pipeline.link.reference_array.crossbar.hidden_parameters()
    return cells


def test_construction_seed_draws_the_reference() -> None:
    """The same cells for the same seed, others than those of the other arrays."""
    devices = [SoftBoundsDevice(), SoftBoundsDevice()]
    settings = {
        **METHODS["E-RIDER"],
        "unit_cell_devices": devices,
        "reference_device": SoftBoundsDevice(),
    }
    first, second = (quiet_tile(**settings, construction_seed=3) for _ in range(2))
    other, unseeded = quiet_tile(**settings, construction_seed=4), quiet_tile(**settings)
    assert torch.equal(reference_cells(first), reference_cells(second))
    for tile in (other, unseeded):
        assert not torch.equal(reference_cells(first), reference_cells(tile))
    for array in (first.tile.pipeline.fast, first.tile.pipeline.slow):
        assert not torch.equal(reference_cells(first), array.hidden_parameters())


def test_seed_of_the_device_comes_first() -> None:
    """A reference device with a seed of its own keeps its cells."""
    device = SoftBoundsDevice(construction_seed=7)
    settings = {**METHODS["E-RIDER"], "reference_device": device}
    tiles = [quiet_tile(**settings, construction_seed=seed) for seed in (0, 3, 4)]
    for tile in tiles[1:]:
        assert torch.equal(reference_cells(tiles[0]), reference_cells(tile))
    assert device.construction_seed == 7


@pytest.mark.parametrize("in_a_call", [1, 40, 10**9])
@pytest.mark.parametrize("longest", [1, 7, 10**6])
def test_pieces_are_the_whole_train(
    longest: int, in_a_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A train in pieces leads to the same weights as in one call, on any quiet device."""
    access = LineAccess(5, True)
    target = torch.empty(5, 3).uniform_(-0.5, 0.5)
    whole = ReferenceArray(5, 3, quiet_device(), access, RPUDataType.FLOAT)
    expected = whole.program(slice(0, 5), target)
    monkeypatch.setattr(reference_array, "LONGEST_TRAIN", longest)
    monkeypatch.setattr(reference_array, "MOST_IN_A_CALL", in_a_call)
    array = ReferenceArray(5, 3, quiet_device(), access, RPUDataType.FLOAT)
    assert torch.equal(array.program(slice(0, 5), target), expected)


def test_tiny_steps_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call sends more than a train; done again, programming goes on from where it was."""
    access = LineAccess(4, True)
    array = ReferenceArray(4, 3, linear_device(dw_min=1e-5), access, RPUDataType.FLOAT)
    target = torch.full((4, 3), 0.35)
    pulse, trains = Crossbar.pulse, []

    def interrupted(crossbar: Crossbar, x: Any, d: Any, rate: float, *then: Any) -> None:
        pulse(crossbar, x, d, rate, *then)
        trains.append(d.abs().max().item() * array.train_length)
        if len(trains) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Crossbar, "pulse", interrupted)
    with pytest.raises(KeyboardInterrupt):
        array.program(slice(0, 4), target)
    assert 0.15 < array.values().max() < 0.25
    held = array.program(slice(0, 4), target)
    assert (held - target).abs().max() <= 1e-3  # sums of 35,000 steps in single precision
    assert max(trains) <= reference_array.LONGEST_TRAIN


@pytest.mark.parametrize("name", device_table.QUIET)
def test_every_device_holds_a_reference(name: str) -> None:
    """Programming moves each cell towards the estimate."""
    settings = {**METHODS["E-RIDER"], "reference_device": device_table.QUIET[name]()}
    tile = quiet_tile(**settings)
    before = tile.reference
    target = before + 0.1
    tile.set_reference(target)
    assert ((tile.reference - target).abs() < (before - target).abs()).all()
