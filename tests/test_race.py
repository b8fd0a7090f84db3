"""The race runs briefly, keeps what it has, and its tables say what the scores say."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest
import torch

from tests.scripts import EXAMPLES, run

sys.path.insert(0, str(EXAMPLES / "benchmarks"))
sys.path.insert(0, str(EXAMPLES / "paper"))

import race
from bench import race_tasks
from bench.race_execute import execute
from bench.race_report import Standing, report
from bench.race_runs import CELLS, QUICK, runs_of
from common.characters import load_text
from common.competitors import AIHWKIT, COMPETITORS, DIGITAL, FROZEN, OURS, rpu_config
from common.data import ENVIRONMENT
from common.device_choice import DEVICES, device, kind
from common.runs import Run


def test_selection_covers() -> None:
    """Every network meets every kind of device with and without shift; all devices take part."""
    met: Dict[str, Set[Any]] = defaultdict(set)
    for network, name, shift in CELLS:
        met[network].add((kind(name), shift))
        device(name, shift)
    kinds = {(word, shift) for word in ("few", "some", "many") for shift in (0.0, 0.4)}
    assert met == dict.fromkeys(race_tasks.TASKS, kinds)
    assert {cell[1] for cell in CELLS} == set(DEVICES)
    assert len(set(CELLS)) == len(CELLS)
    assert 45 <= len(CELLS) <= 55
    assert set(QUICK) <= set(CELLS)


def test_one_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All competitors of a cell run; a second call has all of them; settings make another run."""
    monkeypatch.setattr(race_tasks, "N_TEST", 20)
    race_tasks.task.cache_clear()
    path, picture = tmp_path / "race.json", tmp_path / "race.png"
    arguments = ("--networks", "digits", "--devices", "SB-20", "--shifts", 0.4, "--steps", 5)
    arguments += ("--lrs", 0.1, "--out", path, "--picture", picture)
    printed = run("benchmarks/race.py", *arguments)
    content = json.loads(path.read_text())
    assert content["command"].startswith("python examples/benchmarks/race.py")
    assert content["versions"]["aihwkit"]
    results = content["results"]
    assert [result["run"]["competitor"] for result in results.values()] == list(COMPETITORS)
    for result in results.values():
        assert len(result["scores"]) == len(result["training_loss"]) == 3
        assert ("at_slow_weights" in result) == (result["run"]["competitor"] == OURS)
        assert result["run"]["seed"] == 1
    assert picture.stat().st_size > 0
    table = printed[printed.index("| network |") :]
    for more, expected in (((), table), (("--set", "gamma=0.3"), f"{OURS}, gamma=0.3")):
        script = str(EXAMPLES / "benchmarks" / "race.py")
        monkeypatch.setattr(sys, "argv", [script, *map(str, (*arguments, *more))])
        race.main()
        assert expected.strip() in capsys.readouterr().out
    assert len(json.loads(path.read_text())["results"]) == len(COMPETITORS) + 1
    race_tasks.task.cache_clear()


