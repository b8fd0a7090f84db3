"""What is said of tracking tiles holds whatever tiles stand beside them."""

from __future__ import annotations

import json
import warnings
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError, TileError
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.nn.conversion import convert_to_digital
from aihwkit.simulator.configs.configs import InferenceRPUConfig
from torch import nn

from aihwkit_dspt import (
    ModelCounts,
    SymmetricPointDrift,
    SymmetricPointMonitor,
    TrackingTile,
    analog_grad_norms,
    at_slow_weights,
    calibrate,
    cost_table,
    estimate_coincidences,
    export_to_aihwkit,
    load_checkpoint,
    operation_counts,
    record_reads,
    save_checkpoint,
    symmetric_points,
    to_inference,
)
from aihwkit_dspt.costs.counts import COUNTS
from aihwkit_dspt.tiles.of_model import analog_tiles
from tests.helpers import quiet_config
from tests.interchanged import both
from tests.mixed_models import OTHERS, mixed_model, train_model
from tests.table import METHODS

OURS, THEIRS = "0.analog_module", "2.analog_module"
WITHOUT_PULSES = ("floating point", "inference", "torch inference")
WITH_CYCLES = {
    *("AGAD", "TT-v2", "buffered", "Tiki-taka", "vector", "reference", "one-sided"),
    *WITHOUT_PULSES,
}
"""Kinds whose update cycles aihwkit counts, or which have none."""
WITH_POINTS = {
    *("single", "constant steps", "AGAD", "TT-v2", "buffered", "Tiki-taka"),
    *("vector", "reference", "one-sided", "torch transfer"),
}
"""Kinds with one pulsed device or two."""


@pytest.mark.parametrize("other", OTHERS)
def test_what_can_be_counted_is_counted(other: str) -> None:
    model = mixed_model(other)
    estimate_coincidences(model)
    train_model(model)
    counts = operation_counts(model)
    assert list(counts.tiles) == [OURS, THEIRS]
    ours, theirs = counts.tiles[OURS], counts.tiles[THEIRS]
    assert (ours.update_cycles, ours.forward_mvms, ours.backward_mvms) == (24, 24, 0)
    assert ours.expected_coincidences > 0.0
    assert list(ours.reasons) == ["coincidences"]
    if other in WITH_CYCLES:
        assert theirs.update_cycles == (0 if other in WITHOUT_PULSES else 24)
    for column in (*counts.tiles.values(), counts.total):
        missing = [name for name in COUNTS if getattr(column, name) is None]
        assert sorted(column.reasons) == sorted(missing)
        assert all(column.reasons.values())
    assert counts.total.forward_mvms is None
    assert THEIRS in counts.total.reasons["forward_mvms"]
    assert OURS not in counts.total.reasons["forward_mvms"]
    rows = {line.split()[0]: line.split()[1:] for line in counts.table().splitlines()[1:]}
    assert rows["forward_mvms"] == ["24", "-", "-"]
    assert theirs.reasons["forward_mvms"] in counts.table()
    assert ModelCounts.from_dict(json.loads(json.dumps(counts.to_dict()))) == counts


@pytest.mark.parametrize("other", ["AGAD", "TT-v2"])
def test_known_sums_are_sums(other: str) -> None:
    model = mixed_model(other)
    train_model(model)
    counts = operation_counts(model)
    assert counts.total.update_cycles == 48
    assert cost_table({"all": counts.total}).splitlines()[1].split() == ["update_cycles", "48"]


@pytest.mark.parametrize("other", OTHERS)
def test_monitor_records_the_tracking_tile(other: str) -> None:
    model = mixed_model(other)
    with SymmetricPointMonitor(model, every=1) as monitor:
        train_model(model, 2)
    assert set(monitor.history["tile"]) == {OURS}
    assert monitor.history["step"] == [0, 1, 2]


@pytest.mark.parametrize("other", OTHERS)
def test_tiles_are_recorded_or_named(other: str) -> None:
    model = mixed_model(other)
    ours, theirs = analog_tiles(model).values()
    with record_reads(ours) as reads:
        train_model(model, 12)
    assert reads.n_reads == 14  # 72 reads of 5 lines
    with pytest.raises(TileError, match=type(theirs).__name__), record_reads(theirs):
        pass
    assert symmetric_points(ours).fast.n_missing == 0
    if other in WITH_POINTS:
        assert symmetric_points(theirs).fast.values.shape == (3, 4)
    else:
        with pytest.raises((ConfigError, TileError), match=r"pass|Pass"):
            symmetric_points(theirs)


@pytest.mark.parametrize("other", OTHERS)
def test_calibration_leaves_the_rest(other: str) -> None:
    model = mixed_model(other, "two-stage")
    train_model(model)
    before = analog_tiles(model)[THEIRS].tile.get_weights().clone()
    assert list(calibrate(model, 500)) == [OURS]
    assert torch.equal(analog_tiles(model)[THEIRS].tile.get_weights(), before)
    assert operation_counts(model).tiles[OURS].calibration_pulses == 500


def test_calibration_leaves_tiles_without_reference() -> None:
    model = nn.Sequential(mixed_model("single", "two-stage"), mixed_model("single", "residual"))
    assert list(calibrate(model, 100)) == [f"0.{OURS}"]
    with pytest.raises(TileError, match="STATIC"):
        calibrate(model[1], 100)


