"""Checkpoints of several processes are those of one, and survive the death of a process."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import torch

from aihwkit_dspt import load_checkpoint, save_checkpoint
from tests.helpers import difference
from tests.parallel import jobs
from tests.parallel.models import CASES, N_STEPS, mlp
from tests.parallel.processes import run

SHORT = timedelta(seconds=20)
"""Ranks that wait for one that is gone hear it at once; those that wait for them, only then."""


@pytest.mark.parametrize(("n_saving", "n_loading"), [(2, 1), (2, 2), (2, 4), (1, 2)])
def test_any_number_loads(n_saving: int, n_loading: int, tmp_path: Path) -> None:
    """The run goes on as one that was never stopped, with the optimizer's learning rate."""
    path = tmp_path / "file.pt"
    if n_saving == 1:
        model = mlp()
        optimizer = CASES["E-RIDER"].train(model)
        torch.manual_seed(40)
        save_checkpoint(path, model, optimizer, step=N_STEPS)
        saved = [{"state": dict(model.state_dict()), "drawn": float(torch.rand(()))}]
    else:
        saved = run(n_saving, jobs.save, tmp_path, n_saving, path)
    results = (
        [jobs.go_on(0, 1, path)]
        if n_loading == 1
        else run(n_loading, jobs.go_on, tmp_path, n_loading, path)
    )
    whole = mlp()
    CASES["E-RIDER"].train(whole, steps=range(2 * N_STEPS))
    for result in results:
        assert difference(saved[0]["state"], result["loaded"]) is None
        assert difference(dict(whole.state_dict()), result["state"]) is None
    # Random numbers: those of the same rank, or of rank 0 and others that differ from them.
    drawn = [result["drawn"] for result in results]
    assert drawn[0] == saved[0]["drawn"]
    assert len(set(drawn)) == n_loading
    if n_saving == n_loading:
        assert drawn == [result["drawn"] for result in saved]


@pytest.mark.parametrize("n_ranks", [2, 4])
def test_killed(n_ranks: int, tmp_path: Path) -> None:
    """The others end with an error that says what to do, and the file is whole."""
    path = tmp_path / "file.pt"
    *heard, of_killed = run(n_ranks, jobs.killed, tmp_path, n_ranks, path, timeout=SHORT)
    assert of_killed is None
    for errors in heard:
        for error in errors.split(" | "):
            assert error.startswith("RankError: rank ")
            assert "go on from the last file with load_checkpoint" in error
    model = mlp()
    assert load_checkpoint(path, model) == {"step": 2}
    whole = mlp()
    CASES["E-RIDER"].train(whole, steps=range(2))
    assert difference(dict(whole.state_dict()), dict(model.state_dict())) is None
    assert not list(tmp_path.glob("*.part"))


def test_left(tmp_path: Path) -> None:
    """A rank that ends early is missed."""
    error, left = run(2, jobs.lonely, tmp_path, 2, timeout=SHORT)
    assert left == "left"
    assert "rank 0 of 2 waited for the others to end a backward pass" in error


def test_errors_of_one_are_heard_by_all(tmp_path: Path) -> None:
    """A folder that is not there; a state that does not fit. The training goes on."""
    first, second = run(2, jobs.unwritable, tmp_path, 2, tmp_path)
    assert first[0].startswith("FileNotFoundError")
    assert second[0].startswith("RankError: rank 0 could not save a checkpoint: FileNotFoundError")
    assert all(
        "load the state of a layer of the same size" in heard[1] for heard in (first, second)
    )
    content = torch.load(tmp_path / "three", weights_only=True)
    assert len(content["random_of_ranks"]) == 2
