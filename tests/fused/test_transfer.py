"""Every fused pass of BUFFER and ESTIMATE against the plain stages, bit by bit."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Any, Iterator, Type

import pytest
import torch
from torch import Tensor

from aihwkit_dspt.fused.table import FUSED_TRANSFERS
from aihwkit_dspt.fused.transfer import FusedTransfer
from aihwkit_dspt.fused.transfer_cpu import CpuTransfer
from aihwkit_dspt.stages.buffer import TransferBuffer
from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.counters import OperationCounters
from aihwkit_dspt.stages.estimator import SymmetricPointEstimator
from aihwkit_dspt.stages.estimators import ESTIMATORS, LowPassFilter
from aihwkit_dspt.stages.event import Stage, TransferEvent
from aihwkit_dspt.stages.transfer import TransferStages
from tests.fused.interpreter import device_for
from tests.fused.transfers import (
    BUFFERS,
    IN_SIZE,
    OUT_SIZE,
    Types,
    all_stages,
    same,
    stages,
    tensors,
)
from tests.gpu.device import HAS_GPU


def take(of: TransferStages, lines: slice, read: Tensor, beta: float) -> TransferEvent:
    """Return the event of a read that was taken."""
    event = TransferEvent(3, lines, 0, beta, True)
    of.take(event, read, None)
    assert event.stage is Stage.TAKEN
    return event


FUSED = {types for kind in FUSED_TRANSFERS for types in kind.STAGES}
"""Types of chopper, buffer and estimator that have a fused pass."""

WITHOUT_PASS = set(ESTIMATORS.values()) - {types[-1] for types in FUSED}
"""Estimators that run stage by stage."""

OPTIONS = tuple(product((0.0, 0.5), (True, False)))
"""Probabilities that outputs are chopped, and whether reads go into the estimate."""


def cases() -> Iterator[Any]:
    """Yield all passes with all settings.

    Triton's interpreter takes a second for one: the usual run has one of the options in turn.
    """
    for kind in FUSED_TRANSFERS:
        is_slow = kind.DEVICE == "cuda" and not HAS_GPU
        for (number, types), dtype in product(enumerate(kind.STAGES), kind.DATA_TYPES):
            for (place, name), (turn, options) in product(enumerate(BUFFERS), enumerate(OPTIONS)):
                is_other = is_slow and turn != (number + place) % len(OPTIONS)
                marks = [pytest.mark.slow] if is_other else []
                yield pytest.param(kind, types, dtype, name, *options, marks=marks)


@pytest.mark.parametrize(
    ("kind", "types", "dtype", "name", "out_chop_prob", "tracks"),
    cases(),
    ids=lambda value: str(value)[-40:],
)
def test_fused_pass_equals_the_stages(
    kind: Type[FusedTransfer],
    types: Types,
    dtype: torch.dtype,
    name: str,
    out_chop_prob: float,
    tracks: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line, several and all; pulses, their number, buffer, estimate and what is no number."""
    on_gpu = kind.DEVICE == "cuda"
    device = device_for(kind, monkeypatch)
    torch.manual_seed(7)
    plain = stages(BUFFERS[name], out_chop_prob, tracks, dtype, types)
    for stage in all_stages(plain):
        stage.to(device)
    copied = deepcopy(plain)
    fused = kind(copied)
    counters = OperationCounters()
    counters.slow_pulses = torch.zeros((), dtype=torch.float64, device=device)
    n_pulses = torch.zeros_like(counters.slow_pulses)
    for index in range(9 if on_gpu else 60):
        lines = (slice(0, IN_SIZE), slice(2, 4), slice(index % IN_SIZE, index % IN_SIZE + 1))[
            index % 3
        ]
        read = torch.randn(lines.stop - lines.start, OUT_SIZE, dtype=dtype, device=device)
        if index in (7, 55):
            read[0, 3] = torch.nan
        before = read.clone()
        found, expected = (TransferEvent(index, lines, 0, 1.7, True) for _ in range(2))
        assert not fused.was_taken(found)
        fused.take(found, read, counters)
        assert fused.was_taken(found) == on_gpu
        plain.take_by_stages(expected, read)
        assert found.stage is expected.stage is Stage.TAKEN
        assert same(found.steps, expected.steps)
        assert same(read, before)
        assert all(map(same, tensors(copied), tensors(plain)))
        # The kernel counts the pulses itself.
        assert found.n_pulses is not None
        counters.slow_pulses += found.n_pulses
        assert expected.steps is not None
        n_pulses += expected.steps.abs().sum(dtype=torch.float64)
        assert same(counters.slow_pulses, n_pulses)
    assert n_pulses.nan_to_num(1e9) > 100


