"""The examples on chains of arrays, briefly."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from random import Random
from runpy import run_path
from typing import Any, Dict

import pytest

from tests.scripts import EXAMPLES, run

TUNE = "09_tune_a_chain.py"


def test_many_arrays(tmp_path: Path) -> None:
    """Numbers of each epoch, with their cost, and a picture; what is there is not run again."""
    arguments = ("--arrays", 2, 4, "--seeds", 1, "--epochs", 2, "--join-sweeps", 20)
    printed = run("08_many_arrays.py", *arguments, "--out", tmp_path)
    assert [line.split()[:3] for line in printed.splitlines()[1:]] == [
        ["2", "1", "2"],
        ["4", "1", "2"],
    ]
    assert (tmp_path / "many_arrays.png").read_bytes().startswith(b"\x89PNG")
    content = json.loads((tmp_path / "many_arrays.json").read_text())
    two, four = content["results"].values()
    assert (two["joined"], four["joined"]) == ([1, 1], [2, 3])
    assert four["bytes"] > 1.5 * two["bytes"]
    for result in (two, four):
        assert [len(result[name]) for name in ("accuracy", "loss")] == [2, 2]
        assert min(result["steps"], result["transfer_pulses"], result["transfer_reads"]) > 0
    again = run("08_many_arrays.py", *arguments, "--out", tmp_path)
    assert again == printed


def best_of(folder: Path, printed: str) -> Dict[str, Any]:
    """Return the best trial of a search for three arrays at most."""
    content = json.loads((folder / "tuned_chain.json").read_text())
    losses = [trial["loss"] for trial in content["trials"]]
    assert losses == sorted(losses)
    best: Dict[str, Any] = content["trials"][0]
    assert best["params"]["n_arrays"] in (2, 3)
    assert f"\n{best['loss']:>7.3f}{best['params']['n_arrays']:>8}" in printed
    call = f'build_config("e-rider", device, n_arrays={best["params"]["n_arrays"]}, '
    assert f"\nbest: {call}" in printed
    return best


def test_tuning_without_optuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what is missing, and searches at random."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    arguments = ("--budget", 48, "--trials", 3, "--most-arrays", 3, "--out", tmp_path)
    printed = run(TUNE, *arguments)
    assert "optuna is not installed" in printed
    assert "pip install optuna" in printed
    assert "3 trials of 16 steps" in printed
    assert best_of(tmp_path, printed)


def test_tuning_with_optuna(tmp_path: Path) -> None:
    """Optuna chooses the trials."""
    pytest.importorskip("optuna")
    arguments = ("--budget", 48, "--trials", 3, "--most-arrays", 3, "--out", tmp_path)
    printed = run(TUNE, *arguments)
    assert "optuna is not installed" not in printed
    assert best_of(tmp_path, printed)


def test_settings_of_a_trial() -> None:
    """All arrays have joined when the share of the steps is over; drawn numbers are in range."""
    tune = run_path(str(EXAMPLES / TUNE), run_name="tune")
    given = {"n_arrays": 4, "gamma": 0.4, "fast_gamma": 0.02, "join_share": 0.5}
    trial = tune["RandomTrial"](Random(1), given)
    settings = tune["settings_of"](trial, 5, 640)
    assert settings["gamma"] == pytest.approx([0.02, 0.16, 0.4])
    assert settings["join_sweeps"] == 25  # 640 steps are 100 sweeps, half of them for two arrays
    assert 0.005 <= settings["transfer_lr"] <= 0.2
    call = tune["as_call"]({**given, "transfer_lr": 0.0123456}, 5, 640)
    assert call == (
        'build_config("e-rider", device, n_arrays=4, transfer_lr=0.01235, '
        "gamma=[0.02, 0.16, 0.4], join_sweeps=25)"
    )
    two = tune["settings_of"](tune["RandomTrial"](Random(1), {**given, "n_arrays": 2}), 5, 640)
    assert (two["gamma"], "join_sweeps" in two) == (0.02, False)
    starts = [tune["defaults_of"](tune["devices"].ReRamESPresetDevice(), n) for n in (2, 5)]
    assert [start["n_arrays"] for start in starts] == [2, 5]
