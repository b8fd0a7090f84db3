"""Refusal of code that would train an array by writing into its parameter."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Optional, Tuple, TypeVar

from aihwkit.exceptions import TileError
from aihwkit.optim.context import AnalogContext
from torch import Tensor, is_grad_enabled
from torch._C import DisableTorchFunctionSubclass, TensorBase
from torch.autograd import no_grad

WRITES = (
    *("add_", "sub_", "mul_", "div_", "lerp_", "addcmul_", "addcdiv_", "neg_", "sign_", "pow_"),
    *("clamp_", "clip_", "zero_", "fill_", "normal_", "uniform_", "__setitem__"),
    *("__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__"),
)
"""Methods of a tensor that write. ``copy_`` is not among them: ``load_state_dict`` calls it."""

READS = (
    *("add", "sub", "mul", "div", "lerp", "pow", "neg", "clone"),
    *("__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__"),
    *("__neg__", "__pow__"),
)
"""Methods that make what is about to be written: a step or an average."""

IN_PYTHON = hasattr(AnalogContext, "enable_buffer")
"""Whether aihwkit answers for the contexts itself, as 1.2 does."""

_grad: Any = TensorBase.grad
"""Where torch keeps the gradient of a tensor, whatever its class says."""

_data: Any = TensorBase.data

_placeholders: Dict[type, type] = {}
"""Class of aihwkit's that shows no values -> the same with errors that help."""

Cls = TypeVar("Cls", bound=type)


class NotWeightsError(TileError, RuntimeError):
    """The parameter of an array was taken for its weights; aihwkit 1.2 has a ``RuntimeError``."""


def not_weights(name: str, context: Optional[AnalogContext] = None) -> NotWeightsError:
    """Return the error for a function that takes the parameter of an array for weights.

    Args:
        name: name of the function.
        context: the parameter, if it is known.
    """
    tile = "an analog tile" if context is None else type(context.analog_tile).__name__
    return NotWeightsError(
        f"{name} of the parameter of {tile}: it stands for arrays, and neither has their weights "
        "nor reaches them. Pulses of analog_optimizer(model, ...) or AnalogSGD train them, "
        "AveragedWeights(model, decay=...) averages their weights (a target network, a teacher), "
        "layer.get_weights() reads them and layer.set_weights(weight, bias) writes them; leave "
        "parameters that are an AnalogContext out of penalties and histograms"
    )


def refuse_writes(cls: Cls) -> Cls:
    """Let the contexts of a class refuse what takes a parameter for weights; return the class.

    In aihwkit 1.1 the context of a tile is a number that nobody reads. A step or an average of
    one's own, ``p -= lr * p.grad`` or ``average.data.mul_(0.9).add_(p.data, alpha=0.1)``, would go
    on without the arrays and without a word. aihwkit 1.2 refuses the same; the error says what to
    do in place of it.
    """
    changed: Any = cls
    if IN_PYTHON:
        changed.__torch_function__ = _with_remedy(AnalogContext)
        changed._placeholder_data = _placeholder_data
        return cls
    for name in WRITES:
        setattr(cls, name, _refusal(name))
    for name in READS:
        setattr(cls, name, _refusal(name, getattr(cls, name)))
    changed.data = property(lambda self: _data.__get__(self).as_subclass(StandIn), _data.__set__)
    changed.set_data = _set_data
    return cls


class StandIn(Tensor):
    """The number that stands for an array in aihwkit 1.1, as ``data`` of its context shows it."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: object, args: Tuple[object, ...] = (), kwargs: Any = None
    ) -> object:
        """Return what a function makes of it, which is a plain tensor."""
        if func.__name__ in REFUSED:
            raise not_weights(func.__name__)
        with DisableTorchFunctionSubclass():  # type: ignore[no-untyped-call]
            return func(*args, **(kwargs or {}))

    def __deepcopy__(self, memo: object) -> Tensor:
        return _plain(self).clone()

    def __reduce_ex__(self, protocol: object) -> Any:
        plain: Any = _plain(self)
        return plain.__reduce_ex__(protocol)


REFUSED = {*WRITES, *READS, "copy_", "rsub"}


def _plain(data: Tensor) -> Tensor:
    with DisableTorchFunctionSubclass():  # type: ignore[no-untyped-call]
        return data.as_subclass(Tensor)


def _set_data(context: AnalogContext, data: Tensor) -> None:
    """Set the number, as a load does."""
    with no_grad():
        _data.__get__(context).copy_(_plain(data))


def _with_remedy(base: Any) -> object:
    """Return the ``__torch_function__`` of a class of aihwkit 1.2 with errors that help."""

    def call(cls: Any, func: object, types: object, args: Any = (), kwargs: Any = None) -> Any:
        try:
            return _in_own_words(base.__torch_function__.__func__(cls, func, types, args, kwargs))
        except RuntimeError as error:
            if not any(words in str(error) for words in ("placeholder mode", "analog weights")):
                raise
            found = (each for each in args if issubclass(type(each), AnalogContext))
            raise not_weights(getattr(func, "__name__", "this"), next(found, None)) from error

    return classmethod(call)


def _placeholder_data(context: object) -> object:
    """Return what ``data`` of a context of aihwkit 1.2 shows, a matrix without values."""
    return _in_own_words(AnalogContext._placeholder_data(context))


def _in_own_words(shown: Any) -> object:
    """Let a matrix without values say what to do where values are asked for."""
    kind = type(shown)
    if kind.__name__ != "PlaceholderDataView" or kind in _placeholders.values():
        return shown
    if kind not in _placeholders:
        changed = {"__torch_function__": _with_remedy(kind)}
        _placeholders[kind] = type(kind.__name__, (kind,), changed)
    return shown.as_subclass(_placeholders[kind])


def refuse_penalties(contexts: Iterable[AnalogContext]) -> None:
    """Raise ``TileError`` if a loss was computed from contexts, such as with an L2 penalty.

    In aihwkit 1.1 a context is a number that stands for the array, with a gradient that trains
    nothing. aihwkit 1.2 refuses the same by itself.
    """
    if IN_PYTHON:
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


def _refusal(name: str, allowed: Optional[Callable[..., object]] = None) -> Callable[..., object]:
    """Return a method that refuses; one that reads may, in a loss: the step refuses that."""

    def refuse(self: Any, *args: object, **kwargs: object) -> object:
        if allowed is not None and is_grad_enabled():
            return allowed(self, *args, **kwargs)
        raise not_weights(name, self)

    return refuse
