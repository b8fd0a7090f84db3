"""Checks of arguments that hold a number for each cell."""

from __future__ import annotations

from typing import Optional, Sequence, Type

import torch
from aihwkit.exceptions import ArgumentError
from torch import Tensor

from aihwkit_dspt.configs.checks import shown


def require_numbers(
    name: str,
    value: object,
    shape: Optional[Sequence[int]] = None,
    error: Type[Exception] = ArgumentError,
) -> Tensor:
    """Return numbers that were passed to a function as a tensor.

    Args:
        name: name of the argument.
        value: a number, a tensor, or what torch makes a tensor of, such as a NumPy array.
        shape: the shape that it must have; ``None`` for any.
        error: class of the error.

    Returns:
        the numbers, a floating-point tensor that may share its memory with ``value``.

    Raises:
        error: if they are no finite real numbers or of another shape.
    """
    expected = "finite numbers" if shape is None else f"finite numbers of shape {list(shape)}"
    try:
        place = value.device if isinstance(value, Tensor) else "cpu"
        given = torch.as_tensor(value, device=place).detach()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        given = None
    if given is None or given.is_complex() or given.dtype is torch.bool:
        raise error(f"{name}={shown(value)} is not valid: pass {expected}")
    numbers = given if given.is_floating_point() else given.double()
    if not hasattr(value, "dtype"):
        # Python's numbers keep their digits.
        numbers = torch.as_tensor(value, dtype=torch.double, device=place)
    if shape is not None and list(numbers.shape) != list(shape):
        raise error(f"{name} has shape {list(numbers.shape)}: pass {expected}")
    if not bool(numbers.isfinite().all()):
        raise error(
            f"{name} has values that are not finite: pass {expected}; torch.nan_to_num replaces "
            "others, such as those of cells without a symmetric point"
        )
    return numbers


def require_generator(value: object) -> None:
    """Raise ``ArgumentError`` unless this is a generator of torch on the CPU, or ``None``."""
    on_cpu = isinstance(value, torch.Generator) and value.device.type == "cpu"
    if value is not None and not on_cpu:
        raise ArgumentError(
            f"generator={shown(value)} is not valid: pass a torch.Generator() on the CPU, or None"
        )
