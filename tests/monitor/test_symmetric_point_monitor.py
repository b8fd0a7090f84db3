"""The monitor in use: what it counts, keeps, writes and refuses."""

from __future__ import annotations

import csv
import gc
import json
import math
import os
import weakref
from copy import deepcopy
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from aihwkit_dspt import SymmetricPointMonitor, TrackingTile, load_checkpoint, save_checkpoint
from aihwkit_dspt.monitor import COLUMNS
from aihwkit_dspt.monitor import symmetric_point_monitor as module
from tests.helpers import difference, quiet_config, quiet_tile, snapshot, train
from tests.monitor.by_hand import assert_equal, by_hand, known_device
from tests.table import METHODS


def make(lr: float = 0.1, std: float = 0.1) -> Tuple[AnalogSequential, AnalogSGD]:
    """Return a network of two analog layers and a digital one, and its optimizer."""
    devices = [known_device(std=std), known_device(std=std)]
    config = quiet_config(unit_cell_devices=devices, **METHODS["E-RIDER"])
    model = AnalogSequential(
        AnalogLinear(4, 3, rpu_config=config),
        nn.Tanh(),
        AnalogLinear(3, 3, rpu_config=config),
        nn.Linear(3, 2),
    )
    return model, AnalogSGD(model.parameters(), lr=lr)


def step(model: nn.Module, optimizer: Any, n_steps: int = 1) -> None:
    """Train with random data."""
    for _ in range(n_steps):
        optimizer.zero_grad()
        model(torch.rand(5, 4)).square().sum().backward()
        optimizer.step()


def steps_of(monitor: SymmetricPointMonitor) -> List[int]:
    """Return the recorded steps, once each."""
    return list(dict.fromkeys(monitor.history["step"]))


class Writer:
    """Keeps what a TensorBoard writer would write."""

    def __init__(self) -> None:
        self.scalars: Dict[str, Tuple[float, int]] = {}
        self.histograms: Dict[str, Tuple[torch.Tensor, int]] = {}

    def add_scalar(self, tag: str, value: float, global_step: int) -> None:
        self.scalars[tag] = (value, global_step)

    def add_histogram(self, tag: str, values: torch.Tensor, global_step: int) -> None:
        self.histograms[tag] = (values, global_step)


# -- when it records ------------------------------------------------------------------------------


def test_context_records_at_the_start_and_every_so_many_steps() -> None:
    model, optimizer = make()
    with SymmetricPointMonitor(model, every=3) as monitor:
        step(model, optimizer, 7)
    assert monitor.step == 7
    assert steps_of(monitor) == [0, 3, 6]
    assert monitor.history["tile"] == ["0.analog_module", "2.analog_module"] * 3
    assert list(monitor.history) == list(COLUMNS)
    assert {len(values) for values in monitor.history.values()} == {6}
    step(model, optimizer, 7)
    assert monitor.step == 7  # it listens no more
    with monitor:
        step(model, optimizer, 3)
    assert steps_of(monitor) == [0, 3, 6, 9]
    rows = [row for row in monitor.newest() if row["tile"] == "0.analog_module"]
    assert rows[0]["step"] == 9


def test_each_record_is_the_state_after_its_step() -> None:
    model, optimizer = make()
    tiles = list(model.analog_tiles())
    with SymmetricPointMonitor(model, every=2) as monitor:
        for _ in range(6):
            step(model, optimizer)
            if monitor.step % 2 == 0:
                for tile, row in zip(tiles, monitor.newest()):
                    measured = {name: row[name] for name in by_hand(tile)}
                    assert_equal(measured, by_hand(tile))


def test_only_steps_that_update_the_model_count() -> None:
    """Evaluation, accumulated gradients, other models and learning rate 0 are no steps."""
    model, optimizer = make()
    other, other_optimizer = make()
    digital = torch.optim.SGD(model[3].parameters(), lr=0.1)
    with SymmetricPointMonitor(model, every=1) as monitor:
        model(torch.rand(2, 4))
        for _ in range(3):
            model(torch.rand(5, 4)).sum().backward()
        step(other, other_optimizer)
        digital.step()
        assert monitor.step == 0
        optimizer.step()
        assert monitor.step == 1
        optimizer.set_learning_rate(0.0)
        step(model, optimizer)
        assert monitor.step == 1


