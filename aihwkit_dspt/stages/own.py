"""Stages of somebody's own: how they are made, and what they return.

What the built-in stages return is trusted.
"""

from __future__ import annotations

from typing import List, Sequence, Type, TypeVar

from aihwkit.exceptions import ConfigError, TileError
from torch import Tensor
from torch.nn import Module

from aihwkit_dspt.stages.buffer import TransferBuffer
from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.estimator import SymmetricPointEstimator

StageT = TypeVar("StageT", bound=Module)


def new_stage(
    field: str, kind: Type[StageT], tensor: str, shape: Sequence[int], *arguments: object
) -> StageT:
    """Return a new stage.

    Args:
        field: field of the configuration that holds its class.
        kind: the class.
        tensor: name of the tensor that it has to have.
        shape: shape of that tensor.
        arguments: what the stage is made with, the data type of its tensors last.

    Raises:
        ConfigError: if the class takes other arguments, or has no such tensor.
    """
    data_type = arguments[-1]
    remedy = f"its __init__ gets {len(arguments)} arguments and passes them to super().__init__"
    try:
        stage = kind(*arguments)
        held = getattr(stage, tensor)
        fits = list(held.shape) == list(shape) and held.dtype is data_type
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"{field}={kind.__name__} is not valid: {error}; {remedy}") from error
    if not fits:
        raise ConfigError(
            f"{field}={kind.__name__} is not valid: its {tensor} is {held.dtype} of shape "
            f"{list(held.shape)}, not {data_type} of {list(shape)}; {remedy}"
        )
    return stage


def require_flips(chopper: Chopper, flipped: List[int], lines: slice) -> List[int]:
    """Return the numbers of lines, or of cells along them, that flip; each once.

    Raises:
        TileError: unless they are within ``lines``.
    """
    if type(chopper) is Chopper:
        return flipped
    numbers = list(dict.fromkeys(int(number) for number in flipped))
    if any(not lines.start <= number < lines.stop for number in numbers):
        raise TileError(
            f"{type(chopper).__name__} flips {numbers}: return numbers from {lines.start} to "
            f"{lines.stop - 1}, of lines that were read (due) or of cells along them (outputs_due)"
        )
    return numbers


def require_pulses(buffer: TransferBuffer, steps: Tensor, increment: Tensor) -> None:
    """Look at the pulse numbers that leave a buffer after an ``[n_lines, out_size]`` increment.

    On a GPU nobody waits to see their values.

    Raises:
        TileError: for another shape, parts of a pulse, or more pulses than one transfer can send.
    """
    if type(buffer) is TransferBuffer:
        return
    name, most = type(buffer).__name__, buffer.max_steps
    if steps.shape != increment.shape:
        raise TileError(
            f"{name} releases pulses of shape {list(steps.shape)}: return {list(increment.shape)}"
        )
    # What is no number before is none after it, as with the built-in buffer.
    fits = (steps == steps.trunc()) & (steps.abs() <= most) | increment.isnan()
    if not (steps.is_cuda or bool(fits.all())):
        raise TileError(
            f"{name} releases {steps[~fits][0].item():g} pulses: return whole numbers from {-most} "
            f"to {most} (max_steps)"
        )


def require_estimate(estimator: SymmetricPointEstimator, like: Tensor) -> None:
    """Raise ``TileError`` unless an estimate has the shape and the data type of the reference."""
    found = estimator.sp_estimate
    if found.shape != like.shape or found.dtype is not like.dtype:
        raise TileError(
            f"{type(estimator).__name__} leaves an sp_estimate of {found.dtype} and shape "
            f"{list(found.shape)}: keep it {like.dtype} and {list(like.shape)}"
        )
