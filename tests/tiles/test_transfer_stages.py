"""The compiled pass over lines against the stages, bit by bit."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any, Dict, Optional

import pytest
import torch
from torch import Tensor

from aihwkit_dspt.tiles import transfer_stages
from aihwkit_dspt.tiles.buffer import TransferBuffer
from aihwkit_dspt.tiles.chopper import Chopper
from aihwkit_dspt.tiles.counters import OperationCounters
from aihwkit_dspt.tiles.estimator import SymmetricPointEstimator
from aihwkit_dspt.tiles.transfer_stages import TransferStages

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
    counters = OperationCounters(), OperationCounters()
    n_written = 0
    for index in range(60):
        lines = (slice(0, IN_SIZE), slice(2, 4), slice(index % IN_SIZE, index % IN_SIZE + 1))[
            index % 3
        ]
        read = torch.randn(lines.stop - lines.start, OUT_SIZE, dtype=dtype)
        if index == 55:
            read[0, 3] = torch.nan
        before = read.clone()
        found = compiled.take(lines, read, 1.7, counters[0])
        with monkeypatch.context() as patch:
            patch.setattr(transfer_stages, "COMPILED", ())
            expected = plain.take(lines, read, 1.7, counters[1])
        assert same(found, expected)
        assert same(*(torch.tensor(float(counter.slow_pulses)) for counter in counters))
        assert same(read, before)
        n_written += int(expected.nan_to_num(0.0).abs().sum()) if expected is not None else 0
        for key, value in values(plain).items():
            if isinstance(value, Tensor):
                assert same(values(compiled)[key], value), key
    assert n_written > 1000


def test_none_stands_for_no_pulses() -> None:
    """Increments below one pulse release nothing, and are kept."""
    some = stages({}, 0.0, True, torch.float32)
    some.buffer.hidden.zero_()
    read = some.estimator.reference[1:2] + 0.01
    counters = OperationCounters()
    assert some.take(slice(1, 2), read, 1.0, counters) is None
    assert counters.slow_pulses == 0.0
    assert some.buffer.hidden[1].abs().min() > 0.005
    steps = some.take(slice(1, 2), read, 1000.0, counters)
    assert steps is not None
    assert counters.slow_pulses == steps.abs().sum() > 0
    assert some.take(slice(1, 2), read, 1000.0, None) is not None
    assert counters.slow_pulses == steps.abs().sum()


def test_tensors_may_be_exchanged() -> None:
    """The pass writes to the tensors that the stages hold now."""
    some = stages({}, 0.0, True, torch.float32)
    read = torch.randn(1, OUT_SIZE)
    some.take(slice(0, 1), read, 1.0, None)
    old = some.buffer.hidden
    some.buffer.hidden = torch.zeros_like(old)
    kept = old.clone()
    some.take(slice(0, 1), read, 0.5, None)
    assert torch.equal(old, kept)
    assert some.buffer.hidden[0].any()
