"""Fits of measured points."""

from __future__ import annotations

from math import exp, log, nan, sqrt
from typing import Sequence, Tuple


def exponent(x: Sequence[float], y: Sequence[float]) -> Tuple[float, float, float]:
    """Fit y = factor * x ** slope on logarithms.

    Returns:
        slope, its standard error (nan for two points, which any slope fits) and factor.
    """
    x_log, y_log = [log(value) for value in x], [log(value) for value in y]
    x_mean, y_mean = sum(x_log) / len(x), sum(y_log) / len(y)
    square = sum((value - x_mean) ** 2 for value in x_log)
    slope = sum((a - x_mean) * (b - y_mean) for a, b in zip(x_log, y_log)) / square
    left = sum((b - y_mean - slope * (a - x_mean)) ** 2 for a, b in zip(x_log, y_log))
    error = sqrt(left / (len(x) - 2) / square) if len(x) > 2 else nan
    return slope, error, exp(y_mean - slope * x_mean)
