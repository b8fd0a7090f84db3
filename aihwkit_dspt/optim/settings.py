"""Settings of optimizers that do not reach arrays."""

from __future__ import annotations

from typing import Type
from warnings import warn
from weakref import WeakSet

from aihwkit.exceptions import ArgumentError
from torch.optim import SGD, Optimizer

_told: WeakSet[Optimizer] = WeakSet()


def check_settings(optimizer: Optimizer, kind: Type[object]) -> None:
    """Check the groups of an optimizer that have contexts of the given class.

    Pulses take ``lr`` alone from their group: ``d x`` goes down whatever else it says.

    Raises:
        ArgumentError: with ``maximize=True``, as arrays would go down where the rest goes up.

    Warns:
        UserWarning: once, if momentum or weight decay were set for aihwkit's ``AnalogSGD``, which
            leaves arrays without. (:func:`~aihwkit_dspt.analog_optimizer` says that it does.)
    """
    # What analog_optimizer makes knows the class of its digital step.
    tells = isinstance(optimizer, SGD) and not hasattr(optimizer, "digital_class")
    for group in optimizer.param_groups:
        is_ignored = tells and (group.get("momentum") or group.get("weight_decay"))
        if not (group.get("maximize") or is_ignored):
            continue
        if not any(issubclass(type(each), kind) for each in group["params"]):
            continue
        name = type(optimizer).__name__
        if group.get("maximize"):
            raise ArgumentError(
                f"maximize=True of {name} is not valid with analog tiles, whose pulses go down the "
                "gradient: pass maximize=False and take the negative of the loss"
            )
        if optimizer not in _told:
            _told.add(optimizer)
            given = ", ".join(
                f"{key}={group[key]}" for key in ("momentum", "weight_decay") if group.get(key)
            )
            warn(
                f"{given} of {name} acts on digital parameters only: arrays take lr from their "
                "group, and nothing else. Leave it out, or pass analog_optimizer(model, SGD, ...)",
                stacklevel=2,
            )
