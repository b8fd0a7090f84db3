"""Watched C++ compounds against tracking tiles, which count for themselves, and against physics."""

from __future__ import annotations

import json
import pickle
from copy import deepcopy
from typing import Any, Dict

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogLinearMapped, AnalogSequential
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.compounds import (
    BufferedTransferCompound,
    ChoppedTransferCompound,
    DynamicTransferCompound,
)
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import ConstantStepDevice, SoftBoundsDevice
from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.tiles.analog import AnalogTile
from torch import nn

from aihwkit_dspt import ReferenceType, operation_counts, watch_operations
from aihwkit_dspt.costs import ModelCounts
from tests.helpers import deterministic, draw_batch, perfect, quiet_config, quiet_device, quiet_tile
from tests.table import METHODS
from tests.test_parity import build_pair, deterministic_pair

SETTINGS: Dict[str, Dict[str, Any]] = {
    "plain": {},
    "rows": {"transfer_columns": False},
    "slow choppers": {"in_chop_prob": 0.1},
    "momentum": {"momentum": 0.3},
    "kept buffer": {"forget_buffer": False},
    "large steps": {"transfer_lr": 2.0},
    "coarse buffer": {"auto_granularity": 30.0},
    "between batches": {"transfer_every": 2.5, "units_in_mbatch": False},
    "several per batch": {"transfer_every": 0.4, "units_in_mbatch": True},
    "auto_scale": {"auto_scale": True},
    "gradient magnitudes": {"correct_gradient_magnitudes": True},
    "other sizes": {"sizes": (3, 7)},
    "sweeps that end within a batch": {"sizes": (5, 9), "transfer_lr": 2.0, "in_chop_prob": 0.3},
}
NOISY = IOParameters(
    out_noise=0.05,
    noise_management=NoiseManagementType.NONE,
    bound_management=BoundManagementType.NONE,
)
MANY_STEPS: Dict[str, Dict[str, Any]] = {
    "several steps": {"momentum": 0.2, "forget_buffer": False, "desired_bl": 3},
    "forgotten": {"desired_bl": 5, "transfer_lr": 3.0},
    "capped": {"forget_buffer": False, "desired_bl": 3, "transfer_lr": 9.0, "buffer_cap": 1.5},
}


def compare(reference: ReferenceType, case: Dict[str, Any], n_updates: int = 200) -> Any:
    """Train a C++ tile and ours with the same data; return what both count."""
    theirs, ours = deterministic_pair(reference, case)
    with watch_operations(theirs):
        for _ in range(n_updates):
            x, d = draw_batch(ours)
            theirs.update(x, d)
            ours.update(x, d)
    return operation_counts(theirs).total, operation_counts(ours).total


def assert_same(theirs: Any, ours: Any) -> None:
    assert ours.slow_pulses > 0
    for name in ("slow_pulses", "transfer_reads", "programming_events", "update_cycles"):
        assert getattr(theirs, name) == getattr(ours, name), name


@pytest.mark.parametrize("case", [*SETTINGS, *MANY_STEPS])
def test_agad(case: str) -> None:
    """Bit for bit the same training, so the same pulses, for any number of steps."""
    assert_same(*compare(ReferenceType.DYNAMIC, {**SETTINGS, **MANY_STEPS}[case]))


@pytest.mark.parametrize("case", SETTINGS)
def test_ttv2(case: str) -> None:
    """One step at a time: the same."""
    assert_same(*compare(ReferenceType.ZERO, SETTINGS[case]))


@pytest.mark.parametrize("case", ["several steps", "forgotten"])
def test_ttv2_of_several_steps_is_not_known(case: str) -> None:
    """Nothing tells how many there were; the reads are known all the same."""
    theirs, ours = compare(ReferenceType.ZERO, MANY_STEPS[case])
    assert theirs.slow_pulses is None
    assert theirs.transfer_reads == ours.transfer_reads


