"""Figures 4 and 5: what their runs mean, and how the results are shown."""

from __future__ import annotations

from pathlib import Path

import figure4
import figure5
import pytest
import torch
from aihwkit.nn.conversion import convert_to_analog
from common.networks import lenet5
from common.tracking import sp_error
from core.execute import execute
from core.methods import rpu_config

from aihwkit_dspt import ReferenceType, TrackingTile, calibrate
from tests.paper.scripts import result_of, run


def test_figure4_runs() -> None:
    """E-RIDER and each N for every number of states, with the paper's settings."""
    runs = figure4.runs([20, 2000], [500, 4000], 7, [1, 2])
    assert len({item.key for item in runs}) == 2 * 4 * 2
    assert {item.batch_size for item in runs} == {64}
    assert {item.desired_bl for item in runs} == {5}
    assert {item.dw_min for item in runs} == {0.1, 0.001}
    assert {(item.method, item.lr) for item in runs} == {("E-RIDER", 0.1), ("two-stage", 0.05)}
    erider, scaled, calibrated = (rpu_config(item) for item in runs[:3])
    assert scaled.device.transfer_lr == 0.1
    fields = ("fast_lr", "transfer_lr", "auto_granularity", "in_chop_prob", "gamma")
    assert [getattr(erider.device, name) for name in fields] == [0.1, 1.0, 1000.0, 0.2, 0.1]
    assert [getattr(calibrated.device, name) for name in fields] == [0.01, 1.0, 0.0, 0.0, 0.0]


def test_calibration_then_ttv2() -> None:
    """The model is the slow array; what is transferred is P minus what zero-shifting found."""
    (item,) = (item for item in figure4.runs([200], [4000]) if item.method == "two-stage")
    model = convert_to_analog(lenet5(), rpu_config(item))
    assert sp_error(model)[0] == pytest.approx(0.4, abs=0.01)
    calibrate(model, item.calibration_pulses, progress=False)
    mean, rms = sp_error(model)
    assert abs(mean) < 0.01
    assert rms < 0.1
    for tile in model.modules():
        if isinstance(tile, TrackingTile):
            assert tile.tile.pipeline.config.reference is ReferenceType.STATIC
            assert tile.tile.pipeline.config.method_name() == "two-stage"
            torch.testing.assert_close(tile.fast_weights, tile.reference, atol=1e-5, rtol=0.0)
            weights, _ = tile.get_weights(apply_weight_scaling=False)
            torch.testing.assert_close(weights, tile.slow_weights, atol=1e-6, rtol=0.0)


def test_calibration_counts_as_pulses() -> None:
    """A two-stage run on the network of Figure 4 includes N in its pulses."""
    (item,) = figure4.runs([20], [160], 1, transfer_lrs=[])
    result = execute(item)
    assert result["pulses"] == -(-1438 // 64) * 5 + 160
    assert figure4.pulses_of(result) is None


def test_figure4_not_reached_is_no_number(tmp_path: Path) -> None:
    """Reached: its pulses. Not reached within its epochs: words, in the table and the picture."""
    erider, short, long = figure4.runs([20], [500, 4000], 3, transfer_lrs=[1.0])
    results = [
        result_of(erider, [90.0, 95.0], [0.5, 0.2], pulses=9380),
        result_of(short, [11.0] * 3, [2.3, 2.3, float("nan")], pulses=14570),
        result_of(long, [90.0] * 3, [0.5, 0.4, 0.2001], pulses=18070),
    ]
    assert [figure4.pulses_of(result) for result in results] == [9380, None, None]
    lines = figure4.table(results).splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["E-RIDER,", "ZS(500)", "ZS(4000)"]
    assert "9,380" in lines[1]
    for line in lines[2:]:
        assert "not reached" in line
        assert "14,570" not in line
    for shown in (results, results[1:]):
        figure4.draw(shown, tmp_path / "figure4.png")
        assert (tmp_path / "figure4.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "figure4.png").unlink()


def test_figure5(tmp_path: Path) -> None:
    """E-RIDER at every p over the best of RIDER's eta."""
    arguments = ("--epochs", 1, "--results", tmp_path / "figure5.jsonl")
    assert "nothing is there yet" in run("figure5.py", *arguments, "--table")
    printed = run("figure5.py", *arguments, "--probabilities", 0.2, 0.05, "--etas", 0.5, 0.05)
    assert (tmp_path / "figure5.png").read_bytes().startswith(b"\x89PNG")
    table = [line.split() for line in printed[printed.index("     p ") :].splitlines()]
    assert [line[0] for line in table[1:]] == ["0", "0", "0.05", "0.2"]
    assert [float(line[1]) for line in table[1:]] == [0.05, 0.5, 0.25, 1.0]
    best = max(float(line[3]) for line in table[1:3])
    for line in table[3:]:
        assert float(line[4]) == pytest.approx(float(line[3]) - best, abs=0.011)


def test_gain_over_the_best_rider() -> None:
    """Means over the seeds, and the eta with the best one."""
    runs = figure5.runs([0.1], [0.5, 0.05], [1, 2])
    assert {item.method for item in runs[:2]} == {"E-RIDER"}
    assert {item.method for item in runs[2:]} == {"RIDER"}
    accuracies = (90.0, 92.0, 11.0, 80.0, 12.0, 84.0)
    results = [result_of(item, [accuracy]) for item, accuracy in zip(runs, accuracies)]
    assert figure5.eta_of(0.1) == 0.5
    # aihwkit's period is two sweeps at the least.
    assert figure5.eta_of(1.0) == 1.0
    lines = figure5.table(results).splitlines()
    assert lines[1].split() == ["0", "0.05", "2", "82.00", "+-", "2.83"]
    assert lines[2].split() == ["0", "0.5", "2", "11.50", "+-", "0.71"]
    assert lines[3].split() == ["0.1", "0.5", "2", "91.00", "+-", "1.41", "+9.00"]
