"""What single ranks do in the tests, beside trainings."""

from __future__ import annotations

import os
import signal
from copy import deepcopy
from pathlib import Path
from typing import Any, Dict, List

import torch
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn

from aihwkit_dspt import (
    AveragedWeights,
    ERIDEREcRamPreset,
    RankError,
    SymmetricPointMonitor,
    analog_data_parallel,
    analog_grad_norms,
    at_slow_weights,
    load_checkpoint,
    operation_counts,
    save_checkpoint,
    symmetric_points,
)
from tests.helpers import quiet_config
from tests.parallel.models import CASES, N_STEPS, data, mlp

CASE = CASES["E-RIDER"]


def error_of(function: Any, *args: Any) -> str:
    """Return what a call is refused with."""
    try:
        function(*args)
    except Exception as error:  # any: the test looks at it
        return f"{type(error).__name__}: {error}"
    return "none"


def save(rank: int, n_ranks: int, path: Path) -> Dict[str, Any]:
    """Train, save, and return the state."""
    model = analog_data_parallel(mlp())
    optimizer = CASE.train(model, rank, n_ranks)
    torch.manual_seed(40 + rank)
    save_checkpoint(path, model, optimizer, step=N_STEPS)
    return {"state": dict(model.state_dict()), "drawn": float(torch.rand(()))}


def go_on(rank: int, n_ranks: int, path: Path) -> Dict[str, Any]:
    """Load in any number of processes, go on, and return the states before and after."""
    model: Any = mlp() if n_ranks == 1 else analog_data_parallel(mlp())
    torch.manual_seed(rank)
    extra = load_checkpoint(path, model, AnalogSGD(model.parameters(), lr=0.3))
    drawn = float(torch.rand(()))
    loaded = deepcopy(dict(model.state_dict()))  # aihwkit 1.2 shows weights that go on changing
    CASE.train(model, rank, n_ranks, range(extra["step"], 2 * N_STEPS))
    return {
        "loaded": loaded,
        "drawn": drawn,
        "state": dict(model.state_dict()),
    }


def killed(rank: int, n_ranks: int, path: Path) -> str:
    """Save; then the last rank is killed in the middle of a step. Return what the others hear."""
    model = analog_data_parallel(mlp())
    optimizer = CASE.train(model, rank, n_ranks, range(2))
    save_checkpoint(path, model, optimizer, step=2)
    optimizer.zero_grad()
    CASE.loss(model, 2, rank, n_ranks).backward()
    if rank == n_ranks - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    first = error_of(optimizer.step)
    return f"{first} | {error_of(save_checkpoint, path, model, optimizer)}"


def unwritable(rank: int, n_ranks: int, path: Path) -> List[str]:
    """Return what ranks hear of a file that cannot be written, and of one that does not fit."""
    model = analog_data_parallel(mlp())
    before = dict(model.state_dict())
    heard = [error_of(save_checkpoint, path / "no folder" / "file", model)]
    key = "{}.analog_module.analog_tile_state"
    state = {**before, key.format(4): before[key.format(0)]}
    heard.append(error_of(model.load_state_dict, state))
    save_checkpoint(path / "three", model)
    load_checkpoint(path / "three", model)
    CASE.train(model, rank, n_ranks, range(1))
    return heard


