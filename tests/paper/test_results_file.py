"""Keys of runs and the file of their results."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pytest
import search
from core.command import RESULTS
from core.results_file import append_result, read_results
from core.run import Run

from tests.paper.scripts import result_of, tiny


def test_key_tells_runs_apart() -> None:
    """Every field counts, and nothing but the fields."""
    run = tiny(settings={"gamma": 0.1, "eta": 0.2})
    assert run.key == tiny(settings={"eta": 0.2, "gamma": 0.1}).key
    other = {
        **{"method": "other", "network": "other", "lr_steps": {"1": 0.1}, "settings": {}},
        **{"validation": True, "dw_min": 0.01},
    }
    for item in fields(Run):
        old = getattr(run, item.name)
        changed = {**asdict(run), item.name: other[item.name] if item.name in other else old + 1}
        assert Run(**changed).key != run.key, item.name


def test_new_field_keeps_old_results(tmp_path: Path) -> None:
    """A result from before a field was added is that of the field's default."""

    @dataclass(frozen=True)
    class Later(Run):
        warm_up: int = 0

    stored = json.loads(json.dumps(result_of(tiny(), [50.0])))
    assert Later.from_result(stored).key == Later(**asdict(tiny())).key
    assert Later.from_result(stored).key != Later(**asdict(tiny()), warm_up=1).key
    # The key that was written with the result is another one, and is not looked at.
    assert Later.from_result(stored).key != stored["key"]
    append_result(tmp_path / "r.jsonl", {**stored, "key": "of another version"})
    assert list(read_results(tmp_path / "r.jsonl")) == [tiny().key]


def test_field_of_a_later_version_is_an_error() -> None:
    """A setting that is not understood is not ignored."""
    result = result_of(tiny(), [50.0])
    result["run"]["warm_up"] = 3
    with pytest.raises(ValueError, match=r"warm_up=3.*revision 0123456789ab"):
        Run.from_result(result)


def test_committed_search_is_found() -> None:
    """The committed results of the search are those of runs that the script asks for."""
    done = read_results(RESULTS / "search.jsonl")
    assert done
    assert set(done) <= {run.key for run in search.runs()}


def test_half_written_line(tmp_path: Path) -> None:
    """What a killed writer left is not read and does not spoil the next line."""
    path = tmp_path / "new" / "results.jsonl"
    first, second, third = (tiny(seed=seed) for seed in (1, 2, 3))
    assert read_results(path) == {}
    append_result(path, result_of(first, [10.0]))
    with path.open("a") as file:
        file.write(json.dumps(result_of(second, [20.0]))[:150])
    assert list(read_results(path)) == [first.key]
    append_result(path, result_of(third, [30.0]))
    assert list(read_results(path)) == [first.key, third.key]
    append_result(path, result_of(second, [20.0]))
    accuracies = [result["accuracy"] for result in read_results(path).values()]
    assert accuracies == [[10.0], [30.0], [20.0]]
