"""The benchmarks run and write what they say; nothing here asserts a time."""

from __future__ import annotations

import json
import sys
from math import isnan
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from tests.scripts import EXAMPLES, run

sys.path.insert(0, str(EXAMPLES / "benchmarks"))

import scaling
import step_time
from bench import child, names, timing
from bench.call_tree import CallTree
from bench.workloads import workload
from common.fits import exponent

QUICK = ("--rounds", 2, "--budget", 0)


@pytest.fixture(name="one_process")
def _one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in this process, briefly; other tests see that scripts start themselves again."""
    works: List[Callable[..., Any]] = []

    def run_main(main: Callable[[], None], work: Callable[..., Any]) -> None:
        works.append(work)
        main()

    def in_child(task: Dict[str, Any], _threads: int = 1) -> Any:
        return json.loads(json.dumps(works[-1](**json.loads(json.dumps(task)))))

    monkeypatch.setattr(child, "run", run_main)
    monkeypatch.setattr(child, "in_child", in_child)
    monkeypatch.setattr(timing, "SHORTEST", 1e-3)


def results_of(path: Path) -> Dict[str, Any]:
    """Return the results of a file after a look at its head."""
    content = json.loads(path.read_text())
    assert content["versions"]["aihwkit"]
    assert content["settings"]["cpu"]
    assert content["settings"]["revision"]
    assert content["command"].startswith("python ")
    results: Dict[str, Any] = content["results" if "results" in content else "result"]
    return results


def test_step_time(tmp_path: Path) -> None:
    """All competitors of a cell have their ratios; a second run keeps them; the table has them."""
    path = tmp_path / "numbers.json"
    arguments = ("--networks", "linear-8", "--batch-sizes", 2, *QUICK, "--out", path)
    printed = run("benchmarks/step_time.py", *arguments)
    cell = results_of(path)["linear-8, batch 2, threads 1"]
    assert set(cell["competitors"]) == set(names.COMPETITORS)
    assert cell["threads"] == 1
    assert cell["rounds"] == 2
    for name, numbers in cell["competitors"].items():
        assert f"| {name} |" in printed
        for ratio in ("ratio", "erider_ratio"):
            low, high = numbers[f"{ratio}_quartiles"]
            assert low <= numbers[ratio] <= high
    assert cell["competitors"][names.BASELINE]["ratio"] == 1.0
    assert cell["competitors"][names.OURS]["erider_ratio"] == 1.0
    assert run("benchmarks/step_time.py", *arguments) == printed
    assert printed.strip() in step_time.table([path])


@pytest.mark.usefixtures("one_process")
def test_refusals_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What aihwkit refuses stands in the table with its reason; what we refuse is an error."""
    from bench import cell

    genuine = cell.rpu_config

    def refusing(name: str, *settings: Any) -> Any:
        if name in refused:
            raise ValueError("not for this one")
        return genuine(name, *settings)

    monkeypatch.setattr(cell, "rpu_config", refusing)
    refused = {names.TORCH_TRANSFER}
    chosen = [names.TORCH_TRANSFER, names.OURS]
    result = cell.measure("linear-4", 1, 0.1, 1, 0.0, chosen)
    reason = {"not supported": "ValueError: not for this one"}
    assert result["competitors"][names.TORCH_TRANSFER] == reason
    assert reason["not supported"] in step_time.step_times([{**result, "threads": 1}])
    refused = {names.OURS}
    with pytest.raises(ValueError, match="not for this one"):
        cell.measure("linear-4", 1, 0.1, 1, 0.0, chosen)


@pytest.mark.slow
def test_memory(tmp_path: Path) -> None:
    """The peak is that of the process: the layer shows, the imports are known."""
    path = tmp_path / "numbers.json"
    arguments = ("--size", 512, "--steps", 1, "--competitors", names.OURS)
    printed = run("benchmarks/memory.py", *arguments, "--out", path)
    results = results_of(path)
    assert set(results) == {"imports alone", names.BASELINE, names.OURS}
    base = results["imports alone"]["peak_mb"]
    for name in (names.BASELINE, names.OURS):
        assert f"| {name} |" in printed
        # Two arrays with their weights at least: 4 bytes for each cell.
        assert results[name]["peak_mb"] - base > 2 * 4 * 512**2 / 2**20
        assert results[name]["peak_mb"] >= results[name]["built_peak_mb"]


@pytest.mark.usefixtures("one_process")
def test_scaling(tmp_path: Path) -> None:
    """Points and fit of the chosen axis are written."""
    path = tmp_path / "numbers.json"
    arguments = ("--axes", "size", "--size-values", 4, 8, "--size-fit-from", 1)
    printed = run("benchmarks/scaling.py", *arguments, *QUICK, "--out", path)
    results = results_of(path)
    assert set(results) == {"size 4", "size 8", "fit size"}
    assert results["size 8"]["network"] == "linear-8"
    assert results["fit size"]["values"] == [4, 8]
    for name in (names.BASELINE, names.OURS):
        times = [results[f"size {n}"]["competitors"][name]["median_ms"] for n in (4, 8)]
        expected = exponent([16.0, 64.0], times)[0]  # of the numbers as they are written
        assert results["fit size"][name]["exponent"] == pytest.approx(expected, abs=1e-4)
    assert "against cells, 4 to 8" in printed
    assert scaling.TASKS["layers"](3) == ("stack-3x256", 10)
    assert scaling.TASKS["batch"](3) == ("linear-1024", 3)


