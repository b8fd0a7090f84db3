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
        (TransferTiming.from_first_sweep(20), [2, 4, 8, 16, 20, 40, 60]),
        (TransferTiming.from_first_sweep(2), list(range(2, 65, 2))),
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


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_increments_fall(scale: float) -> None:
    """``min(sqrt(K / k) / gamma_n, 4)`` in the k-th sweep."""
    for timing in (TransferTiming.printed(20), TransferTiming.from_first_sweep(200)):
        annealed = replace(timing, anneal_sweeps=100.0)
        falling = {1: 10.0, 4: 5.0, 25: 2.0, 100: 1.0, 400: 0.5, 10_000: 0.1}
        gains = {k: min(gain / scale, 4.0) for k, gain in falling.items()}
        assert {k: annealed.gain(k - 1, scale) for k in gains} == gains
        assert [timing.gain(k - 1, scale) for k in gains] == [1.0] * len(gains)


def test_faster_start() -> None:
    """It is over after 12 sweeps, and there where phases settle only."""
    timing = TransferTiming.from_first_sweep(20)
    assert [timing.start(sweep) for sweep in (0, 3, 6, 9, 12, 1000)] == [1, 0.75, 0.5, 0.25, 0, 0]
    for other in (TransferTiming.agad(20, False), TransferTiming.printed(20)):
        assert other.start(0) == 0.0
