"""The code of ``docs/extending.md``, as a user runs it, and what becomes of such stages."""

from __future__ import annotations

import re
import runpy
from copy import deepcopy
from pathlib import Path
from typing import Any, Dict, Type

import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.nn import AnalogLinear
from torch import nn

from aihwkit_dspt import (
    ESTIMATORS,
    Chopper,
    ReadMode,
    RunningMean,
    SymmetricPointEstimator,
    SymmetricPointMonitor,
    TransferBuffer,
    load_checkpoint,
    save_checkpoint,
)
from tests.helpers import difference, quiet_config, quiet_tile, snapshot, train
from tests.layers.networks import sgd
from tests.table import METHODS

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
BLOCKS = re.findall(
    r"## ([^\n]*)\n(?:(?!\n## ).)*?```python\n(.*?)```", PAGE.read_text(), re.DOTALL
)
MODES = [ReadMode.AUTO, ReadMode.TORCH, ReadMode.CPP]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Dict[str, Any]]:
    """Return what each block of the page defines, after it has run as a script."""
    folder = tmp_path_factory.mktemp("extending")
    ran = {}
    for title, code in BLOCKS:
        script = folder / f"{title.split()[-1]}.py"
        script.write_text(code)
        ran[title.split()[-1]] = runpy.run_path(str(script))
    return ran


def test_every_block_runs(files: Dict[str, Dict[str, Any]]) -> None:
    """Each is a file of at most 30 lines but for the empty ones."""
    assert list(files) == ["estimator", "rule", "chopper", "listener", "device"]
    for title, code in BLOCKS:
        assert len([line for line in code.splitlines() if line.strip()]) <= 30, title


@pytest.mark.parametrize("mode", MODES)
def test_estimator_equals_the_built_in_one(
    files: Dict[str, Dict[str, Any]], mode: ReadMode
) -> None:
    """The page's running mean and the package's have the same states, in every read mode."""
    states = []
    for estimator in (files["estimator"]["MeanWithFloor"], RunningMean):
        torch.manual_seed(3)
        settings = {**METHODS["E-RIDER"], "estimator": estimator, "read_mode": mode}
        tile = quiet_tile(**settings, transfer_every=1.0)
        train(tile, 60)
        states.append(snapshot(tile))
        assert states[-1]["sp_estimate"].any()
        del states[-1]["extra"]["settings"]
    assert difference(*states) is None


class Same(TransferBuffer):
    """The usual rule, but not fused."""


class SameSigns(Chopper):
    """The usual flips, but not fused."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("own", [{"buffer": Same}, {"chopper": SameSigns}], ids=["rule", "chopper"])
@pytest.mark.parametrize("method", ["E-RIDER", "c-TTv2", "RIDER"])
def test_own_stages_equal_the_built_in_ones(
    method: str, own: Dict[str, Type[nn.Module]], mode: ReadMode
) -> None:
    """A subclass that changes nothing gives the same states as the fused pass."""
    states = []
    for stages in (own, {}):
        torch.manual_seed(4)
        tile = quiet_tile(**METHODS[method], **stages, read_mode=mode, transfer_every=1.0)
        train(tile, 60)
        states.append(snapshot(tile))
        del states[-1]["extra"]["settings"]
    assert states[0]["transfer_buffer"].any()
    assert difference(*states) is None


class Counting(SymmetricPointEstimator):
    """Counts its calls."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.register_buffer("n_calls", torch.zeros(()))

    def update(self, lines: slice, read: torch.Tensor) -> None:
        self.n_calls += 1.0
        self.sp_estimate[lines] = self.n_calls


@pytest.mark.parametrize("mode", MODES)
def test_an_own_estimator_is_called_for_every_read(mode: ReadMode, tmp_path: Path) -> None:
    """And saved, resumed, copied and shown by the monitor, with its own tensors."""

    def build() -> Any:
        settings = {**METHODS["E-RIDER"], "estimator": Counting, "read_mode": mode}
        return AnalogLinear(6, 4, rpu_config=quiet_config(**settings, transfer_every=1.0))

    model = build()
    monitor = SymmetricPointMonitor(model)
    optimizer = sgd(model)
    for _ in range(50):
        optimizer.zero_grad()
        model(torch.rand(2, 6)).sum().backward()
        optimizer.step()
    simulator = model.analog_module.tile
    assert (
        simulator.pipeline.link.estimator.n_calls == simulator.pipeline.link.schedule.n_reads == 100
    )
    (row,) = monitor.record().values()
    error = (
        simulator.pipeline.link.estimator.sp_estimate - 0.12
    )  # the symmetric point of all devices
    assert row["sp_error_mean"] == pytest.approx(error.mean().item(), rel=1e-3)
    copied = deepcopy(model)
    resumed = build()
    save_checkpoint(tmp_path / "own.pt", model)
    load_checkpoint(tmp_path / "own.pt", resumed)
    for other in (copied, resumed):
        assert other.analog_module.tile.pipeline.link.estimator.n_calls == 100
        assert difference(snapshot(other.analog_module), snapshot(model.analog_module)) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("estimator", "running-mean"),
        ("estimator", nn.Linear),
        ("estimator", SymmetricPointEstimator),
        ("buffer", Chopper),
        ("chopper", None),
    ],
)
def test_what_is_no_stage_is_refused(field: str, value: Any) -> None:
    """By field, value and what to pass."""
    with pytest.raises(ConfigError, match=rf"{field}=.*pass a class derived from"):
        quiet_config(**METHODS["E-RIDER"], **{field: value})
    with pytest.raises(ConfigError, match=r"estimator=.*nothing is estimated"):
        quiet_config(**METHODS["residual"], estimator=RunningMean)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_all_estimators_train(name: str) -> None:
    """One table of all: each follows reads, and its tile holds the identity."""
    tile = quiet_tile(**{**METHODS["E-RIDER"], "estimator": ESTIMATORS[name]}, transfer_every=1.0)
    train(tile, 100)
    assert tile.sp_estimate.abs().max() > 0.01
    assert tile.reference.any()
