"""Sweeps: on two processes, on a cluster, killed, and with runs that fail."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from core.cluster import connected, n_workers
from core.execute import execute
from core.progress import Progress
from core.results_file import read_results
from core.run import Run
from core.sweep import SweepError, _stop_if_left, sweep

from tests.paper.scripts import command, result_of, run, tiny


def test_failing_run_loses_nothing(tmp_path: Path) -> None:
    """On two processes: the others are kept, the error says what to do; a repetition skips."""
    path = tmp_path / "results.jsonl"
    bad = tiny("E-RIDER", settings={"gama": 0.1})
    runs = [bad, tiny("E-RIDER"), tiny(), tiny(seed=2)]
    with pytest.raises(SweepError, match=r"1 of 4 runs failed") as first:
        sweep(runs, path, jobs=2)
    assert "E-RIDER fcn (0.4, 0.4) seed 1" in str(first.value)
    assert "did you mean 'gamma'" in str(first.value)
    before = path.read_text()
    assert set(read_results(path)) == {item.key for item in runs[1:]}
    with pytest.raises(SweepError, match="1 of 1 runs failed"):
        sweep(runs, path)
    results = sweep(runs[1:], path)
    assert path.read_text() == before
    assert [result["run"] for result in results] == [asdict(item) for item in runs[1:]]
    assert all(len(result["accuracy"]) == 1 for result in results)


def test_same_run_twice_is_one_result(tmp_path: Path) -> None:
    """A run that is listed twice is executed once."""
    results = sweep([tiny(), tiny()], tmp_path / "results.jsonl")
    assert results[0] is results[1]
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 1


def test_dask_cluster(tmp_path: Path) -> None:
    """On a local Dask cluster with two workers."""
    distributed = pytest.importorskip("distributed", reason="needs dask[distributed]")
    path = tmp_path / "results.jsonl"
    runs = [tiny("E-RIDER", seed=seed) for seed in (1, 2, 3)]
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        connected("dask", cluster.scheduler_address),
    ):
        results = sweep(runs, path, jobs=-1, backend="dask")
        assert len(distributed.get_client().scheduler_info()["workers"]) == 2
    assert [Run.from_result(result).seed for result in results] == [1, 2, 3]
    assert set(read_results(path)) == {item.key for item in runs}


@pytest.mark.slow
def test_ray_cluster(tmp_path: Path) -> None:
    """On a local Ray cluster with at most two workers."""
    ray = pytest.importorskip("ray", reason="needs ray")
    path = tmp_path / "results.jsonl"
    runs = [tiny("E-RIDER", seed=seed) for seed in (1, 2, 3)]
    with connected("ray", None):
        workers = int(ray.cluster_resources()["CPU"])
        assert n_workers(-1, "ray") == workers
        results = sweep(runs, path, jobs=min(workers, 2), backend="ray")
    assert [Run.from_result(result).seed for result in results] == [1, 2, 3]
    assert set(read_results(path)) == {item.key for item in runs}


def test_killed_sweep_continues(tmp_path: Path) -> None:
    """SIGKILL in the middle: what was there is kept, and only the rest is run."""
    path = tmp_path / "table2.jsonl"
    arguments = ("--epochs", 1, "--cells", "0.4,0.4", "--seeds", 1, 2, "--results", path)
    with subprocess.Popen(
        command("table2.py", *arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 120
        while not path.exists() or path.read_text().count("\n") < 2:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    kept = path.read_text().splitlines()
    assert 2 <= len(kept) < 6
    with path.open("a") as file:
        file.write(kept[0][:100])  # as if it had been killed while it wrote
    printed = run("table2.py", *arguments)
    lines = path.read_text().splitlines()
    assert lines[: len(kept)] == kept
    assert len(read_results(path)) == 6
    assert len(lines) == 6 + 1  # every run once, and the half line
    table = printed[printed.index("cell (mean, std)") :]
    assert table.count("E-RIDER") == 1
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_workers_do_not_outlive_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose parent is another process than the sweep ends; others go on."""
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)
    for process in (None, os.getpid(), os.getppid()):
        _stop_if_left(process)
    assert ended == []
    _stop_if_left(2**22 + 1)  # more than the largest number of a process
    assert ended == [1]


def test_table_of_a_run_that_goes_on(tmp_path: Path) -> None:
    """``--table`` shows what is there and runs nothing."""
    path = tmp_path / "table2.jsonl"
    printed = run("table2.py", "--table", "--results", path)
    assert printed.startswith("cell")
    assert not path.exists()


def test_seconds_left() -> None:
    """The work that is left is shared by the workers, whatever has been finished."""
    runs = [tiny(seed=seed, epochs=10) for seed in range(5)]
    result = {"run": {"network": "fcn"}, "epoch_seconds": [3.0] * 10}
    with Progress(runs, 2) as progress:
        assert progress.seconds_left() is None
        progress.finish(runs[0], {**result, "accuracy": [1.0], "loss": [1.0]})
        assert progress.seconds_left() == pytest.approx(4 * 30.0 / 2)
        progress.finish(runs[1], None)
        assert progress.seconds_left() == pytest.approx(3 * 30.0 / 2)
    with Progress(runs, 8, [result, result]) as progress:
        # More workers than runs are of no use; earlier results give the pace from the start.
        assert progress.seconds_left() == pytest.approx(30.0)
    other = {"run": {"network": "lenet5"}, "epoch_seconds": [100.0]}
    with Progress(runs, 1, [other]) as progress:
        assert progress.seconds_left() is None


def test_stops_at_the_target_loss() -> None:
    """The first epoch whose mean loss is small enough is the last one, and is what counts."""
    free = execute(tiny(epochs=3))
    target = free["loss"][1]
    stopped = execute(tiny(epochs=3, target_loss=target + 1e-4))
    # Digital training repeats digit by digit.
    assert stopped["loss"] == free["loss"][:2]
    assert stopped["pulses"] == 2 * 144 * 5


def test_result_is_complete() -> None:
    """One result says what it was made with."""
    result = execute(tiny())
    assert Run.from_result(result) == tiny()
    assert result["data"] == "digits"
    assert {"python", "torch", "aihwkit", "aihwkit-dspt"} <= set(result["versions"])
    assert len(result["revision"].removesuffix("-dirty")) >= 7
    assert result_of(tiny(), [1.0]).keys() == result.keys()