def test_a_step_counts_once_beside_plain_sgd() -> None:
    """Once torch's SGD was used, AnalogSGD calls the hooks twice per step."""
    weight = nn.Parameter(torch.zeros(1))
    torch.optim.SGD([weight], lr=0.1).step()
    model, optimizer = make()
    calls = []
    handle = register_optimizer_step_post_hook(lambda *_: calls.append(1))
    with SymmetricPointMonitor(model, every=1) as monitor:
        step(model, optimizer, 4)
    handle.remove()
    assert len(calls) == 8  # else the test is idle
    assert monitor.step == 4
    assert steps_of(monitor) == [0, 1, 2, 3, 4]


def test_exceptions_leave_no_trace() -> None:
    """A step that fails is none, and a block that fails stops listening."""
    model, optimizer = make()
    monitor = SymmetricPointMonitor(model, every=1)
    with pytest.raises(TileError, match="x_input has shape"), monitor:  # noqa: PT012
        step(model, optimizer)

        def closure() -> float:
            return model(torch.rand(5, 7)).sum()

        optimizer.step(closure)
    step(model, optimizer)
    assert monitor.step == 1


def test_two_monitors_and_optimizers() -> None:
    model, optimizer = make()
    with SymmetricPointMonitor(model, every=1) as first:
        step(model, optimizer)
        with SymmetricPointMonitor(model[2], every=2) as second:
            step(model, AnalogSGD(model.parameters(), lr=0.1), 2)
    assert (first.step, second.step) == (3, 2)
    assert set(second.history["tile"]) == {"analog_module"}


def test_a_record_replaces_one_under_the_same_number() -> None:
    """All tiles of it, and nothing else."""
    model, optimizer = make()
    monitor = SymmetricPointMonitor(model)
    for number in (1, 2, 2, 2):
        step(model, optimizer)
        measured = monitor.record(number)
    assert monitor.history["step"] == [1, 1, 2, 2]
    assert monitor.history["tile"] == ["0.analog_module", "2.analog_module"] * 2
    norms = [row["weight_norm"] for row in measured.values()]
    assert monitor.history["weight_norm"][2:] == norms


def test_record_by_hand() -> None:
    """Records under given numbers; the same number replaces, a resumed count goes on."""
    tile = quiet_tile(**METHODS["E-RIDER"])
    monitor = SymmetricPointMonitor(tile)
    assert monitor.history["step"] == []
    for epoch in range(3):
        train(tile)
        measured = monitor.record(epoch)
        assert list(measured) == ["TrackingTile"]
    assert steps_of(monitor) == [0, 1, 2]
    before = monitor.history["weight_norm"][:2]
    train(tile)
    monitor.record(2)
    assert steps_of(monitor) == [0, 1, 2]
    assert monitor.history["weight_norm"][:2] == before
    expected = tile.get_weights()[0].norm().item()
    assert monitor.history["weight_norm"][2] == pytest.approx(expected, rel=1e-5)
    resumed = SymmetricPointMonitor(tile, first_step=5000)
    resumed.record()
    assert resumed.history["step"] == [5000]


# -- what it leaves alone -------------------------------------------------------------------------


def test_nothing_of_the_model_changes() -> None:
    """Neither the state of a tile nor the attributes of model and optimizer; copies are free."""
    model, optimizer = make()
    step(model, optimizer, 5)
    tiles = list(model.analog_tiles())
    before = [snapshot(tile) for tile in tiles]
    names = [sorted(vars(part)) for part in (*model.modules(), optimizer)]
    monitor = SymmetricPointMonitor(model, every=1)
    with monitor:
        monitor.log(Writer())
        assert [sorted(vars(part)) for part in (*model.modules(), optimizer)] == names
        copied = deepcopy(model)
    for tile, state in zip(tiles, before):
        assert difference(snapshot(tile), state) is None
    forgotten = weakref.ref(monitor)
    del monitor
    gc.collect()
    assert forgotten() is None
    step(copied, AnalogSGD(copied.parameters(), lr=0.1))


def test_monitored_training_is_the_same_training() -> None:
    results = []
    for watched in (False, True):
        torch.manual_seed(3)
        model, optimizer = make(std=0.0)
        monitor = SymmetricPointMonitor(model, every=2)
        if watched:
            with monitor:
                step(model, optimizer, 20)
        else:
            step(model, optimizer, 20)
        results.append([tile.get_weights()[0] for tile in model.analog_tiles()])
    assert difference(*results) is None


# -- symmetric points are computed once -----------------------------------------------------------