def test_more_transfers_than_lines() -> None:
    """A line that is transferred twice in an update hides the first time."""
    case = {"transfer_every": 1.0, "units_in_mbatch": False, "sizes": (2, 3)}
    theirs, ours = compare(ReferenceType.DYNAMIC, case)
    assert theirs.slow_pulses is None
    assert theirs.transfer_reads == ours.transfer_reads
    assert theirs.programming_events == ours.programming_events


def noisy_tile(compound: type, slow: Any, **settings: Any) -> AnalogTile:
    """Return a C++ tile with stochastic pulses and noisy reads."""
    fast = SoftBoundsDevice(dw_min=0.01)
    device = compound(
        unit_cell_devices=[fast, slow],
        transfer_forward=NOISY,
        units_in_mbatch=True,
        transfer_every=1.0,
        **settings,
    )
    periphery = {"forward": perfect(), "backward": perfect()}
    return AnalogTile(5, 6, UnitCellRPUConfig(device=device, **periphery))


@pytest.mark.parametrize(
    ("compound", "settings"),
    [
        (DynamicTransferCompound, {"in_chop_prob": 0.3}),
        (ChoppedTransferCompound, {}),
        (ChoppedTransferCompound, {"no_buffer": True}),
        (BufferedTransferCompound, {"thres_scale": 0.8}),
        (BufferedTransferCompound, {"momentum": 0.0, "transfer_lr": 3.0}),
    ],
    ids=["AGAD", "TT-v2", "TT-v1", "TT-v2-thres", "TT-v2-emptied"],
)
def test_pulses_of_a_noisy_training_are_the_distance(
    compound: type, settings: Dict[str, Any]
) -> None:
    """Constant steps count the pulses: nothing but their number moves the slow array."""
    no_variation = dict.fromkeys(
        ("dw_min_dtod", "dw_min_std", "up_down_dtod", "w_max_dtod", "w_min_dtod"), 0.0
    )
    slow = ConstantStepDevice(dw_min=1e-3, w_max=100.0, w_min=-100.0, **no_variation)
    tile = noisy_tile(compound, slow, **{"transfer_lr": 1.0, "fast_lr": 0.1, **settings})
    way = 0.0
    with watch_operations(tile):
        before = tile.get_weights()[0]
        for _ in range(300):
            tile.update(torch.rand(3, 6), torch.randn(3, 5) + 0.3)
            after = tile.get_weights()[0]
            way += (after - before).abs().sum().item()
            before = after
    counts = operation_counts(tile).total
    assert counts.transfer_reads == 300
    assert counts.slow_pulses is not None
    assert counts.slow_pulses > 100
    # Single precision: some 1e-8 for each step of 1e-3.
    assert counts.slow_pulses == pytest.approx(way / 1e-3, rel=1e-4)


NARROW = {"w_max": 0.03, "w_min": -0.03, "up_down": 0.0}
"""Bounds that a slow array reaches within a few pulses."""


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize(
    "settings",
    [{}, {"momentum": 0.1}, {"momentum": 0.1, "forget_buffer": False}, {"in_chop_prob": 0.0}],
    ids=str,
)
def test_resting_cells(settings: Dict[str, Any], columns: bool) -> None:
    """At the bounds pulses leave no trace but in the buffer, which moves slowly here."""
    quiet = dict.fromkeys(("dw_min_dtod", "dw_min_std", "up_down_dtod"), 0.0)
    slow = ConstantStepDevice(dw_min=0.01, w_max_dtod=0.0, w_min_dtod=0.0, **NARROW, **quiet)
    case = {
        **{"fast_lr": 0.5, "transfer_lr": 0.004, "scale_transfer_lr": False},
        **{"in_chop_random": False, "transfer_columns": columns},
        **settings,
        "unit_cell_devices": [quiet_device(), slow],
        "transfer_forward": perfect(),
        "transfer_update": deterministic(1),
    }
    periphery = {"forward": perfect(), "backward": perfect(), "update": deterministic()}
    theirs, ours = build_pair(ReferenceType.ZERO, (6, 4), case, periphery)
    for tile in (theirs, ours):
        tile.set_weights(torch.zeros(4, 6))
    at_bound = 0
    with watch_operations(theirs):
        for _ in range(400):
            x, d = draw_batch(ours)
            theirs.update(x, d + 0.2)
            ours.update(x, d + 0.2)
            at_bound += int((theirs.get_weights()[0].abs() >= 0.0299).sum())
    assert at_bound > 200
    assert_same(operation_counts(theirs).total, operation_counts(ours).total)


