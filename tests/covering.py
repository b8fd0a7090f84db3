"""Grids of tests in which every pair of values stands together, in fewer rows than all of them."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any, Iterable, List, Tuple


def covering(*factors: Iterable[Any]) -> List[Tuple[Any, ...]]:
    """Return rows in which any two values of two factors are together at least once.

    The row that has most new pairs comes next. With two factors these are all rows.
    """
    rows = list(product(*factors))
    pairs = [{((i, str(row[i])), (j, str(row[j]))) for i, j in _places(row)} for row in rows]
    missing, chosen = set().union(*pairs), []
    while missing:
        best = max(range(len(rows)), key=lambda number: len(pairs[number] & missing))
        missing -= pairs[best]
        chosen.append(rows[best])
    return chosen


def _places(row: Tuple[Any, ...]) -> Iterable[Tuple[int, int]]:
    return combinations(range(len(row)), 2)