class Doubled(LowPassFilter):
    """Somebody's own."""

    def update(self, lines: slice, read: Tensor) -> None:
        super().update(lines, 2.0 * read)


class DoubledBuffer(TransferBuffer):
    """Somebody's own."""


class DoubledChopper(Chopper):
    """Somebody's own."""


@pytest.mark.parametrize("own", [Doubled, DoubledBuffer, DoubledChopper])
def test_subclasses_are_not_fused(own: type) -> None:
    """Only exactly the stages that a pass knows are fused; nothing of a subclass is left out."""
    some = stages({}, 0.0, True, torch.float32)
    cpu = torch.device("cpu")
    assert isinstance(some.fused(cpu), CpuTransfer)
    for name in ("chopper", "buffer", "estimator"):
        stage = getattr(some, name)
        if issubclass(own, type(stage)):
            stage.__class__ = own
    again = TransferStages(some.chopper, some.buffer, some.estimator, some.reference, True)
    assert again.fused(cpu) is None
    before = some.estimator.sp_estimate[0].clone()
    read = torch.randn(1, OUT_SIZE)
    take(again, slice(0, 1), read, 1.0)
    factor = 2.0 if own is Doubled else 1.0
    expected = before * (1.0 - 0.13) + factor * read[0] * 0.13
    assert torch.allclose(some.estimator.sp_estimate[0], expected)


@pytest.mark.parametrize("estimates", WITHOUT_PASS)
def test_without_a_pass(estimates: Type[SymmetricPointEstimator]) -> None:
    """What has no fused pass is called."""
    some = stages({}, 0.0, True, torch.float32, (Chopper, TransferBuffer, estimates))
    assert some.fused(torch.device("cpu")) is None
    alone = deepcopy(some.estimator)
    before = alone.sp_estimate.clone()
    read = torch.randn(2, OUT_SIZE)
    take(some, slice(1, 3), read, 1.0)
    alone.update(slice(1, 3), read)
    assert all(map(same, some.estimator.buffers(), alone.buffers()))
    assert not torch.equal(alone.sp_estimate[1:3], before[1:3])


@pytest.mark.parametrize("estimates", ESTIMATORS.values())
def test_a_second_try_starts_from_the_first(estimates: Type[SymmetricPointEstimator]) -> None:
    """Stage by stage, a read that was interrupted is taken once."""
    some = stages({}, 0.0, True, torch.float16, (Chopper, TransferBuffer, estimates))
    changing = [some.buffer.hidden, *some.estimator.buffers()]
    before = [value.clone() for value in changing]
    event = TransferEvent(0, slice(1, 3), 0, 1.7, True)
    read = torch.randn(2, OUT_SIZE).half()
    some.take(event, read, None)
    once = [value.clone() for value in changing]
    assert not torch.equal(once[0], before[0])
    assert not torch.equal(once[1], before[1])
    event.stage = Stage.STARTED
    some.take(event, read, None)
    assert all(map(same, changing, once))


def test_increments_below_a_pulse() -> None:
    """They release nothing, and are kept."""
    some = stages({}, 0.0, True, torch.float32)
    some.buffer.hidden.zero_()
    read = some.reference.values[1:2] + 0.01
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