@pytest.mark.parametrize("network", race_tasks.TASKS)
def test_networks(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network is trained and scored without files; all of it is analog."""
    monkeypatch.setattr(race_tasks, "N_TEST", 20)
    monkeypatch.setattr(race_tasks, "N_TEST_COLOUR", 20)
    monkeypatch.setattr(race_tasks, "N_WINDOWS", 2)
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    race_tasks.task.cache_clear()
    result = execute(Run(network, "SB-20", 0.4, OURS, 0.1, 1, race.FEWEST_STEPS))
    assert len(result["scores"]) == len(result["at_slow_weights"]) == 3
    assert result["is_loss"] == (network in ("lstm", "gpt"))
    config = rpu_config(OURS, lambda: device("SB-20", 0.0), 1, {})
    model = race_tasks.task(network, None).make(config)
    plain = [m for m in model.modules() if type(m) in (torch.nn.Linear, torch.nn.Conv2d)]
    assert not plain
    race_tasks.task.cache_clear()


def test_frozen_arrays_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arrays of the frozen model get no pulse and keep no batch; those of E-RIDER do."""
    from bench import race_execute

    models: List[torch.nn.Module] = []
    monkeypatch.setattr(
        race_execute, "_score", lambda doing, model, at_w: models.append(model) or 0.0
    )
    cycles = {}
    for competitor in (FROZEN, OURS):
        models.clear()
        execute(Run("digits", "SB-20", 0.0, competitor, 0.1, 1, 2))
        tiles = list(models[0].analog_tiles())
        cycles[competitor] = [tile.tile.pipeline.counters.update_cycles for tile in tiles]
        assert not any(tile.analog_ctx.has_gradient() for tile in tiles)
    assert cycles == {FROZEN: [0, 0], OURS: [16, 16]}


def test_settings_reach_the_configuration() -> None:
    """``--set`` takes keywords of ``build_config`` and places in the configuration."""
    args = race.parse_arguments(["--set", "gamma=0.3", "mapping.weight_scaling_omega=0.6"])
    config = rpu_config(OURS, lambda: device("SB-20", 0.0), 1, dict(args.set))
    assert config is not None
    assert config.device.gamma == 0.3
    assert config.mapping.weight_scaling_omega == 0.6
    with pytest.raises(ValueError, match=r"'mapping.omega' is no field"):
        rpu_config(OURS, lambda: device("SB-20", 0.0), 1, {"mapping.omega": 1.0})


def test_runs_of() -> None:
    """A digital network runs once for all devices; only E-RIDER takes the settings."""
    cells = [("gpt", "SB-20", 0.0), ("gpt", "SB-20", 0.4), ("gpt", "HfO2", 0.0)]
    runs = runs_of(cells, {"gpt": 7}, changes={"gamma": 0.3})
    names = [run.competitor for run in runs]
    assert names.count(DIGITAL) == 3  # learning rates
    assert names.count(OURS) == 9
    assert {run.competitor for run in runs if run.changes} == {OURS}


def test_report_compares() -> None:
    """Margins are to the best of aihwkit's presets at each budget, less loss is better."""

    def result(competitor: str, scores: List[Any], network: str, is_loss: bool) -> Dict[str, Any]:
        one = Run(network, "SB-20", 0.4, competitor, 0.1, 1, 10)
        alone = {"at_slow_weights": scores} if competitor == OURS else {}
        head = {"data": "made up", "is_loss": is_loss, "revision": "r"}
        return {"run": vars(one), **head, "scores": scores, **alone}

    accuracy = dict(zip(AIHWKIT, ([10.0, 20.0, 90.0], [50.0, 10.0, 10.0], [9.0, 60.0, None])))
    loss = dict(zip(AIHWKIT, ([3.0, 2.0, 1.0], [2.5, 2.5, 2.5], [4.0, 1.0, None])))
    results = [result(name, scores, "digits", False) for name, scores in accuracy.items()]
    results += [result(name, scores, "gpt", True) for name, scores in loss.items()]
    results.append(result(OURS, [49.5, 70.0, 86.0], "digits", False))
    results.append(result(OURS, [2.0, 1.0, 1.1], "gpt", True))
    margins = Standing(results).margins()
    assert margins["digits", "SB-20", 0.4, 0.1] == [-0.5, 10.0, -4.0]
    assert margins["gpt", "SB-20", 0.4, 0.1] == pytest.approx([0.5, 0.0, -0.1])
    text = report(results)
    assert "| all | 2 of 2; 0; 1 of 2 | 2 of 2; 0; 1 of 2 | 0 of 2; 1; 0 of 2 |" in text


def test_text(tmp_path: Path) -> None:
    """A text of a folder is split, its windows are followed by the next character."""
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "abc.txt").write_text("abcdefghij" * 20)
    text = load_text(str(tmp_path))
    assert (text.name, text.alphabet) == ("abc.txt", "abcdefghij")
    assert (len(text.train), len(text.validation)) == (180, 20)
    for x, y in (
        text.windows(5, 3, torch.Generator().manual_seed(1)),
        text.validation_windows(5, 3),
    ):
        assert x.shape == y.shape == (3, 5)
        assert torch.equal((x + 1) % 10, y)
    with pytest.raises(FileNotFoundError, match="--data-root"):
        load_text(str(tmp_path / "nothing"))
