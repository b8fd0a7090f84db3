"""Every fused pass over the mixed weight against plain torch, bit by bit."""

from __future__ import annotations

from itertools import product
from typing import Any, Iterator, Type

import pytest
import torch
from torch import Tensor

from aihwkit_dspt.fused import mixer
from aihwkit_dspt.fused.mixer import CpuMixer, FusedMixer
from aihwkit_dspt.fused.table import FUSED_MIXERS
from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.mixer import MixedWeight
from aihwkit_dspt.stages.timing import TransferTiming
from tests.fused.interpreter import device_for

D_SIZE, X_SIZE = 37, 23
OPTIONS = tuple(product((True, False), (0.0, 0.5), (0.0, 0.5), (True, False)))
"""Whether lines are columns, probabilities that inputs and outputs are chopped, and whether there
is a reference."""


def cases() -> Iterator[Any]:
    """Yield all passes with all options."""
    for kind, options in product(FUSED_MIXERS, OPTIONS):
        yield from ((kind, dtype, *options) for dtype in kind.DATA_TYPES)


def new_chopper(mixed: MixedWeight, in_prob: float, out_prob: float) -> Chopper:
    """Return a chopper that has flipped once."""
    in_size, out_size = mixed.oriented(mixed.output).shape
    timing, output = TransferTiming.printed(2), mixed.output
    chopper = Chopper(in_size, out_size, in_prob, out_prob, True, timing, 1, output.dtype)
    chopper.flip(chopper.due(slice(0, in_size), 0))
    chopper.flip_outputs(chopper.outputs_due())
    return chopper.to(output.device)


@pytest.mark.parametrize(
    ("kind", "dtype", "columns", "in_prob", "out_prob", "has_reference"),
    cases(),
    ids=lambda value: str(value)[-40:],
)
def test_fused_pass_equals_torch(
    kind: Type[FusedMixer],
    dtype: torch.dtype,
    columns: bool,
    in_prob: float,
    out_prob: float,
    has_reference: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line, several and all; what a pass leaves to torch, it leaves as it is."""
    device = device_for(kind, monkeypatch)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=dtype, device=device)

    output, slow, fast = (random(D_SIZE, X_SIZE) for _ in range(3))
    plain, fused = (MixedWeight(output, 0.37, columns, has_reference, False) for _ in range(2))
    fused.output = output.clone()
    passes = kind(fused)
    chopper = new_chopper(plain, in_prob, out_prob)
    reference = random(*plain.oriented(output).shape) * has_reference
    stored = refreshed = 0
    for lines in (slice(3, 4), slice(1, 9), slice(0, len(reference))):
        slow.normal_()
        fast.normal_()
        before = fused.stored.clone(), fused.output.clone()
        plain.store_by_torch(slow, reference, chopper, lines)
        done = passes.store(slow, reference, chopper, lines)
        stored += done
        assert torch.equal(fused.stored, plain.stored if done else before[0])
        fused.stored.copy_(plain.stored)
        plain.renew(fast, chopper)
        done = passes.refresh(fast, chopper)
        refreshed += done
        assert torch.equal(fused.output, plain.output if done else before[1])
    taken = {CpuMixer: (2, 3) if out_prob == 0.0 else (0, 0)}.get(kind, (3, 0))
    assert (stored, refreshed) == taken


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize("in_prob", [0.0, 0.5])
def test_threads_change_nothing(
    columns: bool, in_prob: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit, torch's threads mix a large array as the compiled pass does."""
    stage = MixedWeight(torch.randn(40, 40), 0.37, columns, True)
    chopper = new_chopper(stage, in_prob, 0.0)
    fast, found = torch.randn(40, 40), []
    for is_shared_out in (False, True):
        monkeypatch.setattr(mixer, "is_shared_out", lambda _, answer=is_shared_out: answer)
        assert stage.fused is not None
        assert stage.fused.refresh(fast, chopper) is not is_shared_out
        stage.refresh(fast, chopper)
        found.append(stage.output.clone())
        stage.output.zero_()
    assert torch.equal(*found)
    assert found[0].any()


def test_plain_torch_can_be_asked_for() -> None:
    """Without fused passes there is none."""
    assert isinstance(MixedWeight(torch.randn(3, 4), 0.3, True, True).fused, CpuMixer)
    assert MixedWeight(torch.randn(3, 4), 0.3, True, True, fuses=False).fused is None
    assert MixedWeight(torch.randn(3, 4).half(), 0.3, True, True).fused is None
