"""Checkpoints: whole or not at all, on disk and in memory."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Any, Callable, Dict

import aihwkit
import numpy as np
import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from torch import nn

import aihwkit_dspt
from aihwkit_dspt import ReferenceSync, load_checkpoint, save_checkpoint
from tests.helpers import difference, quiet_config
from tests.resume_cases import everything, make, train
from tests.table import METHODS


def test_extra_values_and_random_numbers(tmp_path: Path) -> None:
    """What was saved beside the model comes back, and all generators go on."""
    parts = make("linear", "E-RIDER")
    save_checkpoint(tmp_path / "c.pt", *parts, epoch=3, losses=torch.ones(2))
    draw = lambda: (random.random(), np.random.rand(), torch.rand(3).tolist())  # noqa: E731
    first = draw()
    extra = load_checkpoint(tmp_path / "c.pt", *parts)
    assert extra["epoch"] == 3
    assert torch.equal(extra["losses"], torch.ones(2))
    assert draw() == first


def test_a_file_says_the_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the modules: an aihwkit that was built in its source tree has no metadata."""

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(Distribution, "from_name", missing)
    save_checkpoint(tmp_path / "c.pt", *make("linear", "E-RIDER"))
    versions = torch.load(tmp_path / "c.pt", weights_only=True)["versions"]
    assert versions["torch"] == torch.__version__
    assert versions["aihwkit"] == aihwkit.__version__
    assert versions["aihwkit-dspt"] == aihwkit_dspt.__version__


def test_optimizer_made_before_the_load_trains() -> None:
    """aihwkit's own tiles lose the link to an optimizer that exists already."""
    trained, fresh = make("linear", "E-RIDER"), make("linear", "E-RIDER")
    train("linear", *trained)
    fresh[0].load_state_dict(trained[0].state_dict())
    before = everything(*fresh)["tiles"]
    train("linear", *fresh)
    assert difference(before, everything(*fresh)["tiles"]) is not None


WRONG: Dict[str, Callable[[], Any]] = {
    "other-size": lambda: _two_layers(METHODS["E-RIDER"], 7),
    "other-method": lambda: _two_layers(METHODS["E-RIDER"], 4, METHODS["AGAD"]),
    "other-sync": lambda: _two_layers(
        METHODS["E-RIDER"],
        4,
        {**METHODS["E-RIDER"], "reference_sync": ReferenceSync.EVERY_READ},
    ),
    "other-digital": lambda: AnalogSequential(*_two_layers(METHODS["E-RIDER"], 4), nn.Linear(4, 2)),
}
"""A model into which the state of another one does not fit; its first layer always fits."""


def _two_layers(settings: Any, out_size: int, second: Any = None) -> AnalogSequential:
    return AnalogSequential(
        AnalogLinear(6, 5, rpu_config=quiet_config(**settings)),
        AnalogLinear(5, out_size, rpu_config=quiet_config(**(second or settings))),
    )


@pytest.mark.parametrize("name", WRONG)
def test_failed_load_changes_nothing(name: str, tmp_path: Path) -> None:
    """Both sides are named; also the layer that fits is as it was, and everything still trains."""
    model = _two_layers(METHODS["E-RIDER"], 4)
    save_checkpoint(tmp_path / "c.pt", model, AnalogSGD(model.parameters(), lr=0.3))
    other = WRONG[name]()
    parts = other, AnalogSGD(other.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(parts[1], 2)
    before = everything(*parts, scheduler)
    with pytest.raises((TileError, RuntimeError)) as error:
        load_checkpoint(tmp_path / "c.pt", *parts)
    assert difference(before, everything(*parts, scheduler)) is None
    expected = {
        "other-size": ["[4, 5]", "[7, 5]"],
        "other-method": ["E-RIDER", "AGAD"],
        "other-sync": ["E-RIDER", "RIDER"],
        "other-digital": ["Missing key", "2.weight"],
    }[name]
    assert all(part in str(error.value) for part in expected)
    loss = other(torch.rand(3, 6)).square().sum()
    loss.backward()
    parts[1].step()
    after = everything(*parts, scheduler)
    assert difference(before["tiles"]["0.analog_module"], after["tiles"]["0.analog_module"])


@pytest.mark.parametrize("name", ["other-size", "other-method"])
def test_failed_tile_load_changes_nothing(name: str) -> None:
    """The same for a single layer with plain ``load_state_dict``."""
    model, other = _two_layers(METHODS["E-RIDER"], 4), WRONG[name]()
    optimizer = AnalogSGD(other.parameters(), lr=0.1)
    before = everything(other, optimizer, optimizer)
    with pytest.raises(TileError):
        other[1].load_state_dict(model[1].state_dict())
    assert difference(before, everything(other, optimizer, optimizer)) is None


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    """Errors that say what to pass."""
    parts = make("linear", "E-RIDER")
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none.pt", *parts)
    torch.save(parts[0].state_dict(), tmp_path / "state.pt")
    with pytest.raises(ArgumentError, match="save_checkpoint"):
        load_checkpoint(tmp_path / "state.pt", *parts)
    save_checkpoint(tmp_path / "model.pt", parts[0])
    with pytest.raises(ArgumentError, match="optimizer=None"):
        load_checkpoint(tmp_path / "model.pt", *parts)
    load_checkpoint(tmp_path / "model.pt", parts[0])
    for wrong in ("no", 0, 1.0, [], torch.tensor(True)):
        with pytest.raises(ArgumentError, match="load_rpu_config="):
            load_checkpoint(tmp_path / "model.pt", parts[0], load_rpu_config=wrong)  # type: ignore[arg-type]


def test_interrupted_write_keeps_the_former_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half-written file and no litter."""
    parts = make("linear", "E-RIDER")
    save_checkpoint(tmp_path / "c.pt", *parts, epoch=1)

    def interrupted(_content: Any, file: Any) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "c.pt", *parts, epoch=2)
    assert load_checkpoint(tmp_path / "c.pt", *parts) == {"epoch": 1}
    assert os.listdir(tmp_path) == ["c.pt"]


ENDLESS = """
import signal
import sys
# A process that is started in the background of a shell would ignore this signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
from aihwkit_dspt import save_checkpoint
from tests.resume_cases import make
parts = make("linear", "E-RIDER")
epoch = 0
while True:
    epoch += 1
    save_checkpoint(sys.argv[1], *parts, epoch=epoch)
    print(epoch, flush=True)
"""


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_killed_run_leaves_a_readable_checkpoint(seed: int, tmp_path: Path) -> None:
    """A process that does nothing but write checkpoints is killed at a random moment.

    At most one checkpoint is not counted yet: the last one may be in place before it is printed.
    """
    path = tmp_path / "c.pt"
    root = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(path)], cwd=root, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        time.sleep(random.Random(seed).uniform(0.0, 0.3))
        process.send_signal([signal.SIGKILL, signal.SIGTERM, signal.SIGINT][seed])
        lines = process.stdout.read().split()
    last = int(lines[-1]) if lines else 1
    parts = make("linear", "E-RIDER")
    assert load_checkpoint(path, *parts)["epoch"] in (last, last + 1)
