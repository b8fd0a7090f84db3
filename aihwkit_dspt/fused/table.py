"""All fused forms, and which one stages take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Tuple, Type

import torch

from aihwkit_dspt.fused.few_cpu import NumbaFew
from aihwkit_dspt.fused.line_cpu import NumbaLine
from aihwkit_dspt.fused.mixer import CpuMixer, FusedMixer, GpuMixer
from aihwkit_dspt.fused.read import FusedLine, FusedProduct
from aihwkit_dspt.fused.read_cpu import NumbaConverters
from aihwkit_dspt.fused.read_gpu import TritonConverters, TritonLine, TritonProduct
from aihwkit_dspt.fused.transfer import FusedTransfer
from aihwkit_dspt.fused.transfer_cpu import CpuTransfer
from aihwkit_dspt.fused.transfer_gpu import GpuTransfer

if TYPE_CHECKING:
    from aihwkit_dspt.stages.mixer import MixedWeight
    from aihwkit_dspt.stages.transfer import TransferStages

FUSED_TRANSFERS: Tuple[Type[FusedTransfer], ...] = (CpuTransfer, GpuTransfer)
"""Passes of BUFFER and ESTIMATE."""

FUSED_MIXERS: Tuple[Type[FusedMixer], ...] = (CpuMixer, GpuMixer)
"""Passes over the mixed weight."""

FUSED_PRODUCTS: Tuple[Type[FusedProduct], ...] = (
    NumbaFew,
    NumbaConverters,
    TritonProduct,
    TritonConverters,
)
"""Products of vectors with an array; the first one that suits is taken."""

FUSED_LINES: Tuple[Type[FusedLine], ...] = (NumbaLine, TritonLine)
"""Reads of one line of an array."""


def fused_transfer(stages: TransferStages, device: torch.device) -> Optional[FusedTransfer]:
    """Return the fused pass for stages on a device, ``None`` if there is none.

    The types have to be exactly those that the pass fuses: a subclass may do something else.
    """
    types = tuple(map(type, (stages.chopper, stages.buffer, stages.estimator)))
    data_type = stages.buffer.hidden.dtype
    for kind in FUSED_TRANSFERS:
        if types in kind.STAGES and data_type in kind.DATA_TYPES and kind.works_on(device):
            return kind(stages)
    return None


def fused_mixer(mixed: MixedWeight) -> Optional[FusedMixer]:
    """Return the fused passes for a mixed weight, ``None`` if there are none."""
    device, data_type = mixed.output.device, mixed.output.dtype
    for kind in FUSED_MIXERS:
        if data_type in kind.DATA_TYPES and kind.works_on(device):
            return kind(mixed)
    return None
