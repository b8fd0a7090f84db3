"""What all pictures share: axes without a display, and colours that everyone can tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from aihwkit.exceptions import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (
    "#0072B2",  # blue
    "#D55E00",  # vermillion
    "#009E73",  # bluish green
    "#CC79A7",  # reddish purple
    "#E69F00",  # orange
    "#56B4E9",  # sky blue
    "#000000",  # black
)
"""Colours of Okabe and Ito, for colour-blind and other readers; yellow is too pale for lines."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""As many markers, so that nothing is told by colour alone."""

GREY = "#777777"


def axes_or_new(ax: Optional[Axes], width: float = 6.4, height: float = 4.4) -> Axes:
    """Return the given axes, or those of a new figure (inches) that no window and no pyplot knows.

    Raises:
        ImportError: if matplotlib is not installed.
        ArgumentError: if ``ax`` is something else.
    """
    try:
        from matplotlib.axes import Axes
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib, which is not installed: pip install 'aihwkit-dspt[plots]'"
        ) from error
    if ax is None:
        return Figure(figsize=(width, height), layout="constrained").add_subplot()
    if not isinstance(ax, Axes):
        raise ArgumentError(f"ax={ax!r} is not valid: pass matplotlib Axes, or None for new ones")
    return ax


def leave_room(ax: Axes, share: float = 0.25) -> None:
    """Make the vertical axis longer at its upper end, so that the legend hides nothing."""
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + share * (high - low))


def finish(ax: Axes, title: str, xlabel: str, ylabel: str, ncols: int = 0) -> Axes:
    """Put title, labels with units, grid and legend on the axes and return them.

    The legend has ``ncols`` columns at the upper end of the axes, or is where there is room (0).
    """
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.grid(alpha=0.3, linewidth=0.6)
    ax.set_axisbelow(True)
    place = {"loc": "upper center", "ncols": ncols} if ncols else {"loc": "best"}
    ax.legend(fontsize="small", framealpha=0.9, **place)
    return ax