def test_resting_cells_that_nobody_knows_of() -> None:
    """One read can fill the buffer: rather no number than a wrong one. AGAD knows."""
    slow = ConstantStepDevice(dw_min=0.01, dw_min_std=0.0, **NARROW)
    for compound, known in ((ChoppedTransferCompound, False), (DynamicTransferCompound, True)):
        tile = noisy_tile(compound, slow, transfer_lr=3.0, fast_lr=0.1)
        with watch_operations(tile):
            for _ in range(100):
                tile.update(torch.rand(3, 6), torch.randn(3, 5) + 0.3)
        assert (operation_counts(tile).total.slow_pulses is not None) == known


def test_random_flips() -> None:
    """Each flip lets the line take another reference at its next read."""
    settings = {"in_chop_prob": 0.2, "in_chop_random": True}
    tile = noisy_tile(DynamicTransferCompound, quiet_device(), **settings)
    taken, before = 0, tile.get_hidden_parameters()["past_mean_weight"]
    with watch_operations(tile):
        for _ in range(200):
            tile.update(torch.rand(3, 6), torch.randn(3, 5))
            after = tile.get_hidden_parameters()["past_mean_weight"]
            taken += int((after != before).any(0).sum())
            before = after
    pending = sum(tile.tile.dump_extra()["rpu.rpu_device.in_chopper_switched"])
    counts = operation_counts(tile).total
    assert counts.programming_events == taken + pending > 20
    assert counts.programmed_cells == 5 * counts.programming_events
    unwatched = noisy_tile(DynamicTransferCompound, quiet_device(), **settings)
    assert operation_counts(unwatched).total.programming_events is None


# -- products -----------------------------------------------------------------------------------


def network(make: Any) -> AnalogSequential:
    """Return convolutions, indexed and not, a layer cut in two and a plain one."""
    cut = make()
    cut.mapping.max_input_size = 5
    return AnalogSequential(
        AnalogConv2d(1, 3, 2, rpu_config=make()),
        AnalogConv2d(3, 2, 2, use_indexed=True, rpu_config=make()),
        nn.Flatten(),
        AnalogLinearMapped(8, 4, rpu_config=cut),
        AnalogLinear(4, 2, rpu_config=make()),
    )


def agad_config(digital_bias: bool = True) -> UnitCellRPUConfig:
    """Return aihwkit's AGAD, which transfers a line per batch."""
    device = DynamicTransferCompound(
        unit_cell_devices=[SoftBoundsDevice(), SoftBoundsDevice()], units_in_mbatch=True
    )
    return UnitCellRPUConfig(device=device, mapping=MappingParameter(digital_bias=digital_bias))


def fit(model: nn.Module, n_steps: int = 5) -> None:
    """Train on batches of 3, evaluate on one of 7."""
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    for _ in range(n_steps):
        optimizer.zero_grad()
        model(torch.rand(3, 1, 4, 4)).square().sum().backward()
        optimizer.step()
    with torch.no_grad():
        model(torch.rand(7, 1, 4, 4))


@pytest.mark.parametrize("digital_bias", [True, False])
def test_products(digital_bias: bool) -> None:
    """As many as the same network of ours has; and those of the first layer, done for nothing."""
    ours = network(lambda: quiet_config(digital_bias=digital_bias, **METHODS["AGAD"]))
    theirs = network(lambda: agad_config(digital_bias))
    fit(ours)
    with watch_operations(theirs, slow_pulses=False):
        fit(theirs)
    expected, found = operation_counts(ours), operation_counts(theirs)
    by_hand = [(22 * 9, 15 * 9), (22 * 4, 15 * 4), (22, 15), (22, 15), (22, 15)]
    assert [(c.forward_mvms, c.backward_mvms) for c in found.tiles.values()] == by_hand
    # Ours skips the backward product of the first layer.
    tracked = [(c.forward_mvms, c.backward_mvms) for c in expected.tiles.values()]
    assert tracked == [(22 * 9, 0), *by_hand[1:]]
    assert [c.update_cycles for c in found.tiles.values()] == [135, 60, 15, 15, 15]
    assert found.total.slow_pulses is None
    assert found.total.forward_mvms == 22 * 16


