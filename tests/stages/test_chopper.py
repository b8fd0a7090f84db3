"""The chopper: signs, flips at the right moments, and the state of its random numbers."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Callable, List

import pytest
import torch

from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.timing import TransferTiming


def chopper(**changes: Any) -> Chopper:
    """Return a chopper of 5 lines with 3 cells each."""
    settings: Any = {
        "in_size": 5,
        "out_size": 3,
        "in_chop_prob": 0.25,
        "out_chop_prob": 0.0,
        "in_chop_random": False,
        "timing": TransferTiming(4),
        "seed": 1,
        "data_type": torch.float32,
    }
    return Chopper(**{**settings, **changes})


def flip_lines(stage: Chopper, lines: slice, sweep: int) -> List[int]:
    """Flip what is due after a read and return it."""
    flipped = stage.due(lines, sweep)
    stage.flip(flipped)
    return flipped


def flip_outputs(stage: Chopper) -> List[int]:
    """Flip what is due after a sweep and return it."""
    flipped = stage.outputs_due()
    stage.flip_outputs(flipped)
    return flipped


@pytest.mark.parametrize("dynamic", [True, False])
def test_regular_flips(dynamic: bool) -> None:
    """C++: a line flips when ``sweep % period + 1 == period``, each line in its own sweep."""
    stage = chopper(timing=TransferTiming(4, ends_phases=dynamic))
    for sweep in range(12):
        for line in range(5):
            before = stage.in_sign.clone()
            flipped = flip_lines(stage, slice(line, line + 1), sweep)
            assert flipped == ([line] if sweep % 4 == 3 else [])
            before[flipped] *= -1.0
            assert torch.equal(stage.in_sign, before)


def test_first_signs() -> None:
    """They alternate from line to line with the start in the first sweep, and flip together.

    With C++ AGAD's timing, as printed, and without a chopper they are 1.
    """
    stage = chopper(timing=TransferTiming.from_first_sweep(4))
    alternating = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])
    assert torch.equal(stage.in_sign, alternating)
    assert flip_lines(stage, slice(0, 5), 0) == []
    assert flip_lines(stage, slice(0, 5), 1) == [0, 1, 2, 3, 4]
    assert torch.equal(stage.in_sign, -alternating)
    for timing in (TransferTiming.agad(4, False), TransferTiming.printed(4)):
        assert torch.equal(chopper(timing=timing).in_sign, torch.ones(5))
    none = chopper(timing=TransferTiming.from_first_sweep(4), in_chop_prob=0.0)
    assert torch.equal(none.in_sign, torch.ones(5))


def test_no_flip_without_probability() -> None:
    """A probability of zero never flips, regular or random."""
    for random in (True, False):
        stage = chopper(in_chop_prob=0.0, in_chop_random=random)
        for sweep in range(20):
            assert flip_lines(stage, slice(0, 5), sweep) == []
            assert flip_outputs(stage) == []
        assert torch.equal(stage.signs(slice(0, 5)), torch.ones(5, 1))


@pytest.mark.parametrize("dynamic", [True, False])
def test_random_flips(dynamic: bool) -> None:
    """Frequency p per read; with a dynamic reference C++ also flips at each period's end.

    20000 fixed draws; the tolerance is 5 standard deviations of a binomial (6e-7), and the seed
    makes the outcome the same in every run.
    """
    n, p = 20000, 0.25
    stage = chopper(in_chop_random=True, timing=TransferTiming(4, ends_phases=dynamic), in_size=n)
    assert len(flip_lines(stage, slice(0, n), 0)) == pytest.approx(
        n * p, abs=5 * (n * p * 0.75) ** 0.5
    )
    last = flip_lines(stage, slice(0, n), 3)
    assert (len(last) == n) == dynamic


def test_array_flips_exactly_the_lines_that_it_returns() -> None:
    """Random flips of several lines at once."""
    stage = chopper(in_chop_random=True, timing=TransferTiming.printed(4), in_size=50)
    expected = torch.ones(50)
    for sweep in range(30):
        expected[flip_lines(stage, slice(10, 40), sweep)] *= -1.0
        assert torch.equal(stage.in_sign, expected)
    assert torch.equal(stage.in_sign[:10], torch.ones(10))
    assert torch.equal(stage.in_sign[40:], torch.ones(10))
    assert (stage.in_sign < 0).any()


def test_output_flips() -> None:
    """Output signs flip with their probability and exactly where reported."""
    stage = chopper(out_chop_prob=0.5, out_size=4000)
    expected = torch.ones(4000)
    flipped = flip_outputs(stage)
    expected[flipped] *= -1.0
    assert torch.equal(stage.out_sign, expected)
    # 5 standard deviations.
    assert len(flipped) == pytest.approx(2000, abs=5 * 1000**0.5)


def test_signs_are_an_outer_product() -> None:
    """``c_ij = in_i * out_j``, and modulation multiplies vectors with either factor."""
    stage = chopper(out_chop_prob=0.5)
    stage.in_sign.copy_(torch.tensor([1.0, -1.0, -1.0, 1.0, -1.0]))
    stage.out_sign.copy_(torch.tensor([-1.0, 1.0, -1.0]))
    outer = torch.outer(stage.in_sign, stage.out_sign)
    assert torch.equal(stage.signs(slice(0, 5)), outer)
    assert torch.equal(stage.signs(slice(1, 3)), outer[1:3])
    x, d = torch.randn(4, 5), torch.randn(4, 3)
    before = x.clone()
    lines, cells = stage.modulate(x, d)
    assert torch.equal(lines, x * stage.in_sign)
    assert torch.equal(cells, d * stage.out_sign)
    assert torch.equal(x, before)
    residual = torch.randn(2, 3)
    expected = residual * outer[2:4] * 0.3
    assert torch.allclose(stage.demodulate(slice(2, 4), residual, 0.3), expected, rtol=1e-6)


@pytest.mark.parametrize("out_chop_prob", [0.0, 0.5])
def test_modulation_through_the_flips(out_chop_prob: float) -> None:
    """Products have the signs before, between and after flips, and after signs were loaded."""
    stage = chopper(out_chop_prob=out_chop_prob)
    x, d = torch.randn(4, 5), torch.randn(4, 3)
    untouched = x.clone(), d.clone()
    n_all_flipped = 0
    for read in range(100):
        sweep, line = divmod(read, 5)
        flip_lines(stage, slice(line, line + 1), sweep)
        flip_outputs(stage)
        if read == 60:
            stage.load_state_dict(chopper(out_chop_prob=out_chop_prob).state_dict())
        n_all_flipped += int((stage.in_sign < 0.0).all())
        lines, cells = stage.modulate(x, d)
        signs = torch.outer(stage.in_sign, stage.out_sign)
        found = lines.unsqueeze(2) * cells.unsqueeze(1)
        assert torch.equal(found, x.unsqueeze(2) * d.unsqueeze(1) * signs)
    assert 10 < n_all_flipped < 90
    assert torch.equal(x, untouched[0])
    assert torch.equal(d, untouched[1])


def test_gradient_and_transfer_signs_cancel() -> None:
    """(18a) times (18b): chopping a gradient and undoing it at transfer is the identity."""
    stage = chopper(out_chop_prob=0.5)
    stage.in_sign.copy_(torch.tensor([1.0, -1.0, -1.0, 1.0, -1.0]))
    stage.out_sign.copy_(torch.tensor([-1.0, 1.0, -1.0]))
    x, d = torch.randn(5), torch.randn(3)
    lines, cells = stage.modulate(x.unsqueeze(0), d.unsqueeze(0))
    chopped = torch.outer(lines[0], cells[0])
    undone = stage.demodulate(slice(0, 5), chopped, 1.0)
    assert torch.equal(undone, torch.outer(x, d))


def test_state_continues_the_random_flips() -> None:
    """Save and load in the middle: signs and all later flips are the same."""
    stage = chopper(in_chop_random=True, out_chop_prob=0.4, timing=TransferTiming.printed(4))
    flip_lines(stage, slice(0, 5), 0)
    flip_outputs(stage)
    other = chopper(
        in_chop_random=True, out_chop_prob=0.4, timing=TransferTiming.printed(4), seed=99
    )
    other.load_state_dict(stage.state_dict())
    for sweep in range(20):
        assert flip_lines(stage, slice(0, 5), sweep) == flip_lines(other, slice(0, 5), sweep)
        assert flip_outputs(stage) == flip_outputs(other)
    assert torch.equal(stage.signs(slice(0, 5)), other.signs(slice(0, 5)))


def test_flips_leave_the_global_random_numbers_alone() -> None:
    """A chopper's flips do not depend on, nor change, torch's global generator."""
    stage = chopper(in_chop_random=True, out_chop_prob=0.4)
    state = torch.get_rng_state()
    flip_lines(stage, slice(0, 5), 0)
    flip_outputs(stage)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("way", [deepcopy, lambda chopper: chopper.double()], ids=["copy", "moved"])
def test_copies_and_moves_know_their_signs(way: Callable[[Chopper], Chopper]) -> None:
    """The copy of the signs on the host does not survive where signs were loaded before."""
    some = Chopper(4, 3, 0.3, 0.0, True, TransferTiming.printed(2), 1, torch.float32)
    vectors = torch.ones(1, 4), torch.ones(1, 3)
    some.modulate(*vectors)
    some.in_sign[1] = -1.0
    lines, _ = way(some).modulate(*vectors)
    assert lines[0].tolist() == [1.0, -1.0, 1.0, 1.0]
