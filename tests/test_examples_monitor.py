"""The example and the benchmark of the monitor, briefly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.scripts import run


def test_watch_the_symmetric_point(tmp_path: Path) -> None:
    """The table is printed; pictures, numbers and TensorBoard's file are written."""
    pytest.importorskip("tensorboard")
    printed = run(
        "07_watch_the_symmetric_point.py",
        *("--epochs", 2, "--hidden", 6, "--sp-mean", -0.3),
        *("--cost-epochs", 1, "--calibration-pulses", 50),
        *("--out", tmp_path / "out", "--tensorboard", tmp_path / "runs"),
    )
    assert "epoch 2: test accuracy" in printed
    assert "Q-SP mean" in printed
    assert all(name in printed for name in ("TT-v2", "AGAD", "E-RIDER", "two-stage"))
    assert "too few reads" not in printed
    for name in ("sp_tracking", "filter_response", "costs"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    # Q starts at zero and the symmetric points have mean -0.3 and deviation 0.2 in 384 cells.
    assert history["step"][0] == 0
    assert history["sp_error_mean"][0] == pytest.approx(0.3, abs=0.05)
    assert history["step"][-1] == 288
    assert (tmp_path / "out" / "history.csv").read_text().count("\n") == len(history["step"]) + 1
    (events,) = (tmp_path / "runs").iterdir()
    assert b"sp_error_mean" in events.read_bytes()


def test_benchmark(tmp_path: Path) -> None:
    """The numbers are printed and written."""
    path = tmp_path / "numbers.json"
    printed = run("benchmarks/monitor.py", "--rounds", 2, "--every", 20, "--out", path)
    result = json.loads(path.read_text())["result"]
    assert result["every"] == 20
    low, high = result["ratio_quartiles"]
    assert low <= result["ratio"] <= high
    share = 100.0 * result["record_ms"] / 20 / result["step_ms"]
    assert f"a record every 20 steps is {share:.2f} % of a step" in printed
