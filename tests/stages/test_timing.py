"""When phases end and pulses start, against lists that were written by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import List

import pytest

from aihwkit_dspt.stages.timing import TransferTiming


def ends(timing: TransferTiming, n_sweeps: int) -> List[int]:
    """Return the numbers of the sweeps, from 1, that end a phase."""
    return [sweep + 1 for sweep in range(n_sweeps) if timing.ends_phase(sweep)]


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        (TransferTiming.agad(20, False), [20, 40, 60]),
        (TransferTiming.agad(2, True), list(range(2, 65, 2))),
        (TransferTiming.printed(20), [20, 40, 60]),
        (TransferTiming.from_first_sweep(20), [1, 2, 4, 8, 16, 20, 40, 60]),
        (TransferTiming.from_first_sweep(2), [1, *range(2, 65, 2)]),
    ],
)
def test_phases(timing: TransferTiming, expected: List[int]) -> None:
    """Regular, or short at first."""
    assert ends(timing, 64) == expected


def test_first_write() -> None:
    """C++ AGAD waits for its first reference, which is used in the sweep after the period."""
    assert [TransferTiming.agad(20, False).writes(sweep) for sweep in (0, 20, 21)] == [
        False,
        False,
        True,
    ]
    for timing in (
        TransferTiming.agad(20, True),
        TransferTiming.printed(20),
        TransferTiming.from_first_sweep(20),
    ):
        assert timing.writes(0)


def test_increments_are_larger_while_phases_are_short() -> None:
    """``min(max(T / k, 1), 4)`` in the k-th sweep, and nothing of that in the other timings."""
    timing = TransferTiming.from_first_sweep(20)
    gains = {1: 4.0, 5: 4.0, 8: 2.5, 10: 2.0, 20: 1.0, 21: 1.0, 1000: 1.0}
    assert {k: timing.gain(k - 1) for k in gains} == gains
    assert TransferTiming.agad(20, False).gain(0) == TransferTiming.printed(20).gain(0) == 1.0


@pytest.mark.parametrize("since", [0, 700])
def test_increments_fall(since: int) -> None:
    """``min(K / k, 1)`` in the k-th sweep since the target is written."""
    timing = replace(TransferTiming.printed(20), anneal_sweeps=50.0)
    gains = {1: 1.0, 50: 1.0, 100: 0.5, 5000: 0.01}
    assert {k: timing.gain(since + k - 1, since) for k in gains} == gains
    timing = replace(TransferTiming.from_first_sweep(200), anneal_sweeps=50.0)
    assert [timing.gain(k - 1) for k in (50, 100, 400)] == [4.0, 1.0, 0.125]
