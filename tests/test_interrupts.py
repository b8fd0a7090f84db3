"""An interrupted update leaves a state from which the next one is right, whatever the instant.

Nothing is random here, and transfers are counted in vectors. So a tile that was interrupted has to
be, after its next whole update, in the very state of a tile that got the vectors that were counted
until then and the same next update: no pulse lost between buffer and array, no line read twice, no
sweep miscounted, no weight off :math:`W + \\gamma\\, c \\circ (P - \\tilde Q)`.
"""

from __future__ import annotations

from itertools import cycle
from random import Random
from typing import Any, Dict

import pytest
import torch

from aihwkit_dspt import PulseMode, build_config
from tests.fuzz.checks import check, check_same, state
from tests.fuzz.instants import run_until_line, run_until_timer
from tests.helpers import draw_batch, quiet_device, quiet_tile, train
from tests.interrupt_cases import CASES, VARIATIONS
from tests.table import METHODS

N_BATCH = 4
N_INSTANTS = 25
"""Lines of an update before which it is interrupted, in the default run; of some 300."""

SOME = [
    f"{method}, {name}"
    for name, method in zip(VARIATIONS, cycle(["E-RIDER", "AGAD", "RIDER", "two-stage", "c-TTv2"]))
    if f"{method}, {name}" in CASES
]
SOME += [f"{method}, line" for method in METHODS if not any(method in name for name in SOME)]
SOME += [f"E-RIDER, {name}" for name in VARIATIONS if not any(name in case for case in SOME)]
"""Every variation and every method at least once."""


class Bench:
    """A trained tile that is interrupted, from the same state again and again.

    Args:
        name: name of the case.
        anew: whether each interrupt comes into the first update of a tile, which finds and makes
            what later ones have.
    """

    def __init__(self, name: str, anew: bool = False) -> None:
        self.tile = quiet_tile((2, 3), **CASES[name])
        self.name, self.anew = name, anew
        # Into the middle of a sweep, with the choppers of some lines flipped.
        train(self.tile, 9, N_BATCH)
        self.first, self.second = draw_batch(self.tile, N_BATCH), draw_batch(self.tile, N_BATCH)
        self.counted = self.vectors()
        self.state = self.tile.tile.dump_extra()
        self.expected: Dict[int, Dict[str, Any]] = {}

    def vectors(self) -> int:
        """Return how many vectors the tile has taken."""
        return int(self.tile.tile.pipeline.link.schedule.update_count)

    def restart(self) -> None:
        """Put the tile back to where it was, whatever is unfinished."""
        if self.anew:
            self.tile = quiet_tile((2, 3), **CASES[self.name])
        self.tile.tile.load_extra(self.state)

    def update(self) -> None:
        """Update the tile with the vectors of the first batch that it has not taken yet."""
        taken = (self.vectors() - self.counted) % N_BATCH
        self.tile.update(*(values[taken:] for values in self.first))

    def check(self) -> None:
        """Do the next whole update and check where that leads."""
        self.tile.update(*self.second)
        check(self.tile)
        found, taken = self.found(), self.vectors() - self.counted - N_BATCH
        if taken not in self.expected:
            self.expected[taken] = self.uninterrupted(taken)
        check_same(f"after {taken} vectors and an update", self.expected[taken], found)

    def uninterrupted(self, taken: int) -> Dict[str, Any]:
        """Return the state after as many vectors and the next update, in peace."""
        self.restart()
        for _ in range(taken // N_BATCH):
            self.tile.update(*self.first)
        self.tile.update(*(values[: taken % N_BATCH] for values in self.first))
        self.tile.update(*self.second)
        return self.found()

    def found(self) -> Dict[str, Any]:
        """Return what has to be equal: everything, but for what is done once more as well.

        A random flip that was drawn and not done is drawn anew. An analog reference is programmed
        anew from where it is, which may bring it nearer to its target.
        """
        found, config = state(self.tile), self.tile.rpu_config.device
        if not config.out_chop_prob and config.reference_device is None:
            return found
        extra = found["extra"]
        kept = {"schedule": extra["schedule"], "cycles": extra["counters"]["update_cycles"]}
        if not config.out_chop_prob:
            names = ("fast_weights", "sp_estimate", "chopper")
            kept.update({name: found["values"][name] for name in names})
        return kept

    def n_lines(self) -> int:
        """Return how many lines an update executes."""
        number = 0
        self.restart()
        while run_until_line(self.update, number):
            self.restart()
            number += 20
        return number


def interrupt_at(name: str, n_instants: int, anew: bool = False) -> None:
    """Interrupt an update before some of its lines."""
    bench, random = Bench(name, anew), Random(name)
    n_lines = bench.n_lines()
    assert n_lines > 100  # an update is that long
    for number in random.sample(range(n_lines), min(n_instants, n_lines)):
        bench.restart()
        run_until_line(bench.update, number)
        bench.check()


@pytest.mark.parametrize("name", CASES)
def test_instants_of_an_update(name: str) -> None:
    """An interrupt before some of the lines that are executed in an update."""
    interrupt_at(name, N_INSTANTS)


@pytest.mark.parametrize("method", METHODS)
def test_instants_of_the_first_update(method: str) -> None:
    """An update that makes what later ones find made."""
    interrupt_at(f"{method}, line", 3 * N_INSTANTS, anew=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_instant_of_an_update(name: str) -> None:
    """An interrupt before each line that is executed in an update."""
    interrupt_at(name, 10_000)


@pytest.mark.parametrize("name", SOME)
def test_interrupts_one_after_the_other(name: str) -> None:
    """Three updates in a row are interrupted; what recovers is interrupted, too."""
    bench, random = Bench(name), Random(name)
    for _ in range(6):
        bench.restart()
        for _ in range(3):
            run_until_line(bench.update, random.randrange(100))
        bench.check()


@pytest.mark.parametrize("name", SOME)
def test_signals(name: str) -> None:
    """A signal, as Ctrl-C sends it, while updates follow each other."""
    bench, random = Bench(name), Random(name)
    for _ in range(5):
        bench.restart()
        run_until_timer(bench.update, random.uniform(1e-4, 2e-3))
        bench.check()


def test_signals_while_pulses_are_drawn() -> None:
    """An interrupt of compiled code comes out as what it is: callers look for no other error."""
    config = build_config("e-rider", quiet_device(), pulse_mode=PulseMode.BATCHED)
    batched = config.tile_class(30, 40, config).tile.pipeline.fast.batched
    x, d = torch.rand(8, 40), torch.rand(8, 30)
    largest = x[:, 0].numpy()
    random = Random(1)
    calls = [
        lambda: batched.draw(x, d, 0.1),
        lambda: batched.trains_of_lines(largest, True, 1.0),
    ]
    for call in calls:
        call()  # compiled by now
        for _ in range(20):
            run_until_timer(call, random.uniform(1e-4, 1e-3))
