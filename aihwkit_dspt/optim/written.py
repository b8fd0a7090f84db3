"""Refusal of code that would train an array by writing into its parameter."""

from __future__ import annotations

from typing import Any, Callable, Iterable, NoReturn, TypeVar

from aihwkit.exceptions import TileError
from aihwkit.optim.context import AnalogContext
from torch._C import TensorBase

WRITES = (
    *("add_", "sub_", "mul_", "div_", "lerp_", "addcmul_", "addcdiv_", "neg_", "sign_", "pow_"),
    *("clamp_", "clip_", "zero_", "fill_", "normal_", "uniform_", "__setitem__"),
    *("__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__"),
)
"""Methods of a tensor that write. ``copy_`` is not among them: ``load_state_dict`` calls it."""

_grad: Any = TensorBase.grad
"""Where torch keeps the gradient of a tensor, whatever its class says."""

Cls = TypeVar("Cls", bound=type)


def refuse_writes(cls: Cls) -> Cls:
    """Let the contexts of a class refuse what writes into a parameter, and return the class.

    In aihwkit 1.1 the context of a tile is a number that nobody reads. A step or an average of
    one's own, ``p -= lr * p.grad`` or ``average.mul_(0.9).add_(p, alpha=0.1)``, would go on without
    the arrays and without a word. aihwkit 1.2 refuses the same by itself.
    """
    if not hasattr(AnalogContext, "enable_buffer"):
        for name in WRITES:
            setattr(cls, name, _refusal(name))
    return cls


def refuse_penalties(contexts: Iterable[Any]) -> None:
    """Raise ``TileError`` if a loss was computed from contexts, such as with an L2 penalty.

    In aihwkit 1.1 a context is a number that stands for the array, with a gradient that trains
    nothing. aihwkit 1.2 refuses the same by itself.
    """
    if hasattr(AnalogContext, "enable_buffer"):
        return
    found = [context for context in contexts if _grad.__get__(context) is not None]
    for context in found:
        _grad.__set__(context, None)
    if found:
        raise TileError(
            f"the loss has the parameter of {type(found[0].analog_tile).__name__} in it (an L2 "
            "penalty of all parameters?), which is a number that stands for its array and trains "
            "nothing: leave out parameters that are an AnalogContext of aihwkit"
        )


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise TileError(
            f"{name} on the parameter of {type(self.analog_tile).__name__} would not reach its "
            "arrays: pulses of analog_optimizer(model, ...) or AnalogSGD train them, and "
            "AveragedWeights(model, decay=...) averages their weights"
        )

    return refuse
