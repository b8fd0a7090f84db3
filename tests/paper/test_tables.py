"""Tables 1 and 2: which runs they ask for, and how they are shown beside the paper."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import table1
import table2
from core.paper_numbers import TABLE1, TABLE2
from core.paper_table import ALL_CELLS, PaperTable
from core.table import picture, text

from tests.paper.scripts import result_of, run

BOTH = pytest.mark.parametrize("table", [table1.TABLE, table2.TABLE], ids=["table1", "table2"])


@BOTH
def test_whole_table(table: PaperTable) -> None:
    """All cells, three methods, three seeds: each has a number in the paper."""
    runs = table.runs(cells=ALL_CELLS, seeds=(1, 2, 3))
    assert len({item.key for item in runs}) == 24 * 3 * 3
    assert {item.epochs for item in runs} == {table.epochs}
    for item in runs:
        assert 50.0 < table.paper[item.method][(item.reference_mean, item.reference_std)] < 97.0


@BOTH
def test_default_runs(table: PaperTable) -> None:
    """Seed 1 first; three seeds in the cells that say so, but not for TT-v2."""
    runs = table.runs()
    first = len(table.cells) * len(table.methods)
    assert {item.seed for item in runs[:first]} == {1}
    assert {(item.seed, item.method) for item in runs[first:]} <= {
        (seed, method) for seed in (2, 3) for method in ("AGAD", "E-RIDER")
    }
    cells = {(item.reference_mean, item.reference_std) for item in runs[first:]}
    assert cells == set(table.three_seeds)


@BOTH
def test_other_output_scaling(table: PaperTable) -> None:
    """``omega`` changes the scaling of every run, and nothing else."""
    others = table.runs(omega=0.6)
    assert {item.weight_scaling_omega for item in others} == {0.6}
    usual = table.weight_scaling_omega
    assert [replace(item, weight_scaling_omega=usual) for item in others] == table.runs()


@BOTH
def test_other_learning_rate(table: PaperTable) -> None:
    """``lr`` changes the learning rate of every run, and nothing else."""
    others = table.runs(lr=0.2)
    assert {item.lr for item in others} == {0.2}
    usual = [item.lr for item in table.runs()]
    assert [replace(item, lr=lr) for item, lr in zip(others, usual)] == table.runs()


def test_steps_move_with_the_epochs() -> None:
    """A shorter training has its learning rate steps at the same share of it."""
    table = PaperTable(
        *("title", "r.jsonl", TABLE2, "fcn", 10, 40, 0.05, {"E-RIDER": {}}, ((0.4, 0.4),)),
        lr_steps={"24": 0.3, "34": 0.1},
    )
    assert table.runs(10)[0].lr_steps == {"6": 0.3, "8": 0.1}
    assert table.runs()[0].lr_steps == {"24": 0.3, "34": 0.1}
    # The first epoch has the full learning rate, however short the training is.
    assert table.runs(1)[0].lr_steps == {"1": 0.1}


def test_other_methods(tmp_path: Path) -> None:
    """Methods that the paper's table does not have run with their own defaults."""
    path = tmp_path / "t.jsonl"
    arguments = ("--methods", "digital SGD", "RIDER", "--epochs", 1, "--cells", "0.3,0.7")
    printed = run("table2.py", *arguments, "--results", path)
    assert re.search(r"^\(0\.3, 0\.7\) +digital SGD +1 ", printed, re.MULTILINE)
    assert re.search(r"^\(0\.3, 0\.7\) +RIDER +1 ", printed, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cells", "0.4"), "'0.4' is not a cell: pass MEAN,STD"),
        (("--methods", "ERIDER"), "invalid choice: 'ERIDER'"),
        (("--backend", "mpi"), "invalid choice: 'mpi'"),
    ],
)
def test_wrong_arguments(arguments: Any, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An argument that is not understood is named, with what to pass."""
    with pytest.raises(SystemExit, match=r"^2$"):
        run("table2.py", *arguments)
    assert message in capsys.readouterr().err


def test_text_and_picture(tmp_path: Path) -> None:
    """Mean and spread over the seeds, the paper's mean and the difference."""
    first, second = table2.TABLE.runs(cells=[(0.4, 0.4)], methods=["E-RIDER"], seeds=(1, 2))
    results = [result_of(first, [90.0, 96.0]), result_of(second, [91.0, 95.0])]
    lines = text(results, TABLE2).splitlines()
    start = r"\(0\.4, 0\.4\) +E-RIDER +2 +95\.50 \+- 0\.71 +"
    assert re.fullmatch(start + r"- +96\.23 +-0\.73", lines[1])
    for result in results:
        result["slow_accuracy"] = [94.0, result["accuracy"][-1] + 1.0]
    lines = text(results, TABLE2).splitlines()
    assert re.fullmatch(start + r"96\.50 +96\.23 +-0\.73", lines[1])
    assert len(lines) == 2
    # A method that the paper does not have has no difference.
    other = result_of(table1.TABLE.runs(cells=[(0.4, 0.4)], methods=["RIDER"])[0], [88.0])
    assert re.fullmatch(
        r"\(0\.4, 0\.4\) +RIDER +1 +88\.00 +- *", text([other], TABLE1).split("\n")[1]
    )
    picture([*results, other], "title", tmp_path / "new" / "t.png")
    assert (tmp_path / "new" / "t.png").read_bytes().startswith(b"\x89PNG")
