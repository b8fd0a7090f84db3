"""The examples with methods side by side on real models, briefly."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from math import isfinite
from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch
from aihwkit.simulator.configs import FloatingPointRPUConfig

from tests.scripts import run

from common.adapters import Adapted, with_adapters  # isort: skip  # tests.scripts knows the folder
from common.character_models import CharacterGPT, sample  # isort: skip
from common.comparison import RATES, add_arguments, best_of, runs_of  # isort: skip
from common.comparison_report import table  # isort: skip
from common.competitors import DIGITAL, FROZEN, OURS  # isort: skip

SMALL = ("--steps", 3, "--one-rate", "--batch-size", 4)
GPT = (*SMALL, "--width", 8, "--heads", 2, "--length", 8)


def results_of(folder: Path, name: str, printed: str) -> List[Dict[str, Any]]:
    """Return the results of a script, after a look at its table and its picture."""
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    content = json.loads((folder / f"{name}.json").read_text())
    assert content["command"].startswith("python examples/1")
    results = list(content["results"].values())
    for result in results:
        assert f"| {result['run']['competitor']} |" in printed
        assert result["steps"] == [0, 1, 2, 3]
        assert all(isfinite(score) for score in result["scores"])
        assert result["revision"]
        assert ("at_slow_weights" in result) == (result["run"]["competitor"] == OURS)
        assert ("sp_error" in result) == (result["run"]["competitor"] not in (DIGITAL, FROZEN))
    return results


def test_char_gpt(tmp_path: Path) -> None:
    """Each method has its runs, its text and E-RIDER its estimates; a second call has them all."""
    arguments = (*GPT, "--shifts", 0, 0.4, "--out", tmp_path)
    printed = run("10_char_gpt.py", *arguments)
    results = results_of(tmp_path, "char_gpt", printed)
    methods = [result["run"]["competitor"] for result in results]
    assert {name: methods.count(name) for name in RATES} == {
        **dict.fromkeys(RATES, 2),
        DIGITAL: 1,
        FROZEN: 1,
    }
    for result in results:
        assert len(result["sample"]) == 160
        assert ("monitor" in result) == (result["run"]["competitor"] == OURS)
    shifted = next(r for r in results if "monitor" in r and r["run"]["shift"] == 0.4)
    # Q starts at zero, and the symmetric points have the mean 0.4 (0.2 from cell to cell).
    assert shifted["monitor"]["sp_error_mean"][0] == pytest.approx(-0.4, abs=0.1)
    assert set(shifted["monitor"]["step"]) == {0, 1, 2, 3}
    again = run("10_char_gpt.py", *arguments)
    assert again == printed[printed.index("| task |") :]


def test_frozen_arrays_and_digital_rates(tmp_path: Path) -> None:
    """The three rates of frozen arrays act: on what is digital."""
    arguments = ("--methods", FROZEN, "--steps", 3, "--batch-size", 4, *GPT[-6:])
    printed = run("10_char_gpt.py", *arguments, "--out", tmp_path)
    results = results_of(tmp_path, "char_gpt", printed)
    assert [result["run"]["lr"] for result in results] == list(RATES[FROZEN])
    assert len({result["scores"][0] for result in results}) == 1
    assert len({result["scores"][-1] for result in results}) == 3


def test_a_gpt_that_was_lost_writes_nothing() -> None:
    """Its run has a row all the same; it ended the comparison."""
    model = CharacterGPT(3, 8, 8)
    assert len(sample(model, "\nab", 5, 8)) == 5
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    assert sample(model, "\nab", 5, 8) == ""


def test_cifar_resnet(tmp_path: Path) -> None:
    """Last stages and the whole network; the digital network is trained once."""
    arguments = ("--width", 1, "--early-epochs", 1, "--early-batch-size", 500, "--n-test", 20)
    arguments += (*SMALL, "--methods", DIGITAL, OURS, FROZEN, "--out", tmp_path)
    printed = run("11_cifar_resnet.py", *arguments, "--parts", "last", "all")
    assert "digital network, 1 epochs" in printed
    results = results_of(tmp_path, "cifar_resnet", printed)
    assert [result["run"]["network"] for result in results] == (
        3 * ["ResNet-18, last"] + 3 * ["ResNet-18, all"]
    )
    # The early stages were trained for other last stages than these: they know nothing yet.
    assert all(result["scores"][0] < 45.0 for result in results)
    with pytest.raises(SystemExit):
        run("11_cifar_resnet.py", *arguments, "--early-seed", 1)
    again = run("11_cifar_resnet.py", *arguments, "--parts", "last")
    assert "digital network" not in again


def test_finetune(tmp_path: Path) -> None:
    """The last block or adapters; without training both are the model that was trained before."""
    arguments = (*GPT, "--first-steps", 5, "--methods", DIGITAL, OURS, FROZEN, "--out", tmp_path)
    printed = run("12_finetune.py", *arguments)
    results = results_of(tmp_path, "finetune", printed)
    before = [r["scores"][0] for r in results if r["run"]["competitor"] == DIGITAL]
    assert len(before) == 2
    assert before[0] == pytest.approx(before[1], abs=1e-3)
    frozen = results[-1]
    assert frozen["run"]["competitor"] == FROZEN
    assert frozen["run"]["network"] == "GPT, adapters"
    # Nothing but arrays is trained here; their reads have noise.
    assert frozen["scores"][-1] == pytest.approx(frozen["scores"][0], abs=0.1)


def test_adapters() -> None:
    """They start at zero; only their two arrays are trained."""
    torch.manual_seed(1)
    model = CharacterGPT(9, 8, width=8, n_blocks=1, n_heads=2)
    x = torch.randint(9, (2, 8))
    expected = model(x)
    adapted = with_adapters(model, FloatingPointRPUConfig(), rank=2, alpha=4.0)
    assert torch.allclose(adapted(x), expected, atol=1e-6)
    layers = [module for module in adapted.modules() if isinstance(module, Adapted)]
    assert len(layers) == 5
    assert {layer.scale for layer in layers} == {2.0}
    trained = {name for name, value in adapted.named_parameters() if value.requires_grad}
    assert len(trained) == 10
    assert all(".down." in name or ".up." in name for name in trained)


def test_best_of_three() -> None:
    """The run that ends best counts; one without a number does not; frozen serves all shifts."""

    def result(method: str, shift: float, lr: float, end: Any) -> Dict[str, Any]:
        place: Dict[str, Any] = {"network": "gpt", "steps": 1, "shift": shift}
        place["device"] = "-" if method == DIGITAL else "HfO2"
        head = {"run": {**place, "competitor": method, "lr": lr, "seed": 1}, "is_loss": True}
        return {**head, "steps": [0, 1], "scores": [3.0, end], "cpu_seconds": 1.0}

    results = [result("AGAD", 0.4, 0.1, None), result("AGAD", 0.4, 0.3, 2.5)]
    results += [result("AGAD", 0.4, 0.03, 2.75), result("AGAD", 0.0, 0.1, None)]
    results += [result(DIGITAL, 0.0, 0.1, 2.25), result(FROZEN, 0.0, 0.1, 2.8)]
    assert [best["run"]["lr"] for best in best_of(results)] == [0.3, 0.1, 0.1, 0.1]
    rows = table(results).splitlines()[2:]
    assert [row.split(" | ")[3:6] for row in rows] == [
        ["0.4", DIGITAL, "0.1"],
        ["0.4", "AGAD", "0.3"],
        ["0.4", FROZEN, "0.1"],
        ["0", DIGITAL, "0.1"],
        ["0", "AGAD", "0.1"],
        ["0", FROZEN, "0.1"],
    ]
    assert "| 2.500 | +0.250 |" in rows[1]
    assert "| - | - |" in rows[4]


def test_settings_are_runs_of_their_own() -> None:
    """``--set`` changes E-RIDER and frozen arrays; its defaults and others stay side by side."""
    parser = ArgumentParser()
    add_arguments(parser, steps=9, batch_size=1, name="x")
    runs = {}
    for more in ([], ["--set", "gamma=0.1"]):
        args = parser.parse_args(["--one-rate", *more])
        runs.update({run.key: run for run in runs_of("gpt", args)})
    assert [run.method for run in runs.values()] == [
        *RATES,
        f"{OURS}, gamma=0.1",
        f"{FROZEN}, gamma=0.1",
    ]
    head = {"is_loss": True, "scores": [1.0]}
    assert len(best_of([{"run": vars(run), **head} for run in runs.values()])) == len(runs)
