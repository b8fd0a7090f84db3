"""Checkpoints of a training: written whole or not at all, loaded whole or not at all."""

from __future__ import annotations

import random
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Union

import numpy as np
import torch
from aihwkit.exceptions import ArgumentError
from aihwkit.optim.context import AnalogContext
from aihwkit.simulator.tiles.base import AnalogTileStateNames
from aihwkit.simulator.tiles.module import TileModule
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from aihwkit_dspt.configs.checks import require_flag, require_module, require_path, shown
from aihwkit_dspt.loadable import write_loadable
from aihwkit_dspt.parallel.files import one_writer, random_of_ranks, random_of_this_rank
from aihwkit_dspt.parallel.wrapper import AnalogDataParallel
from aihwkit_dspt.plain import restored
from aihwkit_dspt.seal import has_intact_members, is_intact, seal
from aihwkit_dspt.tiles.context import fitting_context
from aihwkit_dspt.tiles.undo import TileBefore
from aihwkit_dspt.whole_file import whole_file

if TYPE_CHECKING:
    from torch.serialization import MAP_LOCATION

CHECKPOINT_FORMAT = 2
"""Version of the files that :func:`save_checkpoint` writes; counted up when they change.

Format 1 is that of version 0.1.0: it has no seal.
"""

PARTS = ("model", "optimizer", "scheduler")


def save_checkpoint(
    path: Union[str, Path],
    model: nn.Module,
    optimizer: Optional[Optimizer] = None,
    scheduler: Optional[LRScheduler] = None,
    **extra: object,
) -> None:
    """Write all that a training needs to go on.

    These are the states of model, optimizer and learning rate scheduler and of the random number
    generators of Python, NumPy and torch. The file appears under its name when it is complete and
    has been read back: a call that is interrupted or refused leaves the former checkpoint in place.
    A checksum at its end lets :func:`load_checkpoint` find any damage. To torch it is a usual file:
    ``torch.load(path, weights_only=True)`` reads it, too.

    In several processes call it on all ranks, with the model of
    :func:`~aihwkit_dspt.analog_data_parallel`. Rank 0 writes the file, which is that of one process
    and loads in any number of them.

    NumPy's numbers are saved as plain ones, wherever they are.

    The generators of aihwkit's C++ tiles cannot be saved: after a load, pulses and noise go on with
    other random numbers.

    Args:
        path: the file. What a killed process has left beside it (``.part``) is removed.
        model: the model.
        optimizer: its optimizer.
        scheduler: a learning rate scheduler of the optimizer.
        extra: more to keep, such as ``epoch=3``; tensors, NumPy arrays of numbers and plain Python
            values, also in dicts, lists and tuples.

    Raises:
        ArgumentError: if a value could not be loaded again; it is named, as in
            ``extra.history[2]``; or if an argument is of the wrong kind.
        OSError: if the file cannot be written.
    """
    parts = _given(model, optimizer, scheduler)
    require_path("path", path)
    random_states = random_of_ranks(model, _random_states())
    content = {
        "format": CHECKPOINT_FORMAT,
        "versions": {
            # Of the modules: a self-built aihwkit in its source tree has no metadata.
            name.replace("_", "-"): str(import_module(name).__version__)
            for name in ("aihwkit_dspt", "aihwkit", "torch")
        },
        **{name: part.state_dict() for name, part in parts.items()},
        "random": random_states[0],
        "extra": extra,
    }
    if len(random_states) > 1:
        content["random_of_ranks"] = random_states
    with one_writer(model) as writes:
        if writes:
            with whole_file(path) as file:
                write_loadable(content, file)
                seal(file)


