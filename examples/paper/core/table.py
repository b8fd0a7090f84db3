"""Results of a table beside the paper's numbers."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Dict, List, Sequence

from common.report import pyplot, save_picture

from core.paper_numbers import Cell

COLOURS = {"TT-v2": "#009E73", "AGAD": "#E69F00", "E-RIDER": "#0072B2"}

SLOW = "#56B4E9"
"""Colour of what E-RIDER's slow array reaches alone."""


def by_cell(
    results: Sequence[Dict[str, Any]], field: str = "accuracy"
) -> Dict[str, Dict[Cell, List[float]]]:
    """Return the last accuracy of each run: method -> cell -> one value per seed that has it."""
    table: Dict[str, Dict[Cell, List[float]]] = {}
    for result in results:
        if field not in result:
            continue
        run = result["run"]
        cell = (run["reference_mean"], run["reference_std"])
        table.setdefault(run["method"], {}).setdefault(cell, []).append(result[field][-1])
    return table


def text(results: Sequence[Dict[str, Any]], paper: Dict[str, Dict[Cell, float]]) -> str:
    """Return the table: mean and spread over the seeds, that of W alone, the paper's mean."""
    lines = [
        f"{'cell (mean, std)':<18}{'method':<10}{'seeds':>6}{'here [%]':>15}{'W alone':>9}"
        f"{'paper':>8}{'diff':>8}"
    ]
    table, alone = by_cell(results), by_cell(results, "slow_accuracy")
    cells = sorted({cell for row in table.values() for cell in row})
    for cell in cells:
        for method, row in table.items():
            if cell not in row:
                continue
            values, expected = row[cell], paper.get(method, {}).get(cell)
            spread = f" +- {stdev(values):.2f}" if len(values) > 1 else ""
            slow = alone.get(method, {}).get(cell)
            line = f"{cell!s:<18}{method:<10}{len(values):>6}{mean(values):>7.2f}{spread:<8}"
            line += f"{mean(slow):>9.2f}" if slow else f"{'-':>9}"
            if expected is not None:
                line += f"{expected:>8.2f}{mean(values) - expected:>+8.2f}"
            lines.append(line)
    return "\n".join(lines)


def picture(results: Sequence[Dict[str, Any]], title: str, path: Path) -> None:
    """Draw the test accuracy by epoch, one panel per cell, and write a PNG."""
    plt = pyplot()
    cells = sorted({(r["run"]["reference_mean"], r["run"]["reference_std"]) for r in results})
    columns = min(len(cells), 3)
    rows = ceil(len(cells) / columns)
    figure, grid = plt.subplots(
        rows,
        columns,
        figsize=(3.6 * columns, 2.8 * rows + 0.4),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax in grid.flat[len(cells) :]:
        ax.set_axis_off()
    for cell, ax in zip(cells, grid.flat):
        for result in results:
            run = result["run"]
            if (run["reference_mean"], run["reference_std"]) == cell:
                epochs = range(1, len(result["accuracy"]) + 1)
                colour = COLOURS.get(run["method"], "#000000")
                ax.plot(epochs, result["accuracy"], color=colour, lw=1.2)
                if "slow_accuracy" in result:
                    ax.plot(epochs, result["slow_accuracy"], color=SLOW, lw=1.2, ls="--")
        ax.set_title(f"reference {cell[0]:g} ± {cell[1]:g}", fontsize=10)
        ax.set_ylim(50, 100)
        ax.grid(alpha=0.3)
    last = grid.flat[len(cells) - 1]
    for method in dict.fromkeys(result["run"]["method"] for result in results):
        last.plot([], [], color=COLOURS.get(method, "#000000"), label=method)
    if any("slow_accuracy" in result for result in results):
        last.plot([], [], color=SLOW, ls="--", label="W alone")
    last.legend(fontsize=8)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("test accuracy [%]", fontsize=10)
    figure.suptitle(title)
    save_picture(figure, path)