@pytest.fixture(name="computed")
def _computed(monkeypatch: pytest.MonkeyPatch) -> List[Any]:
    """Return a list that grows by one whenever symmetric points are computed."""
    from aihwkit_dspt.monitor import ground_truth

    calls: List[Any] = []
    original = ground_truth.symmetric_points

    def counting(*arguments: Any) -> Any:
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(ground_truth, "symmetric_points", counting)
    return calls


def test_points_are_computed_lazily_and_once(computed: List[Any]) -> None:
    model, optimizer = make()
    monitor = SymmetricPointMonitor(model, every=1)
    assert len(computed) == 0
    with monitor:
        step(model, optimizer, 5)
        model[0].analog_module.set_weights(torch.rand(3, 4))
        monitor.log(Writer())
    assert len(computed) == 2  # one per tile


@pytest.mark.parametrize("how", ["state_dict", "checkpoint", "hidden parameters", "copied arrays"])
def test_other_devices_have_other_points(how: str, tmp_path: Path, computed: List[Any]) -> None:
    """After a state was loaded the points are those of its devices."""
    model, optimizer = make()
    other, other_optimizer = make()
    step(other, other_optimizer, 3)
    with SymmetricPointMonitor(model, every=1) as monitor:
        step(model, optimizer)
        if how == "state_dict":
            model.load_state_dict(other.state_dict())
        elif how == "checkpoint":
            save_checkpoint(tmp_path / "c.pt", other, other_optimizer)
            load_checkpoint(tmp_path / "c.pt", model, optimizer)
        else:
            for tile, source in zip(model.analog_tiles(), other.analog_tiles()):
                if how == "copied arrays":
                    tile.tile.pipeline.copy_arrays(source.tile.pipeline)
                    tile.tile.pipeline.refresh_weights()
                else:
                    tile.tile.set_hidden_parameters(source.tile.get_hidden_parameters())
        for tile, row in zip(model.analog_tiles(), monitor.record().values()):
            assert_equal(row, by_hand(tile))
        step(model, optimizer, 2)
        assert monitor.step == 3  # the listener follows the loaded tiles
    assert len(computed) == 4


# -- other forms ----------------------------------------------------------------------------------


@pytest.fixture(name="monitor")
def _monitor() -> SymmetricPointMonitor:
    """Return a monitor with three records of two tiles."""
    model, optimizer = make()
    with SymmetricPointMonitor(model, every=1) as monitor:
        step(model, optimizer, 2)
    return monitor


def test_dict_is_a_copy(monitor: SymmetricPointMonitor) -> None:
    copied = monitor.to_dict()
    assert str(copied) == str(monitor.history)  # nan differs from itself
    copied["step"].clear()
    assert len(monitor.history["step"]) == 6


