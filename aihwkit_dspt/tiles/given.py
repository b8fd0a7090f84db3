"""What a tile was given: checked when it is built or set, explained when it failed otherwise."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any, Iterator, Optional, Sequence

import torch
from aihwkit.exceptions import ArgumentError, ConfigError, TileError
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from torch import Tensor, as_tensor, strided

from aihwkit_dspt.configs.checks import (
    LARGEST,
    require_argument,
    require_bool,
    require_whole,
    shown,
)

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.crossbar import Crossbar
    from aihwkit_dspt.tiles.tile import TrackingTile


def require_construction(
    out_size: object, in_size: object, rpu_config: object, **flags: object
) -> None:
    """Check the arguments of a tile.

    Raises:
        ArgumentError: if a size is no whole number.
        ConfigError: if ``rpu_config`` is no configuration of a compound, or a flag is no ``bool``.
    """
    for name, size in (("out_size", out_size), ("in_size", in_size)):
        require_whole(name, size, 0)
    if not isinstance(rpu_config, UnitCellRPUConfig):
        raise ConfigError(
            f"rpu_config={shown(rpu_config)} is not valid: pass a TrackingRPUConfig, e.g. "
            "build_config('e-rider', SoftBoundsDevice())"
        )
    for name, flag in flags.items():
        require_bool(name, flag)


def require_cells(arrays: Sequence[Crossbar], n_devices: int) -> None:
    """Check the cells that were drawn for a new tile; a copy has those of its original.

    A reference at the symmetric point is no number in a cell whose pulses only go one way, nor is
    the weight of such a cell after the first pulse, in aihwkit's own tiles, too.

    Args:
        arrays: the arrays of devices, then those of references.
        n_devices: number of devices.

    Raises:
        ConfigError: if a cell has a parameter that is not finite.
    """
    for number, array in enumerate(arrays):
        n_cells, names = array.faults
        if n_cells == 0:
            continue
        field = f"unit_cell_devices[{number}]" if number < n_devices else "reference_device"
        raise ConfigError(
            f"{field}={type(array.device_config).__name__} is not valid: {n_cells} of "
            f"{array.weights.numel()} cells have no number as {names}; make the up_down or the "
            "spread (..._dtod) of the device smaller, or pass subtract_symmetry_point=False"
        )


def require_weights(tile: TrackingTile, weight: object, bias: object) -> None:
    """Check the weights and biases that a tile is to hold, before any is changed.

    aihwkit reshapes a weight of other sizes, a transposed one too, and repeats a bias of one entry.
    It may set what is not finite once: layers set uninitialised memory before they initialise.

    Raises:
        TileError: if sizes do not fit, or they are no finite numbers.
    """
    is_first = not tile.tile.was_set
    sizes = [tile.out_size, tile.in_size]
    given = _tensor("weight", weight, sizes)
    if given.dim() < 2 or list(given.flatten(1).shape) != sizes:
        raise TileError(
            f"weight has shape {list(given.shape)}: pass {sizes}, a row for each output; of a "
            "convolution, the kernels of each output"
        )
    _require_finite("weight", given, is_first)
    has_bias = tile.analog_bias or tile.digital_bias
    if bias is not None and has_bias:
        given = _tensor("bias", bias, sizes[:1])
        if list(given.shape) != sizes[:1]:
            raise TileError(f"bias has shape {list(given.shape)}: pass {sizes[:1]}")
        _require_finite("bias", given, is_first)


def require_rate(value: Any) -> float:
    """Return a learning rate that was passed to a tile, by an optimizer for example.

    Raises:
        ArgumentError: if it is no number of single precision, or negative: pulses go down the
            gradient.
    """
    try:
        rate = nan if isinstance(value, str) else float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        rate = nan
    if not 0.0 <= rate <= LARGEST:
        raise ArgumentError(
            f"learning rate {shown(value)} is not valid: pass a number in [0, {LARGEST:.1e}]. Look "
            "at the schedule, or at what the script divides by"
        )
    return rate


def require_omega(value: object) -> None:
    """Check the largest weight that weights are to be scaled to, ``None`` for the mapping's.

    Raises:
        ArgumentError: if it is no number, or negative.
    """
    if value is not None:
        require_argument("weight_scaling_omega", value, 0.0)


def require_scales(
    name: str, tile: TrackingTile, value: object, sizes: Sequence[int], is_first: bool = False
) -> Tensor:
    """Return output scales that a tile is to have as a vector.

    Args:
        name: of the argument.
        tile: the tile.
        value: what was passed: a number, or as many as there are outputs.
        sizes: how many there may be.
        is_first: whether they belong to the first weights, which need not be numbers.

    Raises:
        TileError: if they do not fit, or are not finite; the tile is left as it was.
    """
    scales = _tensor(name, value, sizes)
    if scales.numel() not in sizes:
        counts = " or ".join(map(str, dict.fromkeys(sizes)))
        raise TileError(f"{name} has shape {list(scales.shape)}: pass {counts} finite numbers")
    _require_finite(name, scales, is_first)
    return scales.detach().to(tile.get_dtype()).flatten()


def _require_finite(name: str, values: Tensor, is_first: bool) -> None:
    if not is_first and not bool(values.isfinite().all()):
        raise TileError(f"{name} has values that are not finite: pass finite ones")


def _tensor(name: str, value: object, shape: Sequence[int]) -> Tensor:
    try:
        given = value if isinstance(value, Tensor) else as_tensor(value, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise TileError(f"{name}={shown(value)} is not valid: pass numbers of {shape}") from error
    if given.is_complex():
        raise TileError(f"{name} has data type {given.dtype}: pass real numbers of {shape}")
    if given.layout is not strided or given.is_nested or given.is_meta:
        raise TileError(
            f"{name} is sparse, nested or on the device 'meta': pass a dense tensor of {shape}"
        )
    return given


def fault_of(
    name: str, values: object, tile: TrackingTile, size: int, transposed: bool
) -> Optional[Exception]:
    """Return the error of inputs or errors that a tile cannot take, ``None`` if they fit.

    A training step does not wait for this check: it is made when a pass has failed.

    Args:
        name: of the argument.
        values: what was passed.
        tile: the tile.
        size: size of a vector, without the bias.
        transposed: whether vectors come first.
    """
    faults = _faults(values, tile, size, transposed)
    return next((TileError(f"{name} {fault}") for fault in faults), None)


def _faults(values: object, tile: TrackingTile, size: int, transposed: bool) -> Iterator[str]:
    if not hasattr(tile.analog_ctx, "analog_tile"):
        yield (
            "came to a tile whose parameter was replaced (torch.func.functional_call): leave out "
            "parameters that are an AnalogContext of aihwkit, the weights are not in them"
        )
        return
    if torch._C._functorch.peek_interpreter_stack() is not None:
        yield (
            "is in a transform of torch.func, which arrays are no operations for: call the model "
            "with a batch; torch.autograd.functional.jacobian has its derivatives"
        )
    if not isinstance(values, Tensor):
        yield f"is a {type(values).__name__}: pass a torch.Tensor"
        return
    if values.is_nested:
        yield "is a nested tensor: pass a dense one, e.g. from torch.nested.to_padded_tensor"
        return
    if values.layout is not strided:
        yield f"has the layout {values.layout}: pass a dense tensor"
    if values.device.type != tile.device.type:
        yield f"is on {values.device}, the arrays on {tile.device}: move it there with .to(...)"
    is_fit = values.dim() > 0 and values.size(0 if transposed else -1) == size
    if not tile.analog_ctx.use_indexed and not is_fit:
        expected = f"[{size}, *]" if transposed else f"[*, {size}]"
        yield f"has shape {list(values.shape)}: pass {expected}"
