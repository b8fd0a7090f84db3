"""What methods cost, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional

from aihwkit.exceptions import ArgumentError

from aihwkit_dspt.plots.style import COLOURS, axes_or_new, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

QUANTITIES = {
    "update_cycles": "update cycles\n[vectors]",
    "nominal_pulses": "gradient pulses\n[per line]",
    "calibration_pulses": "calibration\n[pulses per cell]",
    "transfer_reads": "transfer reads\n[lines]",
    "slow_pulses": "pulses to W\n[cells]",
    "programming_events": "programming\n[events]",
    "programmed_cells": "programming\n[cells]",
    "forward_mvms": "forward\n[products]",
    "backward_mvms": "backward\n[products]",
}
"""Attribute of the counts -> label with unit."""

HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")


def cost_bars(counts: Mapping[str, Any], ax: Optional[Axes] = None) -> Axes:
    """Draw the operations of several methods as bars on a logarithmic axis.

    Args:
        counts: name of the method -> its operations, such as ``operation_counts(model).total``.
            What is ``None`` was not counted.
        ax: where to draw, ``None`` for a new figure.

    Returns:
        the axes.

    Raises:
        ImportError: if matplotlib is not installed.
        ArgumentError: if ``counts`` is empty or something in it lacks a quantity.
    """
    if not isinstance(counts, Mapping) or not counts:
        raise ArgumentError(
            f"counts={counts!r} is not valid: pass a mapping from method names to "
            "operation_counts(model).total"
        )
    for method, item in counts.items():
        missing = [name for name in QUANTITIES if not hasattr(item, name)]
        if missing:
            raise ArgumentError(
                f"counts[{method!r}] is a {type(item).__name__} without {missing[0]}: pass "
                "operation_counts(model).total"
            )
    ax = axes_or_new(ax, width=10.0, height=4.6)
    width = 0.8 / len(counts)
    for number, (method, item) in enumerate(counts.items()):
        values = [getattr(item, name) for name in QUANTITIES]
        places = [row - 0.4 + (number + 0.5) * width for row in range(len(values))]
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
            # A logarithmic axis has no place for these two.
            if not value:
                text, rotation = ("0", 0) if value == 0 else ("not counted", 90)
                ax.text(
                    place,
                    0.01,
                    text,
                    rotation=rotation,
                    ha="center",
                    va="bottom",
                    fontsize="x-small",
                    transform=ax.get_xaxis_transform(),
                )
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.8)
    ax.set_xticks(range(len(QUANTITIES)))
    ax.set_xticklabels(list(QUANTITIES.values()), fontsize="small")
    return finish(ax, "Operations of the hardware so far", "", "number of operations")
