"""The compiled pass over lines against the stages, bit by bit."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any, Dict, Optional

import pytest
import torch
from torch import Tensor

from aihwkit_dspt.tiles import transfer_stages
from aihwkit_dspt.stages.buffer import TransferBuffer
from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.estimators import SymmetricPointEstimator
from aihwkit_dspt.stages.event import Stage, TransferEvent
from aihwkit_dspt.stages.transfer import TransferStages

IN_SIZE, OUT_SIZE = 6, 37
BUFFERS: Dict[str, Dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.3},
    "keeps-pulses": {"forget_buffer": False},
    "cap": {"forget_buffer": False, "buffer_cap": 0.7, "momentum": 0.2},
    "no-buffer": {"no_buffer": True},
    "one-step": {"max_steps": 1, "momentum": 0.9},
}


def stages(
    settings: Dict[str, Any], out_chop_prob: float, tracks: bool, dtype: torch.dtype
) -> TransferStages:
    """Return stages with random signs, buffer, estimate and reference."""
    plain = {
        **{"max_steps": 3, "momentum": 0.0, "forget_buffer": True},
        **{"buffer_cap": 0.0, "no_buffer": False},
    }
    chopper = Chopper(IN_SIZE, OUT_SIZE, 0.3, out_chop_prob, True, 1, False, 5, dtype)
    buffer = TransferBuffer(IN_SIZE, OUT_SIZE, **{**plain, **settings}, data_type=dtype)
    estimator = SymmetricPointEstimator(IN_SIZE, OUT_SIZE, 0.13, dtype)
    for values in (buffer.hidden, estimator.sp_estimate, estimator.reference):
        values.normal_()
    chopper.in_sign.copy_(torch.randn(IN_SIZE).sign())
    if out_chop_prob > 0.0:
        chopper.out_sign.copy_(torch.randn(OUT_SIZE).sign())
    return TransferStages(chopper, buffer, estimator, tracks)


def take(of: TransferStages, lines: slice, read: Tensor, beta: float) -> TransferEvent:
    """Return the event of a read that was taken."""
    event = TransferEvent(3, lines, 0, beta, True)
    of.take(event, read, None)
    assert event.stage is Stage.TAKEN
    return event


def values(of: TransferStages) -> Dict[str, Tensor]:
    """Return the tensors of the stages by name."""
    return {**of.buffer.state_dict(), **of.estimator.state_dict()}


def same(found: Optional[Tensor], expected: Optional[Tensor]) -> bool:
    """Return whether two tensors are equal bit by bit, values that are not numbers included."""
    assert found is not None
    assert expected is not None
    return torch.equal(found.nan_to_num(1e9), expected.nan_to_num(1e9))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("name", "out_chop_prob", "tracks"), product(BUFFERS, (0.0, 0.5), (True, False))
)
def test_compiled_pass_equals_the_stages(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    out_chop_prob: float,
    tracks: bool,
    dtype: torch.dtype,
) -> None:
    """One line, several and all; pulses, buffer, estimate and what is not a number."""
    torch.manual_seed(7)
    compiled = stages(BUFFERS[name], out_chop_prob, tracks, dtype)
    plain = stages(BUFFERS[name], out_chop_prob, tracks, dtype)
    for source, target in zip(
        (compiled.chopper, compiled.buffer, compiled.estimator),
        (plain.chopper, plain.buffer, plain.estimator),
    ):
        target.load_state_dict(deepcopy(source.state_dict()))
    n_written = 0
    for index in range(60):
        lines = (slice(0, IN_SIZE), slice(2, 4), slice(index % IN_SIZE, index % IN_SIZE + 1))[
            index % 3
        ]
        read = torch.randn(lines.stop - lines.start, OUT_SIZE, dtype=dtype)
        if index == 55:
            read[0, 3] = torch.nan
        before = read.clone()
        found = take(compiled, lines, read, 1.7)
        with monkeypatch.context() as patch:
            patch.setattr(transfer_stages, "COMPILED", ())
            expected = take(plain, lines, read, 1.7).steps
        assert same(found.steps, expected)
        assert same(torch.tensor(found.n_pulses), found.steps.abs().sum(dtype=torch.float64))
        assert same(read, before)
        n_written += int(expected.nan_to_num(0.0).abs().sum()) if expected is not None else 0
        for key, value in values(plain).items():
            if isinstance(value, Tensor):
                assert same(values(compiled)[key], value), key
    assert n_written > 1000


def test_a_second_try_starts_from_the_first() -> None:
    """Stage by stage, a read that was interrupted is taken once."""
    some = stages({}, 0.0, True, torch.float16)
    changing = some.buffer.hidden, some.estimator.sp_estimate
    before = [value.clone() for value in changing]
    event = TransferEvent(0, slice(1, 3), 0, 1.7, True)
    read = torch.randn(2, OUT_SIZE).half()
    some.take(event, read, None)
    once = [value.clone() for value in changing]
    assert not any(map(torch.equal, once, before))
    event.stage = Stage.STARTED
    some.take(event, read, None)
    assert all(map(torch.equal, changing, once))


def test_increments_below_a_pulse() -> None:
    """They release nothing, and are kept."""
    some = stages({}, 0.0, True, torch.float32)
    some.buffer.hidden.zero_()
    read = some.estimator.reference[1:2] + 0.01
    assert take(some, slice(1, 2), read, 1.0).n_pulses == 0.0
    assert some.buffer.hidden[1].abs().min() > 0.005
    event = take(some, slice(1, 2), read, 1000.0)
    assert event.steps is not None
    assert event.n_pulses == event.steps.abs().sum() > 0


def test_tensors_may_be_exchanged() -> None:
    """The pass writes to the tensors that the stages hold now."""
    some = stages({}, 0.0, True, torch.float32)
    read = torch.randn(1, OUT_SIZE)
    take(some, slice(0, 1), read, 1.0)
    old = some.buffer.hidden
    some.buffer.hidden = torch.zeros_like(old)
    kept = old.clone()
    take(some, slice(0, 1), read, 0.5)
    assert torch.equal(old, kept)
    assert some.buffer.hidden[0].any()
