"""The host library: does it work here, and what differs between its versions."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Callable, Optional, Union

import torch
from packaging.version import Version
from torch._C import DisableTorchFunctionSubclass

HOST_PAIRS = {
    "1.1": ("3.10 or 3.11", "aihwkit==1.1.* torch==2.10.*"),
    "1.2": ("3.12", "aihwkit==1.2.* torch>=2.13,<2.16"),
}
"""aihwkit series -> (Python, what to install)."""


def _probe() -> None:
    """Build a tiny C++ tile and set its weights: binaries that do not fit fail only here."""
    # pylint: disable=import-outside-toplevel
    from aihwkit.simulator.configs.configs import SingleRPUConfig
    from aihwkit.simulator.configs.devices import ConstantStepDevice
    from aihwkit.simulator.parameters.enums import RPUDataType

    # Without variation of the bounds no cell can clip the weights that are set.
    config = SingleRPUConfig(device=ConstantStepDevice(w_max_dtod=0.0, w_min_dtod=0.0))
    parameters = config.device.as_bindings(RPUDataType.FLOAT)
    tile = config.as_bindings().create_array(2, 3, parameters)
    weights = torch.full((3, 2), 0.25)
    tile.set_weights(weights)
    read = tile.get_weights()
    if not torch.equal(read, weights):
        raise RuntimeError(f"a weight of 0.25 reads back as {read[0, 0].item()}")


def check_host() -> None:
    """Check that the installed aihwkit and torch work together.

    Raises:
        ImportError: naming what is installed and what to install, if aihwkit is missing, too old,
            or was built for another torch.
    """
    pairs = "; ".join(
        f"on Python {versions}: pip install {' '.join(repr(part) for part in install.split())}"
        for versions, install in HOST_PAIRS.values()
    )
    try:
        aihwkit = version("aihwkit")
    except PackageNotFoundError:
        raise ImportError(f"aihwkit_dspt needs aihwkit, which is not installed. {pairs}") from None
    installed = (
        f"aihwkit {aihwkit} with torch {torch.__version__} on Python {sys.version.split()[0]}"
    )
    if Version(aihwkit) < Version("1.1"):
        raise ImportError(f"{installed} is too old for aihwkit_dspt. {pairs}")
    try:
        _probe()
    except Exception as exception:  # whatever a pair that does not fit raises
        raise ImportError(
            f"{installed} do not work together: {exception}. Install a pair that does, {pairs}"
        ) from exception


def follow_device(tile: Any, device: Optional[Union[torch.device, str, int]]) -> None:
    """Move the arrays of a tile to a GPU and let the tile and its context say so.

    aihwkit 1.1 keeps the device in attributes, 1.2 derives it from the analog context, which
    has to view the moved weights.
    """
    index = torch.cuda.device(device).idx
    target = torch.device("cuda", torch.cuda.current_device() if index is None else index)
    with torch.cuda.device(target):
        tile.tile.cuda(target)
    context = tile.analog_ctx
    if hasattr(context, "_replace_raw_data"):
        tile._bind_shared_weights()
        context._replace_raw_data(tile.tile.get_weights(as_ref=True))
    else:
        tile.is_cuda = True
        tile.device = target
        context.data = context.data.cuda(target)
    context.reset(tile)


_requires_grad: Callable[[Any], bool] = vars(torch._C.TensorBase)["requires_grad"].__get__


def is_frozen(tile: Any) -> bool:
    """Return whether a tile is frozen (``requires_grad_(False)``).

    In aihwkit 1.2 the attributes of the context are found by Python code. The training step, which
    asks several times, passes by.
    """
    with DisableTorchFunctionSubclass():  # type: ignore[no-untyped-call]
        return not _requires_grad(tile._parameters["analog_ctx"])


def keep_context(tile: Any, context: Any) -> None:
    """Give a tile that was just loaded the analog context back that it had before.

    aihwkit makes a new one. An optimizer that was made before the load would hold the old one, find
    no gradients there and go on without ever updating the tile.
    """
    loaded = tile.analog_ctx
    if hasattr(context, "_replace_raw_data"):
        context._replace_raw_data(loaded._raw_data())
    else:
        context.data = loaded.data
    context.use_indexed = loaded.use_indexed
    context.reset(tile)


def put_back(tile: Any, before: Any) -> None:
    """Give a tile the attributes back that it had before it was loaded.

    aihwkit 1.2's analog context views the weights, so it has to follow.
    """
    vars(tile).clear()
    vars(tile).update(before)
    tile.analog_ctx.reset(tile)
    if hasattr(tile, "_sync_analog_ctx_weights"):
        tile._sync_analog_ctx_weights()


def attributes(tile: Any) -> Any:
    """Return a copy of the attributes of a tile for :func:`put_back`, while it is loaded."""
    return {
        name: value.copy() if isinstance(value, dict) else value
        for name, value in vars(tile).items()
    }
