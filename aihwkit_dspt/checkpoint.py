"""Checkpoints of a training: written whole or not at all, loaded whole or not at all."""

from __future__ import annotations

import random
from copy import deepcopy
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Union

import numpy as np
import torch
from aihwkit.exceptions import ArgumentError
from aihwkit.optim.context import AnalogContext
from aihwkit.simulator.tiles.module import TileModule
from torch import nn

from aihwkit_dspt._host import attributes, put_back
from aihwkit_dspt.whole_file import whole_file

CHECKPOINT_FORMAT = 1
"""Version of the files that :func:`save_checkpoint` writes; counted up when they change."""

PARTS = ("model", "optimizer", "scheduler")


def save_checkpoint(
    path: Union[str, Path],
    model: nn.Module,
    optimizer: Optional[Any] = None,
    scheduler: Optional[Any] = None,
    **extra: Any,
) -> None:
    """Write all that a training needs to go on.

    These are the states of model, optimizer and learning rate scheduler and of the random number
    generators of Python, NumPy and torch. The file appears under its name when it is complete: an
    interrupted call leaves the former checkpoint in place.

    The generators of aihwkit's C++ tiles cannot be saved: after a load, pulses and noise go on with
    other random numbers.

    Args:
        path: the file.
        model: the model.
        optimizer: its optimizer.
        scheduler: a learning rate scheduler of the optimizer.
        extra: more to keep, such as ``epoch=3``; tensors and plain Python values.
    """
    states = {name: part for name, part in zip(PARTS, (model, optimizer, scheduler)) if part}
    content = {
        "format": CHECKPOINT_FORMAT,
        "versions": {name: version(name) for name in ("aihwkit-dspt", "aihwkit", "torch")},
        **{name: part.state_dict() for name, part in states.items()},
        "random": _random_states(),
        "extra": extra,
    }
    with whole_file(path) as file:
        torch.save(content, file)


def load_checkpoint(
    path: Union[str, Path],
    model: nn.Module,
    optimizer: Optional[Any] = None,
    scheduler: Optional[Any] = None,
    map_location: Any = None,
) -> Dict[str, Any]:
    """Go on where :func:`save_checkpoint` was called.

    Nothing but plain data and RPU configurations is read from the file
    (``torch.load(..., weights_only=True)``). A failed or interrupted call leaves model, optimizer,
    scheduler and random numbers as they were.

    Args:
        path: the file.
        model: a model of the same layers and configuration.
        optimizer: its optimizer; it may be made before or after the load.
        scheduler: its learning rate scheduler.
        map_location: see :func:`torch.load`.

    Returns:
        the ``extra`` values that were saved.

    Raises:
        FileNotFoundError: if there is no such file.
        ArgumentError: if the file is no checkpoint of this format, or lacks a part that is to be
            loaded.
        TileError, RuntimeError: if the model does not fit, naming both sides.
        pickle.UnpicklingError: if the file is damaged or holds a class of your own; torch's
            message says how to allow that.
    """
    content = torch.load(path, map_location=map_location, weights_only=True)
    found = content.get("format", "none") if isinstance(content, dict) else type(content).__name__
    if found != CHECKPOINT_FORMAT or "random" not in content:
        raise ArgumentError(
            f"path={str(path)!r} has format {found}: pass a file that save_checkpoint of this "
            f"version wrote, which has format {CHECKPOINT_FORMAT}"
        )
    parts = {name: part for name, part in zip(PARTS, (model, optimizer, scheduler)) if part}
    for name in parts:
        if name not in content:
            raise ArgumentError(f"{name} is not in {str(path)!r}: pass {name}=None")
    undo = _undo_all(model, optimizer, scheduler)
    try:
        for name, part in parts.items():
            part.load_state_dict(content[name])
        _set_random_states(content["random"])
    except BaseException:
        for step in undo:
            step()
        raise
    extra: Dict[str, Any] = content["extra"]
    return extra


def _random_states() -> Dict[str, Any]:
    kind, keys, position, has_gauss, cached = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(np.asarray(keys).copy()), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _set_random_states(states: Dict[str, Any]) -> None:
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy(), *rest))
    random.setstate(states["python"])
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])


def _undo_all(
    model: nn.Module, optimizer: Optional[Any], scheduler: Optional[Any]
) -> List[Callable[[], Any]]:
    """Return what to call to put everything back as it is now."""
    steps: List[Callable[[], Any]] = []
    for part in (optimizer, scheduler):
        if part:
            state = deepcopy(part.state_dict())
            steps.append(partial(part.load_state_dict, state))
    # A loaded tile gets new arrays; the old ones are still whole.
    for tile in model.modules():
        if isinstance(tile, TileModule):
            steps.append(partial(put_back, tile, attributes(tile)))
    for tensor in (*model.parameters(), *model.buffers()):
        if not isinstance(tensor, AnalogContext):
            steps.append(partial(tensor.detach().copy_, tensor.detach().clone()))
    steps.append(partial(_set_random_states, _random_states()))
    return steps