def test_exponent() -> None:
    """The exponent of an exact power law comes back; two points have no error."""
    x = [1.0, 2.0, 5.0, 11.0]
    slope, error, factor = exponent(x, [3.0 * value**1.05 for value in x])
    assert slope == pytest.approx(1.05)
    assert error == pytest.approx(0.0, abs=1e-8)
    assert factor == pytest.approx(3.0)
    assert isnan(exponent(x[:2], x[:2])[1])


def test_fit_uses_its_range() -> None:
    """Constant overhead below ``fit_from`` does not count; the array's size counts as cells."""
    times = {2: 16.0, 4: 16.0, 8: 64.0, 16: 256.0}  # as cells from 4 on

    def point(value: float) -> Dict[str, Any]:
        numbers = {"median_ms": value, "cpu_median_ms": 2.0}
        return {"competitors": {names.BASELINE: numbers, names.OURS: numbers}}

    points = {size: point(value) for size, value in times.items()}
    fitted = scaling.fit("size", points, fit_from=4)
    assert fitted["values"] == [4, 8, 16]
    assert fitted[names.OURS]["exponent"] == pytest.approx(1.0)
    assert scaling.fit("size", points, 4, "cpu")[names.OURS]["exponent"] == pytest.approx(0.0)
    with pytest.raises(ValueError, match="at least two"):
        scaling.fit("size", points, fit_from=16)


@pytest.mark.usefixtures("one_process")
def test_pulses(tmp_path: Path) -> None:
    """Both ways are timed for each device and batch."""
    path = tmp_path / "numbers.json"
    settings = ("--size", 6, "--batches", 1, 9, "--devices", "HfO2", "--rounds", 2)
    printed = run("benchmarks/pulses.py", *settings, "--out", path)
    cells = json.loads(path.read_text())["cells"]
    assert [cell["vectors"] for cell in cells] == [1, 9]
    for cell in cells:
        low, high = cell["ratio_quartiles"]
        assert low <= cell["ratio"] <= high
        assert f"| HfO2 | 6 x 6 | {cell['vectors']} |" in printed


@pytest.mark.usefixtures("one_process")
def test_floor(tmp_path: Path) -> None:
    """The floor is the sum of the parts, and the overhead is what the step has beyond it."""
    path = tmp_path / "numbers.json"
    printed = run("benchmarks/floor.py", "--size", 64, *QUICK, "--out", path)
    result = results_of(path)
    assert set(result["parts_ms"]) == {
        "gradient pulses (C++)",
        "forward product",
        "backward product",
        "multiply-add over the weight",
    }
    # Medians of sums and of ratios over two rounds: those of the rounds lie on both sides.
    assert result["floor_ms"] == pytest.approx(sum(result["parts_ms"].values()))
    low, high = result["overhead_quartiles"]
    assert low <= result["overhead"] <= high
    assert "overhead beyond the floor" in printed


@pytest.mark.usefixtures("one_process")
def test_profile(tmp_path: Path) -> None:
    """The tree begins with the step and has C++ in it; the kinds add up to it."""
    path = tmp_path / "numbers.json"
    printed = run("benchmarks/profile_step.py", "--steps", 3, "--out", path)
    result = results_of(path)
    step = result["tree"][0]
    assert step["path"] == ["step"]
    assert step["calls"] == 1.0
    assert sum(row["own_us"] for row in result["tree"]) == pytest.approx(step["total_us"])
    assert sum(result["kinds"].values()) == pytest.approx(step["total_us"])
    assert "C++ forward" in result["kinds"]
    assert "update: numba-update" in printed
    assert "| aten::" in printed


@pytest.mark.usefixtures("one_process")
def test_training_time(tmp_path: Path) -> None:
    """The three methods are trained and measured, on whatever images there are."""
    path = tmp_path / "numbers.json"
    printed = run("benchmarks/training_time.py", "--updates", 3, *QUICK, "--out", path)
    result = results_of(path)
    assert set(result) == {"TT-v2", "AGAD", "E-RIDER"}
    assert result["AGAD"]["ratio"] == 1.0
    low, high = result["E-RIDER"]["ratio_quartiles"]
    assert low <= result["E-RIDER"]["ratio"] <= high
    assert "after 3 updates" in printed


def test_call_tree() -> None:
    """Times go to the innermost watched call; the methods are put back afterwards."""

    class Base:
        def inner(self) -> int:
            return 1

    class Derived(Base):
        def outer(self) -> int:
            return self.inner() + self.inner()

    tree, methods = CallTree(), dict(vars(Derived))
    with tree.watching([(Derived, "outer", "outer"), (Derived, "inner", "inner")]):
        assert Derived().outer() == 2
    assert dict(tree.calls) == {("outer",): 1, ("outer", "inner"): 2}
    assert tree.total(("outer",)) == pytest.approx(sum(tree.own.values()))
    assert dict(vars(Derived)) == methods
    assert "inner" not in vars(Derived)


def test_take_turns() -> None:
    """Slow functions are called once in a measurement; each has one time for each round."""
    calls = []
    wall, cpu, repeat = timing.take_turns(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3, budget=0.0
    )
    assert repeat > 1
    assert [len(times["a"]) for times in (wall, cpu)] == [3, 3]
    assert calls.count("a") == calls.count("b") == timing.WARM_UP + 3 * (repeat + 1)
    assert timing.quartiles([1.0, 2.0, 3.0]) == [1.5, 2.5]
    assert timing.ratio([2.0, 6.0, 4.0], [1.0, 2.0, 4.0])["ratio"] == 2.0


def test_unknown_network() -> None:
    """A wrong name says which there are."""
    for name in ("vgg", "linear-", "linear-4x4", "stack-4", "gpt-4", "resnet"):
        with pytest.raises(ValueError, match="linear-1024 or gpt-4x128"):
            workload(name)
