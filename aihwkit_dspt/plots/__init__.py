"""Pictures of symmetric points, devices and costs; they need matplotlib, and no display.

Each function draws on the matplotlib ``Axes`` that it is given, or on those of a new figure, and
returns them: ``sp_scatter(tile).figure.savefig("scatter.png")``.
"""

from aihwkit_dspt.plots.costs import cost_bars
from aihwkit_dspt.plots.filter_plot import filter_spectrum
from aihwkit_dspt.plots.response_curves import response_curves
from aihwkit_dspt.plots.scatter import sp_scatter
from aihwkit_dspt.plots.sp_error import sp_error_over_time

__all__ = [
    "cost_bars",
    "filter_spectrum",
    "response_curves",
    "sp_error_over_time",
    "sp_scatter",
]
