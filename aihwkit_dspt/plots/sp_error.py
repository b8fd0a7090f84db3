"""The error of the symmetric-point estimate over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Union

from aihwkit.exceptions import ArgumentError

from aihwkit_dspt.configs.checks import shown
from aihwkit_dspt.monitor.symmetric_point_monitor import SymmetricPointMonitor
from aihwkit_dspt.plots.style import COLOURS, GREY, MARKERS, axes_or_new, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def sp_error_over_time(
    monitor: Union[SymmetricPointMonitor, Dict[str, List[Any]]],
    ax: Optional[Axes] = None,
    labels: Optional[Dict[str, str]] = None,
) -> Axes:
    r"""Draw mean and root-mean-square of :math:`Q - W_{sp}` of each tile over the steps.

    Args:
        monitor: a :class:`~aihwkit_dspt.SymmetricPointMonitor`, or its history (also as read back
            from JSON).
        ax: where to draw, ``None`` for a new figure.
        labels: name of a tile -> what the legend calls it; the name itself where there is none.

    Returns:
        the axes.

    Raises:
        ImportError: if matplotlib is not installed.
        ArgumentError: if there is no record, or ``labels`` is no dictionary.
    """
    history = monitor.history if isinstance(monitor, SymmetricPointMonitor) else monitor
    if not isinstance(history, dict) or not history.get("step"):
        raise ArgumentError(
            "there is no record to draw: pass a SymmetricPointMonitor that has recorded, or its "
            "history"
        )
    if labels is not None and not isinstance(labels, Mapping):
        raise ArgumentError(
            f"labels={shown(labels)} is not valid: pass a dictionary from names of tiles to texts"
        )
    ax = axes_or_new(ax)
    for number, tile in enumerate(dict.fromkeys(history["tile"])):
        rows = [row for row, name in enumerate(history["tile"]) if name == tile]
        steps, mean, rms = (
            [history[column][row] for row in rows]
            for column in ("step", "sp_error_mean", "sp_error_rms")
        )
        style = _style(number, len(rows))
        ax.plot(steps, _drawable(mean), label=(labels or {}).get(tile, tile), **style)
        ax.plot(steps, _drawable(rms), **{**style, "marker": "", "linestyle": ":"})
    ax.axhline(0.0, color=GREY, linewidth=0.8)
    ax.plot([], [], color=GREY, label="mean")
    ax.plot([], [], color=GREY, linestyle=":", label="root-mean-square")
    ax.xaxis.set_major_formatter("{x:,.0f}")
    return finish(ax, "Estimate minus true SP, per layer", "training step", "Q - SP [weight units]")


def _style(number: int, n_points: int) -> Dict[str, Any]:
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "markersize": 4,
        "markevery": (number % 4, max(n_points // 8, 1)),
        "linewidth": 1.5,
    }


def _drawable(values: List[Optional[float]]) -> List[float]:
    return [float("nan") if value is None else value for value in values]
