"""All fused forms, and which one stages take."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Tuple, Type

import torch

from aihwkit_dspt.fused.batch_cpu import CpuBatch
from aihwkit_dspt.fused.event_cpu import CpuEvent
from aihwkit_dspt.fused.few_cpu import NumbaFew
from aihwkit_dspt.fused.line_cpu import NumbaLine
from aihwkit_dspt.fused.mixer import CpuMixer, FusedMixer, GpuMixer
from aihwkit_dspt.fused.read import FusedLine, FusedProduct
from aihwkit_dspt.fused.read_cpu import NumbaConverters
from aihwkit_dspt.fused.read_gpu import TritonConverters, TritonLine, TritonProduct
from aihwkit_dspt.fused.step_cpu import CpuStep
from aihwkit_dspt.fused.transfer import FusedTransfer
from aihwkit_dspt.fused.transfer_cpu import CpuTransfer
from aihwkit_dspt.fused.transfer_gpu import GpuTransfer
from aihwkit_dspt.fused.update import FusedUpdate
from aihwkit_dspt.fused.update_cpu import CpuUpdate

if TYPE_CHECKING:
    from aihwkit_dspt.stages.mixer import MixedWeight
    from aihwkit_dspt.stages.transfer import TransferStages
    from aihwkit_dspt.tiles.pipeline import Pipeline

FUSED_TRANSFERS: Tuple[Type[FusedTransfer], ...] = (CpuTransfer, GpuTransfer)
"""Passes of BUFFER and ESTIMATE."""

FUSED_EVENTS: Tuple[Type[CpuEvent], ...] = (CpuEvent,)
"""The read of one line, BUFFER and ESTIMATE."""

FUSED_UPDATES: Tuple[Type[FusedUpdate], ...] = (CpuUpdate, CpuStep, CpuBatch)
"""Updates of whole tiles; the first one that does an update is taken."""

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


def fused_event(line: FusedLine, transfer: Optional[FusedTransfer]) -> Optional[CpuEvent]:
    """Return what joins two passes of an event, ``None`` if nothing does."""
    for kind in FUSED_EVENTS:
        if isinstance(line, kind.PARTS[0]) and isinstance(transfer, kind.PARTS[1]):
            return kind(line, transfer)
    return None


def fused_updates(pipeline: Pipeline) -> List[FusedUpdate]:
    """Return the fused updates for a pipeline, in the order in which they are asked."""
    found = [kind.of(pipeline) for kind in FUSED_UPDATES]
    return [form for form in found if form is not None]


def fused_mixer(mixed: MixedWeight) -> Optional[FusedMixer]:
    """Return the fused passes for a mixed weight, ``None`` if there are none."""
    device, data_type = mixed.output.device, mixed.output.dtype
    for kind in FUSED_MIXERS:
        if data_type in kind.DATA_TYPES and kind.works_on(device):
            return kind(mixed)
    return None