class Mixed(AnalogSequential):
    """Digital layers with and without gradients, batch normalisation, arrays."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.norm = nn.BatchNorm1d(6)
        self.analog = AnalogLinear(6, 4, rpu_config=quiet_config())
        self.other = AnalogLinear(6, 4, rpu_config=quiet_config())
        self.unused = nn.Linear(2, 2)

    def forward(self, x: Tensor, use_other: bool = False) -> Tensor:
        """Return the output of one array, or the sum of both."""
        x = self.norm(self.first(x))
        return self.analog(x) + self.other(x) if use_other else self.analog(x)


def mixed(rank: int, n_ranks: int) -> Dict[str, Any]:
    """Return gradients after a backward pass in which only the last rank uses one of the layers."""
    parallel = analog_data_parallel(Mixed(seed=rank))
    model: Any = parallel.module
    start = {name: value.detach().clone() for name, value in model.first.named_parameters()}
    x, y = (CASE.part(values, rank, n_ranks) for values in data(0))
    nn.functional.mse_loss(parallel(x, rank == n_ranks - 1), y).backward()
    gradients = {
        name: None if value.grad is None else value.grad.clone()
        for name, value in model.named_parameters()
        if "analog_ctx" not in name
    }
    norms = {name: float(tile.analog_ctx.grad) for name, tile in _tiles(model).items()}
    total = nn.utils.clip_grad_norm_(parallel.parameters(), 1.0)
    AnalogSGD(parallel.parameters(), lr=0.1).step()
    return {
        "start": start,
        "gradients": gradients,
        "norms": norms,
        "total": total,
        "after": {
            name: value.detach().clone()
            for name, value in model.named_parameters()
            if "analog_ctx" not in name
        },
        "buffers": dict(model.norm.named_buffers()),
        "weights": {name: tile.get_weights()[0] for name, tile in _tiles(model).items()},
        "owners": parallel.owners,
        "digital": AveragedWeights(model).module(x),
    }


def _tiles(model: Any) -> Dict[str, Any]:
    return {"analog": model.analog.analog_module, "other": model.other.analog_module}


def refused(rank: int, n_ranks: int) -> Dict[str, str]:
    """Return what calls are refused with."""
    model = analog_data_parallel(mlp())
    name = next(each for each, owner in model.owners.items() if owner != rank)
    tile: Any = model.module.get_submodule(name)
    x, y = (CASE.part(values, rank, n_ranks) for values in data(0))

    def forgotten_sync() -> None:
        with model.no_sync():
            nn.functional.mse_loss(model(x), y).backward()
        AnalogSGD(model.parameters(), lr=0.1).step()

    def property_of_tile() -> None:
        tile.fast_weights  # noqa: B018

    return {
        "fast weights": error_of(property_of_tile),
        "symmetric points": error_of(symmetric_points, tile),
        "set weights": error_of(
            tile.set_weights, torch.zeros(tile.out_size, tile.in_size), torch.zeros(tile.out_size)
        ),
        "state": error_of(model.module.state_dict),
        "update": error_of(tile.update, torch.ones(1, tile.in_size), torch.ones(1, tile.out_size)),
        "slow": error_of(at_slow_weights(model.module).__enter__),
        "counts": error_of(operation_counts, model.module),
        "forgotten": error_of(forgotten_sync),
        "repr": repr(tile),
        "twice": error_of(analog_data_parallel, model),
        "none": error_of(analog_data_parallel, nn.Linear(2, 2)),
        "other model": error_of(
            analog_data_parallel,
            AnalogSequential(AnalogLinear(3 + rank, 4, rpu_config=quiet_config())),
        ),
        "other step": error_of(model.state_dict)
        if rank == 0
        else error_of(nn.functional.mse_loss(model(x), y).backward),
    }


def watched(rank: int, n_ranks: int) -> Any:
    """Return the history of a monitor, and its text."""
    model = mlp() if n_ranks == 1 else analog_data_parallel(mlp())
    inner: Any = model if n_ranks == 1 else model.module
    with SymmetricPointMonitor(inner, every=2) as monitor:
        CASE.train(model, rank, n_ranks)
    return monitor.to_dict(), monitor.summary()


def noisy(rank: int, n_ranks: int) -> Dict[str, Any]:
    """Train on devices as they are; return losses and what all ranks should have in common."""
    torch.manual_seed(1)
    config = ERIDEREcRamPreset()
    config.mapping.digital_bias = False
    layers = [AnalogLinear(n, m, rpu_config=config) for n, m in ((6, 12), (12, 4))]
    model = analog_data_parallel(AnalogSequential(layers[0], nn.Tanh(), layers[1]))
    optimizer, losses = AnalogSGD(model.parameters(), lr=0.2), []
    x, y = data(0)
    y = torch.tanh(x @ torch.full((6, 4), 0.8))
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(
            model(CASE.part(x, rank, n_ranks)), CASE.part(y, rank, n_ranks)
        )
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    weights = [each.analog_module.get_weights()[0] for each in layers]
    return {"losses": losses, "weights": weights, "norms": analog_grad_norms(model.module)}


def lonely(rank: int, n_ranks: int) -> str:
    """Return what is heard where another rank has an error of its own."""
    model = analog_data_parallel(mlp())
    if rank == 1:
        return "left"
    try:
        CASE.train(model, rank, n_ranks, range(1))
    except RankError as error:
        return str(error)
    return "none"
