"""What happens before and after the step of any optimizer."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple, Type, TypeVar

from aihwkit.exceptions import ArgumentError
from aihwkit.optim.analog_optimizer import AnalogOptimizerMixin
from aihwkit.optim.context import AnalogContext
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from aihwkit_dspt.optim.context import GradientContext
from aihwkit_dspt.optim.forgotten import OptimizerSteps
from aihwkit_dspt.optim.settings import check_settings
from aihwkit_dspt.optim.written import refuse_penalties

Call = Tuple[Tuple[object, ...], Dict[str, object]]

Context = TypeVar("Context", bound=AnalogContext)


def watch_optimizer_steps() -> None:
    """Let every step of every optimizer of this process pass by here."""
    register_optimizer_step_pre_hook(_before_step)
    register_optimizer_step_post_hook(_after_step)


def _before_step(
    optimizer: Optimizer, args: Tuple[Any, ...], kwargs: Dict[str, Any]
) -> Optional[Call]:
    """Take the gradients of the tiles for the step, after the closure if there is one.

    A torch optimizer, which analog ones are built on, sees none then and leaves them alone.

    Raises:
        ArgumentError: if a fused optimizer was to unscale the gradients, of which it does not know
            those of the tiles, or was to maximize.
        TileError: if a loss was computed from contexts themselves.
    """
    OptimizerSteps.taken += 1
    contexts = _contexts(optimizer, GradientContext)
    if not contexts:
        return None
    check_settings(optimizer, GradientContext)
    if getattr(optimizer, "grad_scale", None) is not None:
        raise ArgumentError(
            f"fused=True of {type(optimizer).__name__} is not valid with a GradScaler: it would "
            "unscale digital gradients only. Call scaler.unscale_(optimizer) before "
            "scaler.step(optimizer), or pass fused=False"
        )

    def take() -> None:
        refuse_penalties(contexts)
        for context in contexts:
            context.take()

    if len(args) > 1 and args[1] is not None:
        return (args[0], _followed(args[1], take), *args[2:]), kwargs
    if kwargs.get("closure") is not None:
        return args, {**kwargs, "closure": _followed(kwargs["closure"], take)}
    take()
    return None


def _followed(closure: Callable[[], object], take: Callable[[], None]) -> Callable[[], object]:
    def evaluate() -> object:
        loss = closure()
        take()
        return loss

    return evaluate


def _after_step(optimizer: Optimizer, args: object, kwargs: object) -> None:
    """Refuse an optimizer that leaves the tiles that it was given untrained.

    aihwkit's optimizers update them; those of torch do nothing, and inputs and errors of every
    batch would be kept.

    Raises:
        ArgumentError: naming the optimizers that train them.
    """
    if isinstance(optimizer, AnalogOptimizerMixin):
        return
    contexts = _contexts(optimizer, AnalogContext)
    kept = [each for each in contexts if each.requires_grad and each.has_gradient()]
    if not kept:
        return
    for context in kept:
        context.reset()
    name = type(optimizer).__name__
    raise ArgumentError(
        f"{name} trains no analog tile, but was given {len(kept)} of them: pass "
        f"analog_optimizer(model, {name}, lr=..., analog_lr=0.1) of aihwkit_dspt, which trains "
        f"digital parameters by {name} and arrays by pulses, or aihwkit's "
        "AnalogSGD(model.parameters(), lr=0.1)"
    )


def _contexts(optimizer: Optimizer, kind: Type[Context]) -> List[Context]:
    # Not by isinstance, which torch answers in Python for parameters.
    groups = optimizer.param_groups
    return [each for group in groups for each in group["params"] if issubclass(type(each), kind)]
