"""The experiments on estimators and on symmetric points that move, briefly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

from tests.paper.scripts import run


def results_of(path: Path) -> Dict[str, Any]:
    """Return the numbers of a file of results."""
    results: Dict[str, Any] = json.loads(path.read_text())["results"]
    return results


def test_moving_points(tmp_path: Path) -> None:
    """Errors beside theory, accuracies of all methods, one picture; a second call runs nothing."""
    arguments = ("--seeds", 1, "--steps", 20, "--sweeps", 12, "--out", tmp_path)
    printed = run("moving_points.py", *arguments)
    found = results_of(tmp_path / "moving_points.json")
    assert (tmp_path / "moving_points.png").read_bytes().startswith(b"\x89PNG")
    speeds = [value for name, value in found.items() if name.startswith("s = ")]
    assert len(speeds) == 3
    for row in speeds:
        names = {"calibrated", "filter 0.25", "filter 0.05", "adaptive"}
        assert names == set(row["theory"]) == set(row["measured"]) - {"reads", "walk per read"}
        assert min(*row["theory"].values(), *row["measured"].values()) > 0.0
    trained = {name: value for name, value in found.items() if name.endswith("seed 1")}
    assert len(trained) == 12
    assert all(len(value["accuracy"]) == 10 for value in trained.values())
    assert len(printed.splitlines()) == 3 * 4 + 12
    assert run("moving_points.py", *arguments) == printed


def test_estimators(tmp_path: Path) -> None:
    """All estimators get the same reads; that of the training is the one that was asked for."""
    arguments = ("--epochs", 1, "--out", tmp_path)
    run("estimators.py", *arguments, "--estimator", "low-pass", "--eta", 0.05)
    printed = run("estimators.py", *arguments)
    found = results_of(tmp_path / "estimators.json")
    start = "fcn (0.4, 0.4), defaults, "
    assert list(found) == [f"{start}low-pass eta 0.05, seed 1", f"{start}adaptive, seed 1"]
    assert (tmp_path / "estimators.png").read_bytes().startswith(b"\x89PNG")
    for result, same in zip(found.values(), ("low-pass eta 0.05", "adaptive")):
        assert len(result["accuracy"]) == 1
        arrays = [value for name, value in result.items() if name.startswith("array ")]
        assert len(arrays) == 3
        for array in arrays:
            assert 0.0 < array["cells_with_pulses"][0] <= 1.0
            assert array["reads_of_a_line"] > 0
            for name, values in array[same].items():
                assert abs(array["in training"][name][0] - values[0]) < 1e-3
    assert printed.count("in training") == 6
