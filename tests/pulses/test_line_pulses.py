"""Pulses on lines against aihwkit's tile: exactly without chance, in distribution with it."""

from __future__ import annotations

from typing import Any, Dict

import pytest
import torch
from aihwkit.simulator.configs.devices import ConstantStepDevice, SoftBoundsDevice
from aihwkit.simulator.parameters.training import UpdateParameters
from torch import Tensor

from aihwkit_dspt.fused.line_pulses_cpu import FEWEST_BESIDE
from aihwkit_dspt.fused.trains_cpu import MOST_SLOTS
from aihwkit_dspt.pulses.batched import BatchedPulses
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.lines import LineAccess
from tests.device_table import NOISY, quiet
from tests.pulses.laws import (
    D_SIZE,
    X_SIZE,
    arrays,
    noisy_cases,
    same_correlations,
    same_law,
    samples,
)

UPDATES: Dict[str, Dict[str, Any]] = {
    # Inputs of one and up to BL pulses, as build_config makes them: the lines have chance, too.
    "transfer": {"update_bl_management": False, "update_management": True},
    "managed": {},
    "unmanaged": {"update_bl_management": False, "update_management": False},
}
"""Name -> update parameters."""


def access(columns: bool) -> LineAccess:
    """Return access to the columns or rows of the arrays."""
    return LineAccess(X_SIZE if columns else D_SIZE, columns)


def steps(columns: bool, lines: slice, most: float) -> Tensor:
    """Return whole numbers of pulses for the cells of lines, of either sign."""
    out_size = D_SIZE if columns else X_SIZE
    return torch.empty(lines.stop - lines.start, out_size).uniform_(-most, most).round()


@pytest.mark.parametrize(("name", "update", "columns"), noisy_cases(list(UPDATES), [True, False]))
def test_same_law_as_the_tile(name: str, update: str, columns: bool) -> None:
    """Weights, their spread, distribution and correlation along lines."""
    torch.manual_seed(21)
    length = 12
    tile, batched = arrays(NOISY[name](), UpdateParameters(desired_bl=length, **UPDATES[update]))
    lines = slice(0, 3)
    values = steps(columns, lines, length - 2)
    tile.program(torch.empty(D_SIZE, X_SIZE).uniform_(-0.3, 0.3))
    start = tile.weights.clone()

    def send(array: Crossbar) -> None:
        access(columns).pulse(array, lines, values, array.granularity)

    wanted, found = samples(tile, start, send), samples(batched, start, send)
    assert not torch.equal(wanted.mean(0), start.flatten())
    assert same_law(found, wanted, start, is_dense=False)
    assert same_correlations(found, wanted)


@pytest.mark.parametrize("columns", [True, False], ids=["columns", "rows"])
@pytest.mark.parametrize("length", [12, MOST_SLOTS + 9])
def test_same_law_of_many_cells_side_by_side(length: int, columns: bool) -> None:
    """Of which most, or few, may have pulses; trains differ from line to line, and have chance."""
    torch.manual_seed(24)
    n_cells = 3 * FEWEST_BESIDE
    update = UpdateParameters(desired_bl=length, update_bl_management=False)
    tile, batched = arrays(NOISY["soft"](), update, x_size=n_cells)
    lines = slice(0, n_cells if columns else D_SIZE)
    values = torch.empty(D_SIZE, n_cells).uniform_(-0.8 * length, 0.8 * length).round()
    values[1] = 0.0
    values[1, :2] = 3.0
    values[:, 3] *= 0.1
    values = values.t().contiguous() if columns else values
    tile.program(torch.empty(D_SIZE, n_cells).uniform_(-0.3, 0.3))
    start = tile.weights.clone()

    def send(array: Crossbar) -> None:
        LineAccess(n_cells if columns else D_SIZE, columns).pulse(
            array, lines, values, array.granularity
        )

    wanted, found = samples(tile, start, send), samples(batched, start, send)
    assert not torch.equal(wanted.mean(0), start.flatten())
    assert same_law(found, wanted, start, is_dense=False)
    assert same_correlations(found, wanted)


@pytest.mark.parametrize("columns", [True, False], ids=["columns", "rows"])
@pytest.mark.parametrize("lines", [slice(0, 3), slice(1, 2), slice(2, 3)], ids=str)
def test_certain_pulses_are_those_of_the_tile(lines: slice, columns: bool) -> None:
    """Each cell asks for the longest train or nothing, so that nothing is left to chance."""
    torch.manual_seed(22)
    tile, batched = arrays(quiet(SoftBoundsDevice, dw_min=0.002), UpdateParameters(desired_bl=9))
    start = torch.empty(D_SIZE, X_SIZE).uniform_(-0.2, 0.2)
    values = steps(columns, lines, 1.0) * 9.0
    values[:, 0] = 9.0
    for array in (tile, batched):
        array.place(start)
        access(columns).pulse(array, lines, values, array.granularity)
    assert not torch.equal(tile.weights, start)
    # Taken at once the step is integrated instead of summed: one step's change of the last.
    assert torch.allclose(batched.weights, tile.weights, atol=2e-4)


def test_few_pulses_are_left_to_the_tile() -> None:
    """By default, but for weights below write noise that are ahead of those of the tile."""
    crossbar = Crossbar(40, 40, ConstantStepDevice(dw_min=0.001))
    crossbar.batched = BatchedPulses(crossbar, UpdateParameters(), False)
    few, rate = torch.zeros(40, 40), crossbar.granularity
    few[3] = 9.0
    assert not crossbar.batched.takes_lines(few, rate)
    assert crossbar.batched.takes_lines(few, 10.0 * rate)
    assert not crossbar.batched.takes_lines(few[3:4], 100.0 * rate)
    crossbar.keep_persistent(crossbar.values)
    assert crossbar.batched.takes_lines(few[3:4], rate)
