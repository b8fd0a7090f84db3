"""What compiled updates with events of their own have in common, on the CPU."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Optional, Tuple

from aihwkit_dspt.fused.line_cpu import NumbaLine
from aihwkit_dspt.fused.transfer_cpu import CpuTransfer
from aihwkit_dspt.pulses.batched import BatchedPulses
from aihwkit_dspt.stages.reference import Reference
from aihwkit_dspt.stages.uninterrupted import in_one_go

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aihwkit_dspt.tiles.pipeline import Pipeline

Parts = Tuple[NumbaLine, CpuTransfer, Tuple[BatchedPulses, BatchedPulses]]
"""The read, BUFFER and ESTIMATE, and the pulses of the fast and of the slow array."""


def usual_parts(pipeline: Pipeline) -> Optional[Parts]:
    """Return what is compiled of a pipeline, ``None`` if it has others than the usual stages."""
    link = pipeline.link
    fast, slow = pipeline.fast.batched, pipeline.slow.batched
    if len(pipeline.links) > 1 or pipeline.fast.is_cuda:
        return None
    if fast is None or slow is None:
        return None
    if type(link.reference) is not Reference or link.chopper.has_output:
        return None
    if not pipeline.scales_apart:
        return None
    line = link.line_reads.fused
    transfer = link.transfer_stages.fused(link.source.weights.device)
    if isinstance(line, NumbaLine) and isinstance(transfer, CpuTransfer):
        return line, transfer, (fast, slow)
    return None


def count_sent(pipeline: Pipeline, numbers: NDArray[np.float64], place: int) -> None:
    """Count the pulses that a call has sent to the slow array, if they are not yet.

    Args:
        pipeline: the pipeline.
        numbers: what the call writes to.
        place: where in it the number of pulses is; 0 once they are counted.
    """
    sent = float(numbers[place])
    if sent > 0.0:
        pipeline.slow.cpp.set_learning_rate(pipeline.link.write_lr)
        counted = pipeline.counters.count_slow_pulses(sent)
        in_one_go(counted, partial(numbers.__setitem__, place, 0.0))
