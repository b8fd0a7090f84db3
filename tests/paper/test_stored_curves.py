"""One cell of Table 2 again for one epoch, against the stored curves.

After one epoch, the loss of E-RIDER in the cell (0.4, 0.4) is near 2.25 (gamma 0.1, lr 0.05) with a
standard deviation of 0.01, over seeds as over repetitions of one seed; chance is 2.303. What goes
wrong in the method mostly stays near chance. ``test_what_is_told_apart`` has what was measured by
hand: another method, ``gamma=0`` and symmetric points of the other sign are noticed.

Not everything is. ``W + gamma*c*(P + Q~)`` in the read gave a loss of 2.284, three standard
deviations off, which just passes; P + Q~ in the transfer does nothing in the first epoch, in which
the first layer transfers nothing. The tests of parity and algebra are there for both.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Dict, List

import pytest
from common.data import ENVIRONMENT
from core.command import RESULTS
from core.execute import execute
from core.results_file import read_results
from core.run import Run

from tests.paper.scripts import result_of, tiny
from tests.paper.stored import disagreement, stored_cells

DATA_ROOT = os.environ.get(ENVIRONMENT)
"""Taken before the fixture of these tests removes it."""

ERIDER = tiny("E-RIDER", settings={"gamma": 0.1}, epochs=40)
MEASURED = {1: (2.24547, 21.06), 2: (2.2643, 10.28), 3: (2.25179, 21.55)}
"""Seed -> loss and accuracy after the first epoch on MNIST, aihwkit 1.1.0."""


def measured(run: Run = ERIDER) -> List[Dict[str, Any]]:
    """Return the measured first epochs as stored results."""
    return [
        result_of(replace(run, seed=seed), [accuracy, 90.0], [loss, 0.5])
        for seed, (loss, accuracy) in MEASURED.items()
    ]


@pytest.mark.slow
@pytest.mark.skipif(not DATA_ROOT, reason=f"{ENVIRONMENT} is not set: no MNIST")
def test_first_epoch_is_as_stored() -> None:
    """Loss and accuracy of the stored cell that tells most are within its spread."""
    cells = stored_cells(read_results(RESULTS / "table2.jsonl").values())
    # A single pair can be alike by chance: seeds 1 and 2 of E-RIDER differ by a loss of 0.0025,
    # where repetitions have a standard deviation of 0.01, and a right run was refused.
    cells = [cell for cell in cells if cell.freedom > 1]
    if not cells:
        pytest.skip("results/table2.jsonl has neither three runs of a cell nor two of two cells")
    if cells[0].power <= 1.0:
        pytest.skip("after one epoch no stored cell is further from chance than its spread")
    told = disagreement(cells[0], lambda run: execute(run, DATA_ROOT))
    assert told is None, told


@pytest.mark.parametrize(
    ("loss", "accuracy", "agrees"),
    [
        pytest.param(2.25345, 19.97, True, id="the same again"),
        pytest.param(2.26022, 9.82, True, id="the same once more"),
        pytest.param(2.30659, 11.35, False, id="SP of the other sign"),
        pytest.param(2.30625, 16.58, False, id="SP of the other sign, seed 2"),
        pytest.param(2.30217, 10.46, False, id="AGAD"),
        pytest.param(2.30049, 11.29, False, id="TT-v2"),
        pytest.param(2.30622, 11.35, False, id="RIDER"),
        pytest.param(2.30429, 11.35, False, id="gamma=0"),
        pytest.param(float("nan"), 9.8, False, id="diverged"),
    ],
)
def test_what_is_told_apart(loss: float, accuracy: float, agrees: bool) -> None:
    """Measured first epochs on MNIST, right and wrong ones, against three stored seeds."""
    (cell,) = stored_cells(measured())
    assert cell.power > 1.0
    told = disagreement(cell, lambda run: result_of(run, [accuracy], [loss]))
    assert (told is None) == agrees, told


def test_one_of_two_attempts_is_enough() -> None:
    """A single run may be outside by chance."""
    (cell,) = stored_cells(measured())
    asked = []

    def unlucky(run: Run) -> Dict[str, Any]:
        asked.append(run)
        return result_of(run, [20.0], [2.30 if len(asked) == 1 else 2.25])

    assert disagreement(cell, unlucky) is None
    assert asked == [replace(ERIDER, seed=seed, epochs=1) for seed in (1, 2)]


def test_choice_of_the_cell() -> None:
    """Two seeds are needed; other data and other settings are not mixed; cells share their s."""
    agad = replace(ERIDER, method="AGAD", settings={})
    near_chance = [
        result_of(replace(agad, seed=seed), [11.0 + seed], [2.302 + 0.001 * seed])
        for seed in (1, 2)
    ]
    single = result_of(replace(agad, reference_std=1.0), [11.0], [2.2])
    digits = [{**result, "data": "digits"} for result in measured(replace(ERIDER, lr=0.1))]
    assert stored_cells([single, *digits]) == []
    best, other = stored_cells([*near_chance, single, *digits, *measured()])
    assert [run.method for run in best.runs] == ["E-RIDER"] * 3
    assert other.power < 1.0

    wide = [
        result_of(replace(ERIDER, reference_std=1.0, seed=seed), [20.0], [2.2 + 0.1 * seed])
        for seed in (1, 2)
    ]
    pooled = stored_cells([*measured(), *wide])
    assert {cell.loss.half_width > 2 * best.loss.half_width for cell in pooled} == {True}

    # A shorter run has the same first epoch.
    longer, shorter, *_ = measured()
    shorter["run"].update(epochs=2, lr_steps={"1": 0.5})
    assert [cell.freedom for cell in stored_cells([longer, shorter])] == [1]
