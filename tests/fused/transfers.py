"""Stages of BUFFER and ESTIMATE at random values, for tests of their fused passes."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Type

import torch
from torch import Tensor, nn

from aihwkit_dspt.stages.buffer import TransferBuffer
from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.estimator import SymmetricPointEstimator
from aihwkit_dspt.stages.estimators import LowPassFilter
from aihwkit_dspt.stages.reference import Reference
from aihwkit_dspt.stages.timing import TransferTiming
from aihwkit_dspt.stages.transfer import TransferStages

Types = Tuple[Type[Chopper], Type[TransferBuffer], Type[SymmetricPointEstimator]]

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
    settings: Dict[str, Any],
    out_chop_prob: float,
    tracks: bool,
    dtype: torch.dtype,
    types: Types = (Chopper, TransferBuffer, LowPassFilter),
) -> TransferStages:
    """Return stages of these types with random signs, buffer, estimate and reference."""
    plain = {
        **{"max_steps": 3, "momentum": 0.0, "forget_buffer": True},
        **{"buffer_cap": 0.0, "no_buffer": False},
    }
    timing = TransferTiming.printed(1)
    chopper = types[0](IN_SIZE, OUT_SIZE, 0.3, out_chop_prob, True, timing, 5, dtype)
    buffer = types[1](IN_SIZE, OUT_SIZE, **{**plain, **settings}, data_type=dtype)
    estimator = types[2](IN_SIZE, OUT_SIZE, 0.13, dtype)
    reference = Reference(IN_SIZE, OUT_SIZE, dtype)
    for values in (buffer.hidden, estimator.sp_estimate, reference.values):
        values.normal_()
    chopper.in_sign.copy_(torch.randn(IN_SIZE).sign())
    if out_chop_prob > 0.0:
        chopper.out_sign.copy_(torch.randn(OUT_SIZE).sign())
    return TransferStages(chopper, buffer, estimator, reference, tracks)


def all_stages(of: TransferStages) -> List[nn.Module]:
    """Return the stages."""
    return [of.chopper, of.buffer, of.estimator, of.reference]


def tensors(of: TransferStages) -> List[Tensor]:
    """Return the tensors of the stages."""
    return [values for stage in all_stages(of) for values in stage.buffers()]


def same(found: Optional[Tensor], expected: Optional[Tensor]) -> bool:
    """Return whether two tensors are equal bit by bit, values that are not numbers included."""
    assert found is not None
    assert expected is not None
    return torch.equal(found.nan_to_num(1e9), expected.nan_to_num(1e9))
