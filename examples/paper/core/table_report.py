"""The part of the report about one of the paper's tables."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict
from statistics import mean
from typing import Any, Callable, Dict, List, Sequence, Tuple

from core.markdown import Sources, listed, markdown_table, spread
from core.paper_numbers import Cell
from core.paper_table import PaperTable
from core.run import Run

STATISTICS: Dict[str, Callable[[Sequence[float]], float]] = {
    "last epoch": lambda accuracy: accuracy[-1],
    "last ten": lambda accuracy: mean(accuracy[-10:]),
    "best epoch": max,
}
"""What is said about the accuracies of a run; the paper does not say which of these it prints."""

Group = Tuple[int, Cell, str, str]
"""Epochs, cell, method and what differs from the table's settings: equal but for the seed."""


def _cell(run: Run) -> Cell:
    return (run.reference_mean, run.reference_std)


def _changes(run: Run, table: PaperTable) -> str:
    """Return how a run differs from what the table's script runs."""
    usual = table.runs(run.epochs, [_cell(run)], [run.method], [run.seed])[0]
    mine, other = asdict(run), asdict(usual)
    return ", ".join(
        f"{name}={json.dumps(value)}" for name, value in mine.items() if value != other[name]
    )


def _settings(run: Run) -> str:
    """Return learning rate, its schedule and the fields that differ from the paper's."""
    steps = "".join(f", x {factor:g} after {at} epochs" for at, factor in run.lr_steps.items())
    fields = "".join(f", {name} {value}" for name, value in run.settings.items())
    return f"lr {run.lr:g}{steps}{fields}"


def groups_of(
    results: Sequence[Dict[str, Any]], table: PaperTable
) -> Dict[Group, List[Dict[str, Any]]]:
    """Return the results that differ in the seed only, by what they have in common."""
    found: Dict[Group, List[Dict[str, Any]]] = defaultdict(list)
    for result in results:
        run = Run.from_result(result)
        found[(run.epochs, _cell(run), run.method, _changes(run, table))].append(result)
    return dict(sorted(found.items()))


def _slow(results: Sequence[Dict[str, Any]]) -> List[float]:
    """Return the accuracies of the slow array alone, none unless all results have it."""
    values = [result["slow_accuracy"][-1] for result in results if "slow_accuracy" in result]
    return values if len(values) == len(results) else []


def _row(
    group: Group, results: Sequence[Dict[str, Any]], table: PaperTable, sources: Sources
) -> List[str]:
    epochs, cell, method, changes = group
    values = [
        [statistic(result["accuracy"]) for result in results] for statistic in STATISTICS.values()
    ]
    slow = _slow(results)
    expected = table.paper.get(method, {}).get(cell)
    run = Run.from_result(results[0])
    minutes = mean(sum(result["epoch_seconds"]) for result in results) / 60.0
    return [
        f"{cell[0]:g}, {cell[1]:g}",
        method,
        _settings(run) + (f"; not the script's: {changes}" if changes else ""),
        str(epochs),
        listed(result["run"]["seed"] for result in results),
        *(spread(own) for own in values),
        spread(slow) if slow else "-",
        "-" if expected is None else f"{expected:.2f}",
        "-" if expected is None else f"{mean(values[0]) - expected:+.2f}",
        f"{minutes:.0f}",
        sources.refer(results),
    ]


def _margins(groups: Dict[Group, List[Dict[str, Any]]], table: PaperTable) -> str:
    """Return E-RIDER minus AGAD in each cell, both with the script's settings."""
    own = {group[:3]: results for group, results in groups.items() if not group[3]}
    rows = []
    for (epochs, cell, method), results in own.items():
        others = own.get((epochs, cell, "AGAD"))
        if method != "E-RIDER" or others is None:
            continue
        margins = [
            mean(statistic(result["accuracy"]) for result in results)
            - mean(statistic(result["accuracy"]) for result in others)
            for statistic in STATISTICS.values()
        ]
        # AGAD is evaluated at its slow array in any case.
        alone = _slow(results)
        against = mean(result["accuracy"][-1] for result in others)
        paper = table.paper["E-RIDER"][cell] - table.paper["AGAD"][cell]
        numbers = [
            *(f"{number:+.2f}" for number in margins),
            f"{mean(alone) - against:+.2f}" if alone else "-",
            f"{paper:+.2f}",
        ]
        rows.append([f"{cell[0]:g}, {cell[1]:g}", str(epochs), *numbers])
    if not rows:
        return ""
    head = ["reference mean, std", "epochs", *STATISTICS, "last epoch, W alone", "paper"]
    return "E-RIDER over AGAD, points:\n\n" + markdown_table(head, rows) + "\n"


def table_report(results: Sequence[Dict[str, Any]], table: PaperTable, sources: Sources) -> str:
    """Return the Markdown: accuracies beside the paper's, and E-RIDER's margins over AGAD."""
    groups = groups_of(results, table)
    head = [
        *("reference mean, std", "method", "settings", "epochs", "seeds"),
        *STATISTICS,
        *("last epoch, W alone", "paper", "last epoch - paper", "min/run", "made by"),
    ]
    rows = [_row(group, own, table, sources) for group, own in groups.items()]
    return markdown_table(head, rows) + "\n\n" + _margins(groups, table)
