"""What methods cost, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Optional

from aihwkit_dspt.costs.counts import OperationCounts, require_counts
from aihwkit_dspt.plots.style import COLOURS, axes_or_new, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUANTITIES = {
    "update_cycles": "update cycles\n[vectors]",
    "nominal_pulses": "nominal pulses\n[per cell of P]",
    "calibration_pulses": "of these to\ncalibrate",
    "transfer_reads": "transfer reads\n[lines]",
    "slow_pulses": "pulses to W\n[pulses]",
    "programming_events": "reference set\n[events]",
    "programmed_cells": "reference set\n[cells]",
    "forward_mvms": "forward\n[products]",
    "backward_mvms": "backward\n[products]",
}
"""Attribute of the counts -> label with unit."""

BOTTOM = 0.8
"""Lower end of the axis; a logarithmic one has no place for zero."""

HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")


def cost_bars(counts: Mapping[str, OperationCounts], ax: Optional[Axes] = None) -> Axes:
    """Draw the operations of several methods as bars on a logarithmic axis.

    Args:
        counts: name of the method -> its operations, such as ``operation_counts(model).total``.
            What is ``None`` was not counted.
        ax: where to draw, ``None`` for a new figure.

    Returns:
        the axes.

    Raises:
        ImportError: if matplotlib is not installed.
        ArgumentError: if ``counts`` is empty or has something else in it.
    """
    require_counts(counts)
    ax = axes_or_new(ax, width=11.0, height=4.8)
    width = 0.84 / len(counts)
    highest = 1.0
    for number, (method, item) in enumerate(counts.items()):
        values = [getattr(item, name) for name in QUANTITIES]
        places = [row - 0.42 + (number + 0.5) * width for row in range(len(values))]
        ax.bar(
            places,
            [value or 0 for value in values],
            0.92 * width,
            color=COLOURS[number % len(COLOURS)],
            edgecolor="white",
            hatch=HATCHES[number % len(HATCHES)],
            label=method,
        )
        for place, value in zip(places, values):
            # Bars of a logarithmic axis look alike: the number is written on each. A bar of nothing
            # stands on the axis.
            ax.annotate(
                "not counted" if value is None else short(value),
                (place, max(value or 0, BOTTOM)),
                (0, 2),
                textcoords="offset points",
                rotation=90,
                ha="center",
                va="bottom",
                fontsize="x-small",
            )
        highest = max(highest, *(value or 0 for value in values))
    ax.set_yscale("log")
    # Two decades for the numbers and the legend.
    ax.set_ylim(BOTTOM, 100.0 * highest)
    ax.set_xlim(-0.6, len(QUANTITIES) - 0.4)
    ax.set_xticks(range(len(QUANTITIES)))
    ax.set_xticklabels(list(QUANTITIES.values()), fontsize="small")
    finish(ax, "Operations of the hardware so far", "", "number of operations", min(len(counts), 5))
    ax.grid(False, axis="x")
    return ax


def short(number: float) -> str:
    """Return a number in three digits: 950, 12.8k, 2.6M."""
    for power, unit in ((4, "T"), (3, "G"), (2, "M"), (1, "k")):
        # What rounds to 1000 of one unit is 1 of the next.
        if number >= 0.9995 * 1000.0**power:
            return f"{number / 1000.0**power:.3g}{unit}"
    return f"{number:.3g}"
