"""What has to be known of the data: vectors of a step, and how large their products are."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Callable, Dict, Mapping, Optional, Sequence, Union

import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn

from aihwkit_dspt.configs.checks import require_whole, shown, suggestion
from aihwkit_dspt.costs.coincidences import estimate_coincidences
from aihwkit_dspt.tiles.of_model import tracking_tiles

Vectors = Union[int, Mapping[str, int]]


@dataclass(frozen=True)
class Signals:
    """Vectors that a tile sees in a step."""

    vectors: int
    """Number of vectors."""

    product: Optional[float] = None
    """Mean of ``|x d|`` over the cells and vectors; ``None`` if it was not measured."""

    fast_lr: Optional[float] = None
    """Learning rate of the fast array, in weight units; ``None`` if it was not measured."""


def given(model: nn.Module, vectors_per_step: Vectors) -> Dict[str, Signals]:
    """Return the number of vectors that was given for each tile.

    Args:
        model: a model with tracking tiles.
        vectors_per_step: one number, or name of a tile or of a module around it -> number.

    Raises:
        ArgumentError: if a name is not known, a tile has no number, or a number is not valid.
    """
    tiles = tracking_tiles(model)
    if not isinstance(vectors_per_step, Mapping):
        number = require_whole("vectors_per_step", vectors_per_step, 1)
        return dict.fromkeys(tiles, Signals(number))
    found: Dict[str, Signals] = {}
    for key, value in vectors_per_step.items():
        names = [name for name in tiles if f"{name}.".startswith(f"{key}.")]
        if not names:
            raise ArgumentError(
                f"vectors_per_step has {key!r}, which is no tile and holds none"
                f"{suggestion(str(key), tiles)}"
            )
        number = require_whole(f"vectors_per_step[{key!r}]", value, 1)
        found.update(dict.fromkeys(names, Signals(number)))
    missing = [name for name in tiles if name not in found]
    if missing:
        raise ArgumentError(f"vectors_per_step has no number for {missing}: pass one")
    return {name: found[name] for name in tiles}


def of_shape(model: nn.Module, input_shape: Sequence[int]) -> Dict[str, Signals]:
    """Return the vectors that each tile of a copy multiplies for an input of zeros.

    Args:
        model: a model with tracking tiles.
        input_shape: shape of a batch.

    Raises:
        ArgumentError: if the model does not take such an input, or a tile sees nothing of it.
    """
    copied = deepcopy(model).eval()
    tiles = tracking_tiles(copied)
    before = {name: tile.tile.pipeline.counters.forward_mvms for name, tile in tiles.items()}
    like = next(iter(tiles.values())).tile.pipeline.fast.weights
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            copied(torch.zeros(*input_shape, dtype=like.dtype, device=like.device))
        except (TileError, RuntimeError, ValueError, IndexError, TypeError) as error:
            raise ArgumentError(
                f"input_shape={shown(input_shape)} is not valid: the model does not take zeros of "
                f"that shape ({error}); pass vectors_per_step or loss"
            ) from error
    return _seen(
        {
            name: Signals(tile.tile.pipeline.counters.forward_mvms - before[name])
            for name, tile in tiles.items()
        },
        "input_shape",
    )


def of_loss(model: nn.Module, loss: Callable[[nn.Module], Tensor], lr: float) -> Dict[str, Signals]:
    """Return what the tiles of a copy see in one step of training.

    The counters of the copy say it: vector pairs, and pulses that are expected.

    Args:
        model: a model with tracking tiles; it stays as it is.
        loss: returns the loss of a batch for the model that it is called with.
        lr: learning rate of the optimizer.

    Raises:
        ArgumentError: if a tile sees nothing of the batch.
    """
    copied = deepcopy(model).train()
    estimate_coincidences(copied)
    pipelines = {name: tile.tile.pipeline for name, tile in tracking_tiles(copied).items()}
    before = {name: pipeline.counters.state() for name, pipeline in pipelines.items()}
    optimizer = AnalogSGD(copied.parameters(), lr=lr)
    optimizer.regroup_param_groups(copied)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        optimizer.zero_grad()
        loss(copied).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    found = {}
    for name, pipeline in pipelines.items():
        now, fast_lr = pipeline.counters.state(), float(pipeline.fast_lr.current)
        vectors = now["update_cycles"] - before[name]["update_cycles"]
        pulses = now["expected_coincidences"] - before[name]["expected_coincidences"]
        at_one = vectors * pipeline.fast.weights.numel() * fast_lr / pipeline.fast.pulse_granularity
        later = pipeline.fast_lr.after_start(lr)  # the plan is one of the whole run
        found[name] = Signals(vectors, pulses / at_one if at_one else 0.0, later)
    return _seen(found, "loss")


def _seen(signals: Dict[str, Signals], argument: str) -> Dict[str, Signals]:
    """Return the signals, if every tile has some.

    Raises:
        ArgumentError: if one has none.
    """
    unseen = [name for name, own in signals.items() if own.vectors == 0]
    if unseen:
        raise ArgumentError(
            f"{argument} reaches no vector of {unseen}: pass vectors_per_step for each tile"
        )
    return signals
