"""The response functions of a device."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Optional

import torch
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.devices import PulsedDevice

from aihwkit_dspt.configs.checks import require_whole
from aihwkit_dspt.devices import Response, response, symmetric_points
from aihwkit_dspt.devices.simulated import nominal
from aihwkit_dspt.plots.style import COLOURS, GREY, axes_or_new, finish, leave_room
from aihwkit_dspt.tiles.crossbar import Crossbar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_WEIGHTS = 201

CURVES = (
    ("q_plus", "$q_+$ (up)", "-"),
    ("q_minus", "$q_-$ (down)", "--"),
    ("F", "$F = (q_- + q_+)/2$", "-."),
    ("G", "$G = (q_- - q_+)/2$", ":"),
)
"""Function of the response, label and line style."""


def response_curves(device: PulsedDevice, ax: Optional[Axes] = None, n_cells: int = 8) -> Axes:
    r"""Draw :math:`q_+`, :math:`q_-`, :math:`F`, :math:`G` and the symmetric point of a device.

    Thick lines are those of the cell without device-to-device variation, thin ones the up and down
    responses of some cells as the device draws them. All are over the weight that the tile reports,
    between the bounds.

    Args:
        device: one of aihwkit's pulsed devices.
        ax: where to draw, ``None`` for a new figure.
        n_cells: number of drawn cells.

    Returns:
        the axes.

    Raises:
        ImportError: if matplotlib is not installed.
        ConfigError: if the device is not a pulsed device of aihwkit.
        ArgumentError: if ``n_cells`` is negative.
    """
    if not isinstance(device, PulsedDevice):
        raise ConfigError(
            f"device={device!r} has no response functions: pass one of aihwkit's pulsed devices, "
            "e.g. SoftBoundsDevice()"
        )
    n_cells = require_whole("n_cells", n_cells, 0)
    ax = axes_or_new(ax)
    if n_cells > 0:
        drawn = deepcopy(device)
        drawn.construction_seed = drawn.construction_seed or 1  # the same picture every time
        for cell in _cells(drawn, n_cells):
            weights = _range(cell)
            for name, colour in (("q_plus", COLOURS[0]), ("q_minus", COLOURS[1])):
                values = getattr(cell, name)(weights).tolist()
                ax.plot(weights.tolist(), values, color=colour, alpha=0.3, linewidth=0.6)
        label = f"{n_cells} drawn cells, up and down"
        ax.plot([], [], color=GREY, linewidth=0.6, label=label)
    (cell,) = _cells(nominal(device), 1)
    weights = _range(cell)
    for (name, label, style), colour in zip(CURVES, COLOURS):
        values = getattr(cell, name)(weights).tolist()
        ax.plot(weights.tolist(), values, style, color=colour, linewidth=2, label=label)
    points = symmetric_points(nominal(device), Crossbar(1, 1, nominal(device)).device_parameters())
    if not points.n_missing:
        point = float(points.values)
        ax.axvline(point, color=GREY, linewidth=1)
        ax.plot([point], [0.0], "o", color="black", label=f"SP at {point:+.3g}", zorder=3)
    ax.axhline(0.0, color=GREY, linewidth=0.8)
    leave_room(ax)
    return finish(
        ax,
        f"Response of {type(device).__name__}",
        "weight [weight units]",
        r"mean step [units of $\Delta w_{min}$]",
        ncols=2,
    )


def _cells(device: PulsedDevice, n_cells: int) -> list[Response]:
    """Return the response of each cell of an array of the device, as vectors ``[N_WEIGHTS]``."""
    cells = response(device, Crossbar(n_cells, 1, device).device_parameters())
    return [cells.cells(torch.full((N_WEIGHTS,), index, device="cpu")) for index in range(n_cells)]


def _range(cell: Response) -> torch.Tensor:
    """Return weights from one bound to the other."""
    parts = torch.linspace(0, 1, N_WEIGHTS, dtype=torch.double, device="cpu")
    return torch.lerp(cell.w_min, cell.w_max, parts)
