"""What a run does to the arrays of one tile, in numbers."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import List, Optional

from numpy import float32

from aihwkit_dspt.plan.measure import Signals
from aihwkit_dspt.plan.rehearsal import rehearse
from aihwkit_dspt.plan.words import warnings_of
from aihwkit_dspt.tiles.pipeline import Pipeline
from aihwkit_dspt.tiles.tile import TrackingTile


@dataclass(frozen=True)
class TilePlan:
    """What a run does to the fast array P of one tile, and to W, the array that P is read into.

    In a chain of more than two arrays, W is the next slower array.
    """

    vectors_per_step: int
    """Vector pairs of a step."""

    vectors_per_sweep: Optional[float]
    """Vectors in which every line of P is read once; ``None`` if none is read."""

    steps_per_sweep: Optional[float]
    """The same in steps."""

    chopper_period: Optional[float]
    """Steps of a regular phase of the chopper (the mean of random ones); ``None`` for none."""

    first_write: Optional[int]
    """Step of the first transfer that may change W, from 1, also if it lies beyond the run;
    ``None`` if there is none in sight."""

    product: float
    """Mean of ``|x d|`` over cells and vectors: measured, or what was assumed."""

    fast_pulses: float
    """Pulses on a cell of P in a step, expected."""

    slow_pulses: float
    """Pulses on a cell of W in a step that writes, at most: as if all gradients had one sign."""

    reads_per_step: float
    """Lines of P that are read in a step."""

    programmed_lines: float
    """Lines of the reference that are programmed in a step."""

    fast_share: float
    """Share of the states of P that it can pass through before its chopper flips, at most 1."""

    slow_share: float
    """Share of the states of W that it can pass through in the run, at most 1."""

    slow_total: float
    """Pulses on a cell of W in the run, at most."""

    warnings: List[str] = field(default_factory=list)
    """What goes wrong, and what to do about it."""

    @property
    def learns(self) -> bool:
        """Whether anything of what P learns reaches W in the run."""
        return self.slow_total >= 1.0


def tile_plan(
    tile: TrackingTile, signals: Signals, steps: int, lr: float, product: float
) -> TilePlan:
    r"""Return the plan of one tile, from the objects that its pipeline works with.

    A cell of P takes :math:`|x\,d|\,\alpha / \Delta w` pulses from a vector, no more than the
    pulse train has. The residual :math:`|P - \tilde Q|` grows with them over a phase of the
    chopper, to half of the range at most; its mean over the phase times :math:`\beta` are the
    pulses that a read brings to W, no more than ``transfer_update.desired_bl``, times the gain of
    its sweep at the start.

    Args:
        tile: the tile.
        signals: what it sees in a step.
        steps: steps of the run.
        lr: learning rate of the optimizer.
        product: mean of ``|x d|`` where it was not measured.
    """
    pipeline = tile.tile.pipeline
    link = pipeline.link
    fast, slow = link.source, link.target
    vectors = signals.vectors
    seen = rehearse(link, vectors, steps, lr)
    lines = link.schedule.in_size
    sweeps = seen.reads / lines
    steps_per_sweep = steps / sweeps if sweeps else None
    chops = pipeline.config.in_chop_prob > 0.0
    period = None
    if chops and steps_per_sweep is not None:
        period = pipeline.config.chop_period() * steps_per_sweep
    measured = product if signals.product is None else signals.product
    fast_lr = signals.fast_lr
    if fast_lr is None:
        fast_lr = _fast_lr(pipeline, lr, vectors * measured)
    at_most = float(tile.rpu_config.update.desired_bl)
    fast_pulses = vectors * min(measured * fast_lr / fast.pulse_granularity, at_most)
    phase = min(steps if period is None else period, steps)
    residual = 0.5 * min(phase * fast_pulses, fast.n_states) * fast.granularity
    beta = copy(link.rate)(lr, float32(fast_lr), 1) if seen.reads else 0.0
    per_read = min(beta * residual, float(link.buffer.max_steps))
    on_slow = per_read * seen.writing_reads / lines
    plan = TilePlan(
        vectors_per_step=vectors,
        vectors_per_sweep=None if steps_per_sweep is None else steps_per_sweep * vectors,
        steps_per_sweep=steps_per_sweep,
        chopper_period=period,
        first_write=seen.first_write,
        product=measured,
        fast_pulses=fast_pulses,
        slow_pulses=per_read * seen.weighted_reads / lines / steps,
        reads_per_step=seen.reads / steps,
        programmed_lines=seen.programmed_cells / link.reference.values.shape[1] / steps,
        fast_share=min(phase * fast_pulses / fast.n_states, 1.0),
        slow_share=min(on_slow / slow.n_states, 1.0),
        slow_total=on_slow,
    )
    return replace(plan, warnings=warnings_of(plan, steps, lr, fast.n_states))


def _fast_lr(pipeline: Pipeline, lr: float, product: float) -> float:
    """Return the learning rate of the fast array; the largest input and error count as one.

    Args:
        pipeline: the pipeline.
        lr: learning rate of the optimizer.
        product: sum over the vectors of a step of the mean size of their products.
    """
    rate = copy(pipeline.fast_lr)
    rate.start, rate.share = 0.0, 1.0
    if rate.auto_scales:
        rate.observe(1.0, 1.0, 1, product)
    return float(rate(lr))
