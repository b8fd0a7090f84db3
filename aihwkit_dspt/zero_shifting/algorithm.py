"""Zero-shifting of one array (paper, section 2, Algorithm 1)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple, Optional, Tuple

import torch
from aihwkit.exceptions import ConfigError, TileError
from aihwkit.simulator.configs.devices import PulsedDevice
from torch import Tensor
from tqdm import tqdm

from aihwkit_dspt.configs.checks import require_choice, require_flag, require_whole
from aihwkit_dspt.configs.tensor_checks import require_generator
from aihwkit_dspt.devices import LinearResponse, symmetric_points
from aihwkit_dspt.zero_shifting.closed_form import closed_form
from aihwkit_dspt.zero_shifting.pulse_train import send_pulses
from aihwkit_dspt.zero_shifting.pulsed_array import PulsedArray
from aihwkit_dspt.zero_shifting.vectorised import simulate_pulses

SCHEDULES = ("cyclic", "stochastic")
MOST_PULSES = 2**53
"""Most pulses of a cell: larger numbers are not exact in double precision."""
METHODS = ("pulses", "closed-form", "vectorised", "auto")
# Seconds before a progress bar appears.
PROGRESS_DELAY = 2.0


@dataclass(frozen=True)
class ZeroShiftResult:
    """Estimate of the symmetric points of one array, and what it took."""

    estimate: Tensor
    """Estimated symmetric points ``[out_size, in_size]``: the visible weights after the last
    pulse, in the units that the tile reports and its data type."""

    n_pulses: int
    """Number of pulses that each cell received."""

    schedule: str
    """``"cyclic"`` or ``"stochastic"``."""

    method: str
    """How the pulses were computed: ``"pulses"``, ``"closed-form"`` or ``"vectorised"``."""


def zero_shift(
    array: object,
    n_pulses: int,
    schedule: str = "cyclic",
    method: str = "pulses",
    *,
    device: Optional[PulsedDevice] = None,
    store: bool = True,
    generator: Optional[torch.Generator] = None,
    progress: bool = True,
) -> ZeroShiftResult:
    r"""Estimate the symmetric points of an array by zero-shifting (paper, Algorithm 1).

    Every cell receives ``n_pulses`` pulses. The weight at which it ends is the estimate, and
    with ``store`` the weight that the array is left with. Decay, diffusion and drift, which
    aihwkit applies per mini-batch, are left out.

    A failed or interrupted call leaves the array as it was. For that, the simulator tile is copied
    first, and the copy becomes ``array.tile`` if the pulses do not come to their end. (A C++
    tile passed alone cannot be exchanged: if it has write noise or weights beyond the bounds that
    aihwkit sets, an interrupted call restores it up to those.)

    The weight that a tracking tile computes with follows its fast array at once,
    :math:`\bar W = W + \gamma\, c \circ (P - \tilde Q)`, and the pulses are counted as those of a
    calibration. To make the result its reference, keeping the weight, call
    :func:`~aihwkit_dspt.calibrate`.

    Args:
        array: a tracking tile, whose fast array is zero-shifted; one of aihwkit's analog tiles
            with a single pulsed device; a layer with one such tile; any other object with the C++
            tile in its attribute ``tile``; or the C++ tile itself.
        n_pulses: number of pulses per cell, from 1 to 2**53.
        schedule: ``"cyclic"``: up, down, up, ... on all cells; ``"stochastic"``: independent fair
            signs per cell and pulse.
        method: ``"pulses"``: aihwkit's C++ pulses one by one; ``"closed-form"``: in a time
            that does not depend on ``n_pulses``, for steps linear in the weight, see
            :func:`~aihwkit_dspt.zero_shifting.closed_form` for what is exact;
            ``"vectorised"``: one by one in torch, see
            :func:`~aihwkit_dspt.zero_shifting.simulate_pulses`; ``"auto"``: closed
            form where it exists, applies and can be stored, else pulses.
        device: device configuration of the array, if ``array`` does not tell.
        store: whether the array keeps the weights after the last pulse; otherwise it stays as it
            was and only the estimate is returned.
        generator: source of random numbers, to repeat a draw. aihwkit's noise ignores it.
        progress: whether to show a progress bar when the pulses take more than two seconds.

    Returns:
        the estimate and what it took.

    Raises:
        ArgumentError: if ``n_pulses``, ``schedule``, ``method``, ``store``, ``generator`` or
            ``progress`` is not valid.
        ConfigError: if the device is not a single pulsed device, no cell of the array has a
            symmetric point, the device has no closed form, or the update parameters of the array
            do not allow single pulses.
        TileError: if the weights are not finite, the array lives on a GPU, the closed form does not
            apply, or its result cannot be stored.
    """
    n_pulses = require_whole("n_pulses", n_pulses, 1, MOST_PULSES)
    require_choice("schedule", schedule, SCHEDULES)
    require_choice("method", method, METHODS)
    require_flag("store", store)
    require_flag("progress", progress)
    require_generator(generator)
    target = PulsedArray(array, device)
    order = _Order(target, n_pulses, schedule, store, generator, progress)
    estimate, method = order.carry_out(method)
    if store:
        target.was_pulsed(n_pulses)
    return ZeroShiftResult(estimate, n_pulses, schedule, method)


class _Order(NamedTuple):
    """What to do with which array; see :func:`zero_shift`."""

    target: PulsedArray
    n_pulses: int
    schedule: str
    store: bool
    generator: Optional[torch.Generator]
    progress: bool

    def carry_out(self, method: str) -> Tuple[Tensor, str]:
        """Return the estimate ``[out_size, in_size]`` and the method that gave it."""
        target = self.target
        missing = symmetric_points(target.device, target.hidden_parameters()).n_missing
        if missing == target.cells.w_min.numel():
            raise ConfigError(
                f"device={type(target.device).__name__}: no cell of the array has a symmetric "
                "point inside its bounds, so pulses do not come to rest. Pass an array of another "
                "device."
            )
        if method == "auto":
            method = "pulses"
            if isinstance(target.cells, LinearResponse):
                with suppress(TileError):
                    return self._computed("closed-form"), "closed-form"
        return self._pulsed() if method == "pulses" else self._computed(method), method

    def _bar(self) -> tqdm:
        options = {"delay": PROGRESS_DELAY, "leave": False, "disable": not self.progress}
        return tqdm(total=self.n_pulses, unit="pulse", **options)

    def _pulsed(self) -> Tensor:
        """Send the pulses to the array, or to a copy of it."""
        copy = self.target.copy()
        with self._bar() as bar:
            settings = self.n_pulses, self.schedule, self.generator, bar.update
            if not self.store:
                send_pulses(copy, *settings)
                weights: Tensor = copy.get_weights()
                return weights
            try:
                send_pulses(self.target.cpp, *settings)
            except BaseException:
                self.target.restore(copy)
                raise
        return self.target.weights()

    def _computed(self, method: str) -> Tensor:
        """Compute the weights after the pulses, then set them."""
        target, start = self.target, self.target.persistent_weights()
        settings = self.n_pulses, self.schedule, self.generator
        if method == "closed-form":
            persistent = closed_form(target.linear_cells, start, *settings)
        else:
            with self._bar() as bar:
                persistent = simulate_pulses(target.cells, start, *settings, bar.update)
        persistent = persistent.to(target.weights().dtype)
        visible = target.with_write_noise(persistent, self.generator)
        if not self.store:
            return visible
        objection = target.why_not_storable(persistent)
        if objection is not None:
            raise TileError(
                f"The result of method={method!r} cannot be stored: {objection}. Pass "
                "method='pulses', or store=False for the estimate alone."
            )
        target.store(persistent, visible)
        return target.weights()