def test_csv(monitor: SymmetricPointMonitor, tmp_path: Path) -> None:
    monitor.to_csv(tmp_path / "history.csv")
    with open(tmp_path / "history.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    for column, values in monitor.history.items():
        read = [type(value)(row[column]) for row, value in zip(rows, values)]
        assert str(read) == str(values)


def test_json(monitor: SymmetricPointMonitor, tmp_path: Path) -> None:
    """Strict JSON, which has no ``NaN``."""
    monitor.to_json(str(tmp_path / "history.json"))

    def refuse(name: str) -> None:
        raise AssertionError(name)

    text = (tmp_path / "history.json").read_text()
    read = json.loads(text, parse_constant=refuse)
    assert list(read) == list(monitor.history)
    for column, values in monitor.history.items():
        assert read[column] == [None if value != value else value for value in values]
    assert read["sp_correlation"][0] is None


@pytest.mark.parametrize("form", ["csv", "json"])
def test_interrupted_write(
    form: str, monitor: SymmetricPointMonitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The former file stays and nothing else is left."""
    path = tmp_path / "history"
    path.write_text("former")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        getattr(monitor, f"to_{form}")(path)
    assert path.read_text() == "former"
    assert os.listdir(tmp_path) == ["history"]


def test_others_can_read_the_file(monitor: SymmetricPointMonitor, tmp_path: Path) -> None:
    """As if it was written by ``open``, and as it was where there was one."""
    (tmp_path / "plain").write_text("")
    monitor.to_csv(tmp_path / "new.csv")
    monitor.to_csv(tmp_path / "plain")
    os.chmod(tmp_path / "plain", 0o640)
    monitor.to_json(tmp_path / "plain")
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("new.csv", "plain")]
    (tmp_path / "usual").write_text("")
    assert modes == [(tmp_path / "usual").stat().st_mode & 0o777, 0o640]


def test_summary(monitor: SymmetricPointMonitor) -> None:
    head, titles, line, *rows = monitor.summary().splitlines()
    assert head == "step 2, record 3 (weight units)"
    assert titles.split()[:3] == ["tile", "Q-SP", "mean"]
    assert set(line) == {"-"}
    assert len({len(text) for text in (titles, line, *rows)}) == 1
    newest = monitor.newest()
    for text, row in zip(rows, newest):
        cells = text.split()
        assert cells[0] == row["tile"]
        assert cells[1] == f"{row['sp_error_mean']:+.3f}"
        assert cells[2] == f"{row['sp_error_rms']:.3f}"
        assert cells[-1] == f"{row['weight_norm']:.2f}"


def test_summary_of_what_is_missing() -> None:
    """A monitor that has recorded nothing looks; what does not exist is a dash."""
    monitor = SymmetricPointMonitor(make()[0])
    text = monitor.summary()
    assert "step 0, record 1" in text
    assert text.splitlines()[-1].split()[3] == "-"  # Q is zero everywhere: no correlation
    assert "nan" not in text


def test_log() -> None:
    model, optimizer = make()
    step(model, optimizer, 3)
    monitor, writer = SymmetricPointMonitor(model), Writer()
    monitor.log(writer, 17)
    assert monitor.history["step"] == [17, 17]
    for row, tile in zip(monitor.newest(), model.analog_tiles()):
        name = row["tile"]
        for column in COLUMNS:
            tag = f"{name}/{column}"
            if column in ("step", "tile") or not math.isfinite(row[column]):
                assert tag not in writer.scalars
            else:
                assert writer.scalars[tag] == (row[column], 17)
        points = -tile.get_hidden_parameters()["reference_0"]
        for tag, values in {
            "Q - SP": tile.sp_estimate - points,
            "P - SP": tile.fast_weights - points,
            "P - Q~": tile.fast_weights - tile.reference,
        }.items():
            cells, number = writer.histograms[f"{name}/{tag}"]
            assert number == 17
            expected = values.flatten().sort().values
            assert torch.allclose(cells.sort().values, expected, atol=1e-6)


def test_log_without_histograms() -> None:
    class Scalars:
        def __init__(self) -> None:
            self.tags: List[str] = []

        def add_scalar(self, tag: str, *_: Any) -> None:
            self.tags.append(tag)

    writer = Scalars()
    monitor = SymmetricPointMonitor(make()[0])
    monitor.log(writer)
    assert "0.analog_module/sp_error_mean" in writer.tags


def test_real_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(tmp_path))
    SymmetricPointMonitor(make()[0]).log(writer, 3)
    writer.close()
    (path,) = tmp_path.iterdir()
    assert b"0.analog_module/sp_error_mean" in path.read_bytes()


# -- what it refuses ------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [nn.Linear(2, 2), AnalogSequential()], ids=str)
def test_no_tracking_tile(model: Any) -> None:
    with pytest.raises(TileError, match=r"no TrackingTile.*build_config"):
        SymmetricPointMonitor(model)


@pytest.mark.parametrize("name", ["every", "first_step"])
@pytest.mark.parametrize("value", [-1, 2.5, "3", None, True])
def test_bad_numbers(name: str, value: Any) -> None:
    with pytest.raises(ArgumentError, match=f"{name}={value!r}.*whole number"):
        SymmetricPointMonitor(quiet_tile(), **{name: value})
    with pytest.raises(ArgumentError, match="every=0"):
        SymmetricPointMonitor(quiet_tile(), every=0)


def test_bad_calls(tmp_path: Path) -> None:
    monitor = SymmetricPointMonitor(quiet_tile())
    with pytest.raises(ArgumentError, match="add_scalar"):
        monitor.log(object())
    with pytest.raises(ArgumentError, match=r"step=1\.5"):
        monitor.record(1.5)  # type: ignore[arg-type]
    assert monitor.history["step"] == []
    with monitor, pytest.raises(ArgumentError, match="in use"), monitor:
        pass
    with pytest.raises(FileNotFoundError):
        monitor.to_csv(tmp_path / "missing" / "history.csv")


def test_tiles_are_named_as_in_the_model() -> None:
    """The bare tile, which has no name there, goes by its class."""
    assert isinstance(quiet_tile(), TrackingTile)
    assert list(module.SymmetricPointMonitor(quiet_tile()).record()) == ["TrackingTile"]
