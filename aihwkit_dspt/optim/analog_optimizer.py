"""Any torch optimizer for digital parameters, pulses for arrays, in one."""

from __future__ import annotations

from inspect import isclass
from types import new_class
from typing import Any, Dict, Iterable, List, Tuple, Type, Union

from aihwkit.exceptions import ArgumentError
from aihwkit.optim.analog_optimizer import AnalogOptimizerMixin
from aihwkit.optim.context import AnalogContext
from torch import Tensor, nn
from torch.optim import LBFGS, AdamW, Optimizer

from aihwkit_dspt.configs.checks import require_argument, shown
from aihwkit_dspt.optim.context import adopt

Parameters = Union[nn.Module, Iterable[Tensor], Iterable[Dict[str, object]]]


def analog_optimizer(
    params: Parameters,
    optimizer_class: Type[Optimizer] = AdamW,
    *,
    analog_lr: float = 0.1,
    **settings: Any,
) -> Optimizer:
    r"""Return an optimizer that trains digital parameters by torch's rule and arrays by pulses.

    ===================  ==============================================  ===========
    parameters           step                                            rate
    ===================  ==============================================  ===========
    digital              that of ``optimizer_class``                     ``lr``
    arrays               ``tile.update(x, d)`` of all kept vectors       ``analog_lr``
    ===================  ==============================================  ===========

    The result is an ``optimizer_class`` and one of aihwkit's analog optimizers. Digital parameters
    and arrays are in groups of their own (those of the arrays come last and have
    ``"analog": True``), so learning rate schedulers act on both rates. ``state_dict``,
    ``save_checkpoint``, gradient clipping and ``GradScaler`` work as with any optimizer of torch::

        optimizer = analog_optimizer(model, AdamW, lr=1e-3, weight_decay=0.01, analog_lr=0.1)

    A group that is added later (``add_param_group``) is split in the same way. Weight decay and the
    like act on digital parameters only. aihwkit's C++ tiles, AGAD for one,
    are trained, too, and their gradients can be clipped and unscaled from then on.

    Args:
        params: a model; or its parameters, or groups of them, as torch's optimizers take. A group
            may have ``"lr"`` for its digital parameters and ``"analog_lr"`` for its arrays.
        optimizer_class: optimizer of torch for the digital parameters.
        analog_lr: learning rate of the arrays, where the group has no other.
        settings: what ``optimizer_class`` takes, such as ``lr`` and ``weight_decay``.

    Raises:
        ArgumentError: if there is no analog tile among the parameters, ``optimizer_class`` is no
            optimizer class of torch that takes groups, or a learning rate is not a number from 0.
    """
    if not isclass(optimizer_class) or not issubclass(optimizer_class, Optimizer):
        raise ArgumentError(
            f"optimizer_class={shown(optimizer_class)} is not valid: pass a class of torch's "
            "optimizers, such as torch.optim.AdamW"
        )
    if issubclass(optimizer_class, LBFGS):
        raise ArgumentError(
            f"optimizer_class={optimizer_class.__name__} is not valid: it takes one group, but "
            "digital parameters and arrays have groups of their own. Pass another one, such as "
            "torch.optim.AdamW"
        )
    digital, analog = [], []
    for group in _groups(params):
        own, arrays = _split(group, analog_lr)
        digital += [own] * bool(own["params"])
        analog += [arrays] * bool(arrays["params"])
    if not analog:
        raise ArgumentError(
            "params has no analog tile: convert the model with convert_to_analog first, or use "
            f"{optimizer_class.__name__} as it is"
        )
    optimizer: Optimizer = _analog(optimizer_class)([*digital, *analog], **settings)
    for group in analog:
        for context in group["params"]:
            adopt(_of_name(context))
    return optimizer


def _groups(params: object) -> List[Dict[str, Any]]:
    listed = _listed(params.parameters() if isinstance(params, nn.Module) else params, params)
    if listed and all(isinstance(each, dict) for each in listed):
        return [{**group, "params": _parameters(group.get("params"), params)} for group in listed]
    return [{"params": _parameters(listed, params)}]


def _parameters(values: object, params: object) -> List[Any]:
    """Return parameters, or torch's named ones, ``(name, parameter)``."""
    listed = _listed(values, params)
    for item in listed:
        if not isinstance(_of_name(item), Tensor):
            raise _not_parameters(params)
    return listed


def _listed(values: object, params: object) -> List[Any]:
    if isinstance(values, Tensor):
        return [values]
    if not isinstance(values, Iterable) or isinstance(values, (str, dict)):
        raise _not_parameters(params)
    return list(values)


def _not_parameters(params: object) -> ArgumentError:
    return ArgumentError(
        f"params={shown(params)} is not valid: pass a model, its parameters, or a list of groups "
        "such as {'params': layer.parameters(), 'lr': 0.001, 'analog_lr': 0.1}"
    )


def _of_name(item: Any) -> Any:
    return item[1] if isinstance(item, tuple) and len(item) == 2 else item


def _split(group: Dict[str, Any], analog_lr: float) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Return the digital and the analog part of a group."""
    settings = {name: value for name, value in group.items() if name != "analog_lr"}
    rate = require_argument("analog_lr", group.get("analog_lr", analog_lr), 0.0)
    parts: Tuple[List[object], List[object]] = [], []
    for item in group["params"]:
        parts[isinstance(_of_name(item), AnalogContext)].append(item)
    digital, arrays = parts
    return (
        {**settings, "params": digital},
        {**settings, "params": arrays, "lr": rate, "analog": True},
    )


class _AnalogStep(AnalogOptimizerMixin):
    """What is added to an optimizer of torch, whose class is ``digital_class``."""

    digital_class: Type[Optimizer]

    def add_param_group(self, param_group: Dict[str, object]) -> None:
        """Add a group, that of its arrays after that of its digital parameters.

        Without ``"analog_lr"`` its arrays have the rate of the arrays before them.
        """
        add = super().add_param_group
        if not isinstance(param_group, dict) or param_group.get("analog"):
            add(param_group)
            return
        rates = [group["lr"] for group in self.param_groups if group.get("analog")]
        [group] = _groups([param_group])
        digital, arrays = _split(group, rates[-1] if rates else 0.1)
        if digital["params"] or not arrays["params"]:
            add(digital)
        if arrays["params"]:
            add(arrays)
            for context in map(_of_name, arrays["params"]):
                adopt(context)

    def regroup_param_groups(self, *_: object) -> None:
        """Do nothing: arrays are in groups of their own, whose rates aihwkit would replace."""

    def __reduce__(self) -> Tuple[object, ...]:
        return _empty, (self.digital_class,), self.__getstate__()


_CLASSES: Dict[Type[Optimizer], Type[Optimizer]] = {}


def _analog(optimizer_class: Type[Optimizer]) -> Type[Optimizer]:
    """Return the class that is both; aihwkit's own has one for each name, whosever it is."""
    if optimizer_class not in _CLASSES:
        _CLASSES[optimizer_class] = _new_class(optimizer_class)
    return _CLASSES[optimizer_class]


def _new_class(optimizer_class: Type[Optimizer]) -> Type[Optimizer]:
    members = {"digital_class": optimizer_class, "__module__": __name__}
    name = f"Analog{optimizer_class.__name__}"
    return new_class(name, (_AnalogStep, optimizer_class), {}, lambda space: space.update(members))


def _empty(optimizer_class: Type[Optimizer]) -> Optimizer:
    """Return an optimizer that is about to be unpickled."""
    cls = _analog(optimizer_class)
    return cls.__new__(cls)