# -- what it leaves alone -----------------------------------------------------------------------


def test_a_watched_training_is_the_same_training() -> None:
    results = []
    for watched in (False, True):
        torch.manual_seed(2)
        tile, _ = deterministic_pair(ReferenceType.DYNAMIC, {})
        watch = watch_operations(tile) if watched else None
        for _ in range(100):
            tile.forward(torch.rand(3, 6))
            tile.update(torch.rand(3, 6), torch.randn(3, 4))
        results.append(tile.get_hidden_parameters())
        if watch is not None:
            watch.stop()
    for name, values in results[0].items():
        assert torch.equal(values, results[1][name]), name


def test_copies_are_plain() -> None:
    """Copies and pickles are aihwkit's tiles; state and attributes have nothing new."""
    model = network(agad_config)
    names, attributes = list(model.state_dict()), [sorted(vars(m)) for m in model.modules()]
    with watch_operations(model):
        assert list(model.state_dict()) == names
        assert [sorted(vars(m)) for m in model.modules()] == attributes
        for other in (deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert {type(tile) for tile in other.analog_tiles()} == {AnalogTile}
            fit(other, 1)
            assert operation_counts(other).total.forward_mvms is None
        assert operation_counts(model).total.forward_mvms == 0
    assert {type(tile) for tile in model.analog_tiles()} == {AnalogTile}


def test_counts_go_on_after_a_resumption() -> None:
    """Saved beside the model as JSON and handed back; training unwatched makes them unknown."""
    models = [network(agad_config) for _ in range(2)]
    with watch_operations(models[0]):
        fit(models[0])
    saved = json.dumps(operation_counts(models[0]).to_dict())
    counted = ModelCounts.from_dict(json.loads(saved))
    assert counted == operation_counts(models[0])
    models[1].load_state_dict(models[0].state_dict())
    with pytest.raises(TileError, match="135 update cycles, of which 0 are counted"):
        watch_operations(models[1])
    with watch_operations(models[1], counted=counted):
        assert operation_counts(models[1]) == counted
        fit(models[1])
    found = operation_counts(models[1]).total
    assert found.forward_mvms == 2 * counted.total.forward_mvms
    assert found.backward_mvms == 2 * counted.total.backward_mvms
    assert found.update_cycles == 2 * counted.total.update_cycles
    assert found.slow_pulses is not None
    assert found.slow_pulses >= counted.total.slow_pulses
    fit(models[1], 1)
    assert operation_counts(models[1]).total.forward_mvms is None


def test_failed_update() -> None:
    tile, _ = deterministic_pair(ReferenceType.DYNAMIC, {})
    with watch_operations(tile):
        with pytest.raises(Exception, match=r"(?i)size|shape|dimension"):
            tile.update(torch.rand(3, 7), torch.randn(3, 4))
        tile.update(torch.rand(3, 6), torch.randn(3, 4))
    assert operation_counts(tile).total.transfer_reads == 3


def test_refused() -> None:
    """The message names what to do."""
    with pytest.raises(TileError, match="count for themselves"):
        watch_operations(quiet_tile(**METHODS["E-RIDER"]))
    tile, _ = deterministic_pair(ReferenceType.DYNAMIC, {})
    with watch_operations(tile), pytest.raises(TileError, match="watched already"):
        watch_operations(tile)

    class Other(AnalogTile):
        """A tile of somebody else."""

    with pytest.raises(TileError, match="is a Other"):
        watch_operations(Other(2, 3, agad_config()))