@pytest.mark.parametrize("other", OTHERS)
def test_slow_weights(other: str) -> None:
    model = mixed_model(other)
    train_model(model)
    ours, theirs = analog_tiles(model).values()
    before = ours.get_weights()[0], theirs.tile.get_weights().clone()
    with at_slow_weights(model):
        assert torch.equal(ours.get_weights()[0], ours.slow_weights)
        assert torch.equal(theirs.tile.get_weights(), before[1])
    assert torch.equal(ours.get_weights()[0], before[0])


@pytest.mark.parametrize("other", OTHERS)
def test_inference(other: str) -> None:
    model = mixed_model(other)
    train_model(model)
    config = InferenceRPUConfig()
    config.forward.is_perfect = True
    converted = to_inference(model, config)
    tiles = analog_tiles(converted)
    assert type(tiles[OURS]) is config.tile_class
    assert torch.equal(tiles[OURS].get_weights()[0], analog_tiles(model)[OURS].get_weights()[0])
    assert converted(torch.rand(2, 5)).isfinite().all()
    theirs = [analog_tiles(each)[THEIRS].get_weights()[0] for each in (model, converted)]
    assert torch.allclose(*theirs, atol=1e-6)


@pytest.mark.parametrize("other", OTHERS)
def test_export(other: str) -> None:
    """The tracking tile goes into C++ AGAD, the other tile into one of its kind."""
    theirs, ours = both("AGAD")
    models = [nn.Sequential(each, mixed_model(other)[2]) for each in (ours, theirs)]
    with torch.no_grad():
        models[0](torch.rand(6, 1, 3, 3))
    models[0][1].analog_module.tile.set_weights(torch.full((3, 4), 0.1))
    export_to_aihwkit(*models)
    weights = [model[1].analog_module.tile.get_weights() for model in models]
    assert torch.equal(*weights)
    ours_agad, agad = (model[0][0].analog_module for model in models)
    assert torch.equal(ours_agad.slow_weights, agad.tile.get_weights())
    digital = models[0][0]
    with pytest.raises(TileError, match="convert"):
        export_to_aihwkit(models[0], nn.Sequential(theirs, deepcopy(digital[3])))


@pytest.mark.parametrize(
    "function",
    [
        operation_counts,
        estimate_coincidences,
        SymmetricPointMonitor,
        lambda model: calibrate(model, 10),
        lambda model: at_slow_weights(model).__enter__(),
        lambda model: to_inference(model, InferenceRPUConfig()),
        lambda model: export_to_aihwkit(model, model),
    ],
)
def test_what_has_no_tile_is_refused(function: object) -> None:
    assert callable(function)
    with pytest.raises(TileError, match="convert it with"):
        function(nn.Linear(3, 2))
    for wrong in (None, 3, "model", TrackingTile):
        with pytest.raises(ArgumentError, match=r"torch\.nn\.Module"):
            function(wrong)


@pytest.mark.parametrize("other", ["single", "floating point", "inference", "torch inference"])
def test_checkpoints(other: str, tmp_path: Path) -> None:
    """Noise models of inference tiles are classes of aihwkit, which can be loaded."""
    model = mixed_model(other)
    train_model(model)
    save_checkpoint(tmp_path / "run.pt", model)
    loaded = mixed_model(other)
    load_checkpoint(tmp_path / "run.pt", loaded)
    for layer, found in zip(model.analog_layers(), loaded.analog_layers()):
        for one, two in zip(layer.get_weights(), found.get_weights()):
            assert torch.equal(one, two)


@pytest.mark.parametrize("other", OTHERS)
def test_drift_names_what_stays(other: str) -> None:
    """Points of aihwkit's own pulsed tiles do not move; those of the tracking tile do."""
    model = mixed_model(other)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        drift = SymmetricPointDrift(model, trend=0.01)
    names = [each for each in told if "do not move" in str(each.message)]
    assert len(names) == (other in WITH_POINTS | {"mixed precision"})
    assert all("'2.analog_module'" in str(each.message) for each in names)
    before = symmetric_points(model[0].analog_module).fast.values
    drift.advance()
    assert not torch.equal(symmetric_points(model[0].analog_module).fast.values, before)


@pytest.mark.parametrize("other", ["inference", "torch inference"])
@pytest.mark.parametrize(("omega", "columnwise"), [(0.0, False), (0.6, False), (0.6, True)])
def test_gradient_norm_of_torch_weights(other: str, omega: float, columnwise: bool) -> None:
    """As of the tracking tile: that of a digital layer at the same place."""
    config = OTHERS[other]()
    config.mapping.weight_scaling_omega = omega
    config.mapping.weight_scaling_columnwise = columnwise
    config.forward.is_perfect = True
    tracking = AnalogLinear(5, 4, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    model = AnalogSequential(tracking, AnalogLinear(4, 3, rpu_config=config))
    digital = convert_to_digital(deepcopy(model))
    batch = torch.rand(6, 5)
    for each in (model, digital):
        each(batch).square().sum().backward()
    norms = list(analog_grad_norms(model).values())
    assert norms == pytest.approx([layer.weight.grad.norm().item() for layer in digital], rel=1e-4)
