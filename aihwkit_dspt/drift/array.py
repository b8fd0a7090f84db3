"""The symmetric points of one array, which can be moved."""

from __future__ import annotations

from functools import partial
from typing import Dict, List, Optional, Tuple

import torch
from aihwkit.exceptions import ArgumentError, ConfigError
from aihwkit.simulator.configs.devices import PulsedDevice
from torch import Generator, Tensor

from aihwkit_dspt.configs.checks import shown
from aihwkit_dspt.configs.tensor_checks import require_numbers
from aihwkit_dspt.devices import Response, response, symmetric_points
from aihwkit_dspt.devices.simulated import PERSISTENT
from aihwkit_dspt.drift.law import DriftLaw
from aihwkit_dspt.stages.uninterrupted import Call
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.moved_steps import require_movable, scaled_steps

MARGIN = 0.02
"""Part of its range by which a symmetric point keeps off the bounds of its cell."""


class MovingPoints:
    r"""The symmetric points of an array, and how they are moved to other places.

    A point is moved to :math:`w'` by other sizes of the pulses of its cell: those up by a factor
    :math:`f_+`, those down by :math:`f_-`, so that both are equal there:

    .. math:: f_+\, q_+(w') = f_-\, q_-(w'), \qquad f_+ s_+ + f_- s_- = s_+ + s_-

    with the sizes :math:`s_\pm` of pulses (``dwmin_up``, ``dwmin_down``). The second equation keeps
    their mean, and with it the granularity. It holds for every response.

    Args:
        name: what the array is called in messages and states.
        array: the array.

    Raises:
        ConfigError: if no cell has a symmetric point, or the cells cannot keep their weights.

    Attributes:
        points: ``[d_size, x_size]`` symmetric points, in weight units, ``nan`` where there is none.
        start: where they were at first.
        weights: ``[d_size, x_size]`` weights when pulses were counted last.
    """

    def __init__(self, name: str, array: Crossbar) -> None:
        self.name = name
        self.array = array
        is_pulsed = isinstance(array.device_config, PulsedDevice)
        if not is_pulsed or bool(self._true_points().isnan().all()):
            raise ConfigError(
                f"{name} has device={type(array.device_config).__name__}, whose cells have no "
                "symmetric point that could move: pass the numbers of other arrays (arrays=[...])"
            )
        self._devices: Optional[Tuple[object, int]] = None
        self._follow()
        self.start = self.points.clone()
        self.weights = self._weights()

    def _true_points(self) -> Tensor:
        parameters = self.array.device_parameters()
        return symmetric_points(self.array.device_config, parameters).values

    def _follow(self) -> None:
        """Take over the points of devices that were replaced, e.g. by those of a loaded state.

        Raises:
            ConfigError: if the new ones cannot keep their weights, as on a GPU below write noise.
        """
        devices = self.array.cpp, self.array.parameters_version
        known = self._devices
        if known is None or known[0] is not devices[0] or known[1] != devices[1]:
            require_movable(self.name, self.array)
            self.points, self._devices = self._true_points(), devices

    def _weights(self) -> Tensor:
        parameters = self.array.device_parameters()
        return parameters.get(PERSISTENT, self.array.weights.detach().cpu().clone())

    def moved(self, law: DriftLaw, n_steps: int, generator: Generator) -> List[Call]:
        """Return the calls that move all points as they do in so many steps, made in one go."""
        self._follow()
        array = self.array
        cells = response(array.device_config, array.device_parameters())
        n_pulses = torch.zeros_like(self.points)
        weights = self._weights() if law.wear else self.weights
        if law.wear:
            # At least so many: those that undid each other are not seen.
            step = cells.dw_min * cells.F(weights.double())
            n_pulses = ((weights - self.weights).abs() / step).nan_to_num(0.0, 0.0, 0.0)
        ahead = law.distance(self.points, self.start, n_pulses, n_steps, generator)
        calls, points = self._moved_to(cells, _within(self.points + ahead, cells))
        devices = self.array.cpp, self.array.parameters_version + 1
        own = {"points": points, "weights": weights, "_devices": devices}
        return [*calls, partial(vars(self).update, own)]

    def _moved_to(self, cells: Response, points: Tensor) -> Tuple[List[Call], Tensor]:
        """Return what moves points to other places, and where they are then.

        Those without a pulse of either sign there stay.
        """
        up, down = cells.q_plus(points), cells.q_minus(points)
        moves = (up > 0.0) & (down > 0.0)
        parameters = self.array.device_parameters()
        size_up, size_down = (parameters[f"dwmin_{sign}"].double() for sign in ("up", "down"))
        moves &= (size_up > 0.0) & (size_down > 0.0)
        ratio = down / up * size_up / size_down
        total = (size_up + size_down) / (1.0 + ratio)
        factors = total * ratio / size_up, total / size_down
        factor_up, factor_down = (factor.where(moves, 1.0) for factor in factors)
        calls = scaled_steps(self.array, factor_up, factor_down)
        return calls, points.where(moves, self.points)

    def state(self) -> Dict[str, Tensor]:
        """Return what has to be kept to go on."""
        return {name: getattr(self, name).clone() for name in ("points", "start", "weights")}

    def checked_state(self, state: object) -> Dict[str, Tensor]:
        """Return a state that fits this array.

        Raises:
            ArgumentError: if it does not.
        """
        names = ["points", "start", "weights"]
        if not isinstance(state, dict) or sorted(state) != sorted(names):
            raise ArgumentError(f"state of {self.name}={shown(state)} is not valid: pass {names}")
        sizes = self.array.d_size, self.array.x_size
        for name, values in state.items():
            filled = values.nan_to_num(0.0) if isinstance(values, Tensor) else values
            require_numbers(f"{self.name}.{name}", filled, sizes)
        return {name: values.clone() for name, values in state.items()}

    def load_state(self, state: Dict[str, Tensor]) -> None:
        """Set a state that was checked."""
        vars(self).update(state)
        self._devices = self.array.cpp, self.array.parameters_version


def _within(points: Tensor, cells: Response) -> Tensor:
    """Return points that are reflected near the bounds of their cells."""
    margin = MARGIN * (cells.w_max - cells.w_min)
    low, high = cells.w_min + margin, cells.w_max - margin
    points = torch.where(points > high, 2.0 * high - points, points)
    points = torch.where(points < low, 2.0 * low - points, points)
    return points.minimum(high).maximum(low)
