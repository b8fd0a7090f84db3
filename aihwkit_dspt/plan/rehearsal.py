"""The transfers of a run, without the run: copies of schedule and chopper go through its steps."""

from __future__ import annotations

from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Optional

from aihwkit_dspt.tiles.link import Link

MOST = 50_000
"""Steps and events that are gone through; what is beyond goes on at the same rate."""

FARTHEST = 500_000
"""Steps and events after which no write is looked for."""


@dataclass(frozen=True)
class Rehearsal:
    """What falls into the steps of a run."""

    reads: float
    """Lines of the fast array that are read."""

    writing_reads: float
    """Those of them whose whole steps go to the slow array, each times the gain of its sweep."""

    weighted_reads: float
    """All of them, each times the gain of its sweep."""

    programmed_cells: float
    """Cells of the reference that are programmed."""

    first_write: Optional[int]
    """Step of the first read that may send pulses to the slow array, from 1; it may lie beyond the
    run. ``None`` if there is none in sight."""


def rehearse(link: Link, vectors_per_step: int, steps: int, lr: float) -> Rehearsal:
    """Return what a link will do in a run, from its present state on.

    Every decision is that of the link's own schedule, timing and chopper, random flips included, so
    the counts are those of the run itself.

    Args:
        link: the link; it stays as it is.
        vectors_per_step: vectors of a step.
        steps: steps of the run.
        lr: learning rate of the optimizer.
    """
    schedule, chopper = copy(link.schedule), deepcopy(link.chopper)
    reads = cells = n_events = step = 0
    writing_reads = weighted_reads = 0.0
    first_write: Optional[int] = None
    if not link.rate.is_on(lr):
        return Rehearsal(0.0, 0.0, 0.0, 0.0, None)
    out_size = link.reference.values.shape[1]
    while step < steps or (first_write is None and n_events > 0):
        if step + n_events >= (MOST if first_write is not None else FARTHEST):
            break
        step += 1
        for start, stop, due in schedule.split(vectors_per_step):
            schedule.count(stop - start, due)()
            while schedule.n_due:
                lines, sweep = schedule.lines(), schedule.sweep
                writes = link.timing.writes(sweep)
                if writes and first_write is None:
                    first_write = step
                flipped = chopper.due(lines, sweep)
                ends_sweep = lines.stop == schedule.in_size
                outputs = chopper.outputs_due() if ends_sweep else []
                schedule.finish()()
                n_events += 1
                if step <= steps:
                    n_lines = lines.stop - lines.start
                    reads += n_lines
                    weighted = n_lines * link.timing.gain(sweep, link.target_scale)
                    weighted_reads += weighted
                    writing_reads += weighted * writes
                    if link.tracks:
                        synced = n_lines if link.syncs_every_read else len(flipped)
                        cells += synced * out_size + len(outputs) * schedule.in_size
    longer = max(steps / step, 1.0)
    return Rehearsal(
        reads * longer,
        writing_reads * longer,
        weighted_reads * longer,
        cells * longer,
        first_write,
    )
