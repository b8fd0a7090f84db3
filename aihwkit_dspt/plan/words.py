"""What is wrong with a plan, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

if TYPE_CHECKING:
    from aihwkit_dspt.plan.tile_plan import TilePlan


def warnings_of(plan: TilePlan, steps: int, lr: float, n_states: float) -> List[str]:
    """Return what goes wrong and what to do about it, the gravest first.

    Args:
        plan: the plan of a tile.
        steps: steps of the run.
        lr: learning rate of the optimizer.
        n_states: states of the fast array.
    """
    if plan.steps_per_sweep is None:
        return [
            f"no line of P is read in {steps:,} steps at learning rate {lr:g}, so W does not "
            "learn: pass transfer_lr > 0 and a smaller transfer_every"
        ]
    return [*_of_slow(plan, steps), *_of_fast(plan, steps, n_states)]


def _of_slow(plan: TilePlan, steps: int) -> List[str]:
    if plan.first_write is None:
        return [f"no write of W is in sight; the run has {steps:,} steps: {_shorter(plan)}"]
    if plan.first_write > steps:
        return [
            f"W is written for the first time after step {plan.first_write - 1:,}; the run "
            f"has {steps:,}: {_shorter(plan)}"
        ]
    if plan.learns:
        return []
    times = f"{1.0 / plan.slow_total:,.1f} times " if plan.slow_total else ""
    return [
        f"a cell of W gets {plan.slow_total:.2g} pulses in {steps:,} steps, even if all "
        f"gradients have one sign: raise transfer_lr {times}or fast_lr"
    ]


def _shorter(plan: TilePlan) -> str:
    return (
        f"a sweep over P takes {plan.steps_per_sweep:,.1f} steps. Pass "
        "start=TransferStart.FIRST_SWEEP, a sweep_every in vectors, or a larger in_chop_prob"
    )


def _of_fast(plan: TilePlan, steps: int, n_states: float) -> List[str]:
    total = plan.fast_pulses * steps
    in_sweep = plan.fast_pulses * (plan.steps_per_sweep or 0.0)
    if total < 1.0:
        return [f"a cell of P gets {total:.2g} pulses in {steps:,} steps: raise fast_lr"]
    if in_sweep > n_states:
        return [
            f"P can cross its range before it is read once ({in_sweep:,.0f} pulses in a "
            f"sweep, {n_states:,.0f} states): lower fast_lr, or shorten the sweep"
        ]
    return []