def load_checkpoint(
    path: Union[str, Path],
    model: nn.Module,
    optimizer: Optional[Optimizer] = None,
    scheduler: Optional[LRScheduler] = None,
    map_location: MAP_LOCATION = None,
    load_rpu_config: Optional[bool] = None,
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
        load_rpu_config: whether the tiles take over the settings of the file (with a warning where
            theirs differ) or keep those of the script; ``None`` leaves that to the tiles, which
            take them over unless told otherwise.

    Returns:
        the ``extra`` values that were saved.

    Raises:
        FileNotFoundError: if there is no such file.
        ArgumentError: if the file is damaged, is no checkpoint of this format, or lacks a part that
            is to be loaded; or an argument is of the wrong type.
        TileError, RuntimeError: if the model does not fit, naming both sides.
        pickle.UnpicklingError: if the file holds a class of your own; torch's message says how to
            allow that.
    """
    parts = _given(model, optimizer, scheduler)
    if load_rpu_config is not None:
        require_flag("load_rpu_config", load_rpu_config)
    content = _read(require_path("path", path), map_location)
    for name in parts:
        if name not in content:
            raise ArgumentError(f"{name} is not in {str(path)!r}: pass {name}=None")
    # What is made in inference mode can never be trained; a model that was, stays one.
    tensors = (*model.parameters(), *model.buffers())
    with torch.inference_mode(any(tensor.is_inference() for tensor in tensors)):
        undo = _undo_all(model, optimizer, scheduler)
        try:
            _fit_contexts(model, content["model"])
            with _settings_chosen(model, load_rpu_config):
                for name, part in parts.items():
                    part.load_state_dict(content[name])
            random_states = random_of_this_rank(model, content)
            if random_states is not None:
                _set_random_states(random_states)
        except BaseException:
            for step in undo:
                step()
            raise
    extra: Dict[str, Any] = content["extra"]
    return extra


def _given(model: object, *others: Optional[object]) -> Dict[str, Any]:
    """Return the parts of a training by name, those that are there.

    Raises:
        ArgumentError: if the model is no module, or another part one, or without a state.
    """
    parts: Dict[str, object] = {"model": require_module("model", model)}
    for name, part in zip(PARTS[1:], others):
        has_state = all(hasattr(part, f"{do}state_dict") for do in ("", "load_"))
        if part is not None and (isinstance(part, nn.Module) or not has_state):
            raise ArgumentError(f"{name}={shown(part)} is not valid: pass the {name}, or None")
        if part is not None:
            parts[name] = part
    return parts


def _read(path: Path, map_location: MAP_LOCATION) -> Dict[str, Any]:
    """Return what is in a file of :func:`save_checkpoint`, if it is whole."""
    with path.open("rb") as file:
        intact = is_intact(file)
        # A file without a seal is old, or the seal itself is damaged, or it is something else.
        if not (intact or (intact is None and has_intact_members(file))):
            raise _damaged(path)
        file.seek(0)
        try:
            content = torch.load(file, map_location=map_location, weights_only=True)
        except Exception as error:
            if intact:
                raise
            raise _damaged(path) from error
    found = content.get("format", "none") if isinstance(content, dict) else type(content).__name__
    if intact is None and found != 1 and isinstance(found, int):
        raise _damaged(path)  # all later formats are sealed
    if found not in (1, CHECKPOINT_FORMAT) or "random" not in content:
        raise ArgumentError(
            f"path={str(path)!r} has format {found}: pass a file that save_checkpoint of this "
            f"version wrote, which has format {CHECKPOINT_FORMAT}, or of an older one"
        )
    plain: Dict[str, Any] = restored(content)
    return plain


def _damaged(path: Path) -> ArgumentError:
    return ArgumentError(
        f"path={str(path)!r} is damaged, or no checkpoint: its checksum is wrong or missing. Pass "
        "an undamaged copy, or the checkpoint before it; nothing has been loaded"
    )


def _fit_contexts(model: nn.Module, state: Dict[str, torch.Tensor]) -> None:
    """Let the contexts in a state of the other aihwkit be as this one has them, in place.

    aihwkit 1.2 would warn of those of 1.1 and no longer look whether the rest of the state fits.
    """
    # The names of a state have no "module." of the wrapper in front.
    one = model.module if isinstance(model, AnalogDataParallel) else model
    tiles = {
        f"{name}.".lstrip(".") + AnalogTileStateNames.CONTEXT: tile
        for name, tile in one.named_modules()
        if isinstance(tile, TileModule)
    }
    for key in [key for key in state if key.endswith(AnalogTileStateNames.CONTEXT)]:
        if key in tiles:
            state[key] = fitting_context(tiles[key].analog_ctx, state[key])
        else:  # the load will say so
            state[key] = state[key].new_zeros(1)


@contextmanager
def _settings_chosen(model: nn.Module, load_rpu_config: Optional[bool]) -> Iterator[None]:
    """Tell all tiles for once whose settings hold, see :func:`load_checkpoint`."""
    tiles = [tile for tile in model.modules() if isinstance(tile, TileModule)]
    before = [tile.load_rpu_config for tile in tiles]
    for tile in tiles:
        tile.set_load_rpu_config_state(load_rpu_config)
    try:
        yield
    finally:
        for tile, choice in zip(tiles, before):
            tile.load_rpu_config = choice


def _random_states() -> Dict[str, object]:
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
    model: nn.Module, optimizer: Optional[Optimizer], scheduler: Optional[LRScheduler]
) -> List[Callable[[], object]]:
    """Return what to call to put everything back as it is now."""
    steps: List[Callable[[], object]] = []
    for part in (optimizer, scheduler):
        if part is not None:
            state = deepcopy(part.state_dict())
            steps.append(partial(part.load_state_dict, state))
    tiles = [tile for tile in model.modules() if isinstance(tile, TileModule)]
    steps += [TileBefore(tile).put_back for tile in tiles]
    for tensor in (*model.parameters(), *model.buffers()):
        if not isinstance(tensor, AnalogContext):
            steps.append(partial(tensor.detach().copy_, tensor.detach().clone()))
    steps.append(partial(_set_random_states, _random_states()))
    return steps
