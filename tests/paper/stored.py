"""Stored curves of a table, and how far a repetition may be from them after one epoch."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from math import log, sqrt
from statistics import mean, variance
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from core.run import Run

FACTOR = 3.0
"""Half-width of what is accepted, in standard deviations of the difference."""

CHANCE = log(10.0)
"""Loss of a network of ten classes that knows nothing."""

FIRST_LOSS: Callable[[Dict[str, Any]], float] = lambda result: result["loss"][0]  # noqa: E731
FIRST_ACCURACY: Callable[[Dict[str, Any]], float] = lambda r: r["accuracy"][0]  # noqa: E731


@dataclass(frozen=True)
class Interval:
    """Where a new run has to be."""

    centre: float
    half_width: float

    def contains(self, value: float) -> bool:
        """Return whether the value is accepted; not a number never is."""
        return abs(value - self.centre) <= self.half_width


@dataclass(frozen=True)
class StoredCell:
    """Runs whose first epochs differ in their seed only, or are repetitions."""

    runs: Sequence[Run]
    loss: Interval
    accuracy: Interval
    freedom: int
    """Degrees of freedom of the standard deviation that the intervals come from."""

    @property
    def power(self) -> float:
        """How far the first epoch got from chance, in half-widths: 1 or less tells nothing."""
        width = self.loss.half_width
        return (CHANCE - self.loss.centre) / width if width > 0.0 else 0.0


def _intervals(
    cells: Sequence[List[Dict[str, Any]]], value: Callable[[Dict[str, Any]], float]
) -> List[Interval]:
    """Return the interval of each cell, with a standard deviation that is pooled over cells.

    A new value differs from the mean of n old ones by s * sqrt(1 + 1/n). The s of two or three
    seeds is itself hardly known, so that the cells of a method share theirs.
    """
    values = [[value(result) for result in results] for results in cells]
    freedom = sum(len(own) - 1 for own in values)
    pooled = sqrt(sum((len(own) - 1) * variance(own) for own in values) / freedom)
    return [Interval(mean(own), FACTOR * pooled * sqrt(1.0 + 1.0 / len(own))) for own in values]


def stored_cells(results: Iterable[Dict[str, Any]]) -> List[StoredCell]:
    """Return the cells with at least two runs, the one that tells most first."""
    families: Dict[str, Dict[Tuple[float, float], List[Dict[str, Any]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for result in results:
        run = Run.from_result(result)
        if result["data"] != "MNIST":
            continue
        # Neither the length of a run nor its later learning rates change its first epoch.
        first_epoch = replace(run, epochs=1, lr_steps={})
        family = replace(first_epoch, seed=0, reference_mean=0.0, reference_std=0.0).key
        families[family][(run.reference_mean, run.reference_std)].append(result)
    found = []
    for cells in families.values():
        several = [results for results in cells.values() if len(results) > 1]
        if several:
            both = zip(_intervals(several, FIRST_LOSS), _intervals(several, FIRST_ACCURACY))
            for results, (loss, accuracy) in zip(several, both):
                runs = [Run.from_result(result) for result in results]
                freedom = sum(len(own) - 1 for own in several)
                found.append(StoredCell(runs, loss, accuracy, freedom))
    return sorted(found, key=lambda cell: -cell.power)


def disagreement(
    cell: StoredCell, execute: Callable[[Run], Dict[str, Any]], attempts: int = 2
) -> Optional[str]:
    """Return how runs of one epoch disagree with the stored ones, ``None`` if one agrees.

    With the s of a few seeds, one of some 25 to 50 right runs is outside by chance; that two are
    is one in a thousand. A run that is off for a reason is so twice.
    """
    told = []
    for run in cell.runs[:attempts]:
        result = execute(replace(run, epochs=1))
        loss, accuracy = FIRST_LOSS(result), FIRST_ACCURACY(result)
        if cell.loss.contains(loss) and cell.accuracy.contains(accuracy):
            return None
        told.append(
            f"{run.label}: loss {loss:.4f}, stored {cell.loss.centre:.4f} +- "
            f"{cell.loss.half_width:.4f}; accuracy {accuracy:.2f} %, stored "
            f"{cell.accuracy.centre:.2f} +- {cell.accuracy.half_width:.2f} %"
        )
    return "\n".join(told)
