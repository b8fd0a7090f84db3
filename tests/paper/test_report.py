"""RESULTS.md: every number with what made it, remarks that stay."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import figure4
import figure5
import report
import table2
from core.command import RESULTS
from core.results_file import append_result

from tests.paper.scripts import result_of, run, tiny


def test_nothing_is_there(tmp_path: Path) -> None:
    """Sections without results say so, with the command."""
    text = report.report(tmp_path, tmp_path)
    others = ("08_many_arrays", "10_char_gpt", "11_cifar_resnet", "12_finetune")
    assert text.count("not run (`python examples/paper/") == len(report.SECTIONS) - len(others) == 9
    for name in others:
        assert f"not run (`python examples/{name}.py`)" in text


def test_table(tmp_path: Path) -> None:
    """Mean, spread, the paper's mean, the difference, the margin, and where they come from."""
    cell = [(0.4, 0.4)]
    path = tmp_path / "table2.jsonl"
    for method, accuracies in (("E-RIDER", (95.0, 96.0)), ("AGAD", (92.0, 92.5))):
        for item, accuracy in zip(table2.TABLE.runs(None, cell, [method], (1, 2)), accuracies):
            command = f"python examples/paper/table2.py --seeds {item.seed}"
            slow = {"slow_accuracy": [50.0, accuracy + 1.0]} if method == "E-RIDER" else {}
            append_result(path, {**result_of(item, [50.0, accuracy], command_=command), **slow})
    (usual,) = table2.TABLE.runs(None, cell, ["digital SGD"], [1])
    changed = replace(usual, settings={"gamma": 9.0})
    append_result(path, result_of(changed, [12.0]))
    digits = {**result_of(tiny(seed=5), [99.0]), "data": "digits"}
    append_result(path, digits)
    text = report.report(tmp_path, tmp_path)
    erider, agad, other = (
        next(line for line in text.splitlines() if line.startswith(f"| 0.4, 0.4 | {method} "))
        for method in ("E-RIDER", "AGAD", "digital SGD")
    )
    assert "| 40 | 1, 2 | 95.50 ± 0.71 | 72.75 ± 0.35 | 95.50 ± 0.71 | 96.50 ± 0.71 |" in erider
    assert "| 96.23 | -0.73 | 2 |" in erider
    assert (
        "| 40 | 1, 2 | 92.25 ± 0.35 | 71.12 ± 0.18 | 92.25 ± 0.35 | - | 92.06 | +0.19 | 2 |" in agad
    )
    assert 'not the script\'s: settings={"gamma": 9.0}' in other
    assert "| 12.00 | 12.00 | 12.00 | - | - | - |" in other
    assert "| 0.4, 0.4 | 40 | +3.25 | +1.62 | +3.25 | +4.25 | +4.17 |" in text
    first = "| 0.4, 0.4 | - | 92.25 ± 0.35 | 95.50 ± 0.71 | +3.25 | 67.85, 92.06, 96.23 | +4.17 |"
    assert first in text
    for seed in (1, 2):
        source = f"`python examples/paper/table2.py --seeds {seed}`; python 3.11.7, aihwkit 1.1.0"
        assert f"{source}; revision `0123456789ab`" in text
    assert "99.00" not in text
    assert "1 runs on other data than MNIST are not shown" in text


def test_figures(tmp_path: Path) -> None:
    """Pulses or words for Figure 4, gains for Figure 5."""
    erider, short, long = figure4.runs([20], [500, 4000], 3, transfer_lrs=[1.0])
    path = tmp_path / "figure4.jsonl"
    append_result(path, result_of(erider, [95.0], [0.1], pulses=4690))
    append_result(path, result_of(short, [50.0] * 3, [2.0] * 3, pulses=14570))
    append_result(path, result_of(long, [95.0] * 2, [0.3, 0.2], pulses=13380))
    values = {0.1: 92.0, 0.5: 91.0}
    for item in figure5.runs(list(values), [0.5]):
        accuracy = values.get(item.settings.get("in_chop_prob"), 90.0)
        append_result(tmp_path / "figure5.jsonl", result_of(item, [accuracy]))
    text = report.report(tmp_path, tmp_path)
    assert "| 20 | E-RIDER, transfer_lr 1 | 1 | 4,690 | 1 |" in text
    assert "| 20 | ZS(500) + TT-v2 | 1 | not reached in 3 epochs |" in text
    assert "20 states: 0.35" in text
    assert "14,570" not in text
    assert "| 10 | 0 | RIDER | 0.5 |" in text
    assert "| 92.00 | +2.00 |" in text


def test_remarks_stay(tmp_path: Path) -> None:
    """Remarks are copied into their section, and a second report is the same."""
    results, remarks, out = (tmp_path / name for name in ("results", "remarks", "R.md"))
    results.mkdir()
    remarks.mkdir()
    (remarks / "table2.md").write_text("Noted by hand.\n")
    arguments = ("--results", results, "--remarks", remarks, "--out", out)
    run("report.py", *arguments)
    first = out.read_text()
    assert "## Table 2: fully connected network on MNIST\n\nNoted by hand.\n\nnot run" in first
    run("report.py", *arguments)
    assert out.read_text() == first


def test_committed_results(tmp_path: Path) -> None:
    """The results of this checkout can be shown."""
    copy = tmp_path / "results"
    shutil.copytree(RESULTS, copy)
    text = report.report(copy)
    first, _, rest = text.partition("## How to read the sections")
    assert (
        "| 0, 0.05 | 87.85 | 91.97 | 94.27 | 95.63 | +3.66, +1.36 | 90.26, 92.59, 95.45 | +2.86 |"
        in first
    )
    assert "| 0.4, 0.4 | 76.38 | 91.31 | 93.62 | +2.31 | 71.01, 90.16, 91.54 | +1.38 |" in first
    assert "### What differs from the paper" in first
    assert len(first.splitlines()) < 70
    assert "## Table 2" in rest
    assert "![Figure 1: the cost of zero-shifting](results/figure1.png)" in text
    assert "| AGAD | 0.15 | 20, 30 | not cut | - | 0.3 | 40 | 1 | 94.89 | " in text
