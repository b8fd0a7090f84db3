"""Exactly one pulse per cell, for every way in which aihwkit makes pulses."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.devices import ConstantStepDevice
from aihwkit.simulator.parameters.enums import PulseType

from aihwkit_dspt.zero_shifting import pulse_train
from aihwkit_dspt.zero_shifting.pulse_train import send_pulses
from tests.devices.simulated import make_tile

DW_MIN = 2.0**-10
NO_VARIATION = dict.fromkeys(("dw_min_dtod", "up_down_dtod", "w_max_dtod", "w_min_dtod"), 0.0)
# Counts pulses: each moves the weight by dw_min.
COUNTER = ConstantStepDevice(dw_min=DW_MIN, dw_min_std=0.0, w_max=5.0, w_min=-5.0, **NO_VARIATION)

UPDATES = {
    "default": {},
    "one slot": {"desired_bl": 1, "update_bl_management": False, "update_management": False},
    "one slot, managed": {"desired_bl": 1},
    "uncompressed": {"pulse_type": PulseType.STOCHASTIC},
    "mean count": {"pulse_type": PulseType.MEAN_COUNT},
    "deterministic": {"pulse_type": PulseType.DETERMINISTIC_IMPLICIT},
    "deterministic, 31 slots": {
        "pulse_type": PulseType.DETERMINISTIC_IMPLICIT,
        "update_bl_management": False,
        "update_management": False,
    },
    "rounded": {"res": 1 / 64, "sto_round": True},
}


def counts(tile, n_pulses, schedule, generator=None):
    """Return up minus down pulses of each cell."""
    before, sent = tile.tile.get_weights(), []
    send_pulses(tile.tile, n_pulses, schedule, generator, sent.append)
    assert sum(sent) == n_pulses
    return (tile.tile.get_weights() - before) / DW_MIN


def all_counts(tile, n_pulses, schedule, expected):
    """Return whether the counts of all cells are as expected.

    A single line that is not gets a second trial: aihwkit loses a pulse of probability one with
    probability 2**-25 (see below), 1e-3 for the 1001 pulses of 32 lines, 1e-6 in both.
    """
    wrong = ~expected(counts(tile, n_pulses, schedule))
    if min(int(wrong.any(0).sum()), int(wrong.any(1).sum())) == 1:
        wrong = ~expected(counts(tile, n_pulses, schedule))
    return not bool(wrong.any())


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_cyclic_pulses_alternate_on_all_cells(update):
    tile = make_tile(COUNTER, 16, **update)
    rate = tile.tile.get_learning_rate()
    assert all_counts(tile, 1, "cyclic", lambda found: found == 1.0)
    assert all_counts(tile, 2, "cyclic", lambda found: found == 0.0)
    assert all_counts(tile, 1001, "cyclic", lambda found: found == 1.0)
    assert tile.tile.get_learning_rate() == rate


@pytest.mark.parametrize("update", UPDATES.values(), ids=UPDATES)
def test_stochastic_pulses_are_one_per_cell(update):
    tile = make_tile(COUNTER, 16, **update)
    assert all_counts(tile, 1, "stochastic", lambda found: found.abs() == 1.0)
    odd = lambda found: (found % 2 == 1) & (found.abs() <= 61)  # noqa: E731
    assert all_counts(tile, 61, "stochastic", odd)


@pytest.mark.parametrize("size_limit", [2**22, 2**9], ids=["whole array", "blocks of rows"])
def test_stochastic_signs_are_fair_and_independent(monkeypatch, size_limit):
    monkeypatch.setattr(pulse_train, "NUMBERS_PER_CALL", size_limit)
    tile = make_tile(COUNTER, 64)
    n_pulses = 100
    signs = counts(tile, n_pulses, "stochastic", torch.Generator().manual_seed(1)).double()
    scores = signs / sqrt(n_pulses)
    # 5 sigma each: false alarm 6e-7. Mean, variance, and neighbours in both directions.
    assert abs(float(scores.mean())) < 5.0 / 64.0
    assert abs(float((scores**2).mean()) - 1.0) < 5.0 * sqrt(2.0) / 64.0
    for shifted in (scores.roll(1, 0), scores.roll(1, 1), scores.roll(8, 1), scores.T):
        assert abs(float((scores * shifted).triu(1).mean())) < 5.0 / 64.0
    # Same signs, same counts. aihwkit draws a uniform number that rounds to 1 with probability
    # 2**-25, and a pulse of probability one is lost then: 0.025 expected in these 8e5 draws
    # (seen: one cell in one of 300 repetitions), more than two with probability 3e-6.
    again = counts(tile, n_pulses, "stochastic", torch.Generator().manual_seed(1))
    assert (again.double() - signs).abs().sum() <= 2.0


@pytest.mark.parametrize("n_pulses", [1, 7, 8, 9, 64])
@pytest.mark.parametrize("schedule", ["cyclic", "stochastic"])
def test_chunks_send_all_pulses(monkeypatch, schedule, n_pulses):
    monkeypatch.setattr(pulse_train, "CELL_PULSES_PER_CALL", 4 * 16 * 64)
    tile = make_tile(COUNTER, 4)
    assert all_counts(tile, n_pulses, schedule, lambda found: found % 2 == n_pulses % 2)


@pytest.mark.parametrize(
    ("update", "field"),
    [
        ({"pulse_type": PulseType.NONE_WITH_DEVICE}, "pulse_type"),
        ({"update_bl_management": False, "update_management": False}, "desired_bl"),
        ({"um_grad_scale": 2.0}, "um_grad_scale"),
        ({"res": 0.3}, "res"),
    ],
)
def test_other_updates_are_refused(update, field):
    tile = make_tile(COUNTER, 4, **update)
    weights, rate = tile.tile.get_weights(), tile.tile.get_learning_rate()
    with pytest.raises(ConfigError, match=field):
        send_pulses(tile.tile, 10, "cyclic", None, lambda n_sent: None)
    assert torch.equal(tile.tile.get_weights(), weights)
    assert tile.tile.get_learning_rate() == rate
