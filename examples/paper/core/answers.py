"""The first page of the report: one row for each cell of a table of the paper."""

from __future__ import annotations

from statistics import mean
from typing import Any, Dict, List, Sequence, Tuple

from core.markdown import markdown_table, spread
from core.paper_numbers import Cell
from core.paper_table import PaperTable
from core.table_report import groups_of

METHODS = ("TT-v2", "AGAD", "E-RIDER")

Last = Dict[Tuple[Cell, str, str], List[float]]
"""Cell, method and what differs from the table's settings -> last accuracy of each seed."""


def answers(results: Sequence[Dict[str, Any]], table: PaperTable) -> str:
    """Return last accuracies and leads as a Markdown table, empty without results.

    AGAD has a second column where it was run with a larger learning rate, too.

    Args:
        results: stored results of the table.
        table: what was run, and what the paper has.
    """
    last = {
        group[1:]: [result["accuracy"][-1] for result in own]
        for group, own in groups_of(results, table).items()
        if group[0] == table.epochs
    }
    cells = [cell for cell in sorted(table.cells) if (cell, "E-RIDER", "") in last]
    rates = sorted({change for _, method, change in last if method == "AGAD" and _is_rate(change)})
    if not cells:
        return ""
    columns = [part for method in METHODS for part in _columns(method, rates)]
    names = [", ".join(filter(None, column)).replace("=", " ") for column in columns]
    head = ["reference mean, std", *names, "lead", "paper: TT-v2, AGAD, E-RIDER", "its lead"]
    return markdown_table(head, [_row(cell, columns, last, table) for cell in cells]) + "\n"


def _is_rate(change: str) -> bool:
    return change.startswith("lr=") and "," not in change


def _columns(method: str, rates: Sequence[str]) -> List[Tuple[str, str]]:
    return [(method, ""), *((method, rate) for rate in rates if method == "AGAD")]


def _row(
    cell: Cell, columns: Sequence[Tuple[str, str]], last: Last, table: PaperTable
) -> List[str]:
    paper = {method: table.paper[method][cell] for method in METHODS}
    values = [last.get((cell, *column)) for column in columns]
    ours = mean(last[cell, "E-RIDER", ""])
    leads = [
        f"{ours - mean(own):+.2f}"
        for (method, _), own in zip(columns, values)
        if method == "AGAD" and own
    ]
    return [
        f"{cell[0]:g}, {cell[1]:g}",
        *("-" if own is None else spread(own) for own in values),
        ", ".join(leads) or "-",
        ", ".join(f"{number:.2f}" for number in paper.values()),
        f"{paper['E-RIDER'] - paper['AGAD']:+.2f}",
    ]
