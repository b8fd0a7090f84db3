"""Train a run and return plain numbers."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import lru_cache
from threading import Lock
from typing import Any, Callable, Dict, Optional

import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from common.data import Images, load_images
from common.machine import revision
from common.networks import fcn, lenet5
from common.results import versions
from common.train import accuracy
from torch import nn

from aihwkit_dspt import TrackingTile, at_slow_weights, calibrate, training_pulses
from core.methods import rpu_config
from core.run import Run

NETWORKS: Dict[str, Callable[[Images], nn.Module]] = {
    "fcn": lambda images: fcn(images.size),
    "lenet5": lambda images: lenet5(),
}
N_VALIDATION = 10_000

_ONE_AT_A_TIME = Lock()
"""torch's random numbers belong to the process: runs in threads of one worker take turns."""


@lru_cache(maxsize=2)
def _images(data_root: Optional[str], network: str, validation: bool) -> Images:
    images = load_images(data_root)
    if network == "lenet5":
        images = images.resized(28)
    return images.validation_split(N_VALIDATION) if validation else images


def execute(
    run: Run,
    data_root: Optional[str] = None,
    on_epoch: Callable[[], None] = lambda: None,
) -> Dict[str, Any]:
    """Train and return what is kept of a run: one JSON line.

    Args:
        run: the run.
        data_root: folder of the MNIST files; see :func:`common.data.load_images`.
        on_epoch: called after each epoch.
    """
    with _ONE_AT_A_TIME:
        return _train(run, data_root, on_epoch, revision())


def _train(
    run: Run, data_root: Optional[str], on_epoch: Callable[[], None], code: str
) -> Dict[str, Any]:
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    images = _images(data_root, run.network, run.validation)
    model: nn.Module = NETWORKS[run.network](images)
    config = rpu_config(run)
    if config is not None:
        model = convert_to_analog(model, config)
    if run.calibration_pulses:
        calibrate(model, run.calibration_pulses, progress=False)
    optimizer = AnalogSGD(model.parameters(), lr=run.lr)
    optimizer.regroup_param_groups(model)
    result: Dict[str, Any] = {"accuracy": [], "loss": [], "epoch_seconds": []}
    tracks = any(isinstance(module, TrackingTile) for module in model.modules())
    if tracks:
        result["slow_accuracy"] = []
    for epoch in range(run.epochs):
        for group in optimizer.param_groups:
            group["lr"] = run.lr * _factor(run.lr_steps, epoch)
        start = time.perf_counter()
        result["loss"].append(_train_epoch(model, optimizer, images, run.batch_size))
        result["epoch_seconds"].append(round(time.perf_counter() - start, 2))
        result["accuracy"].append(_accuracy(model, images))
        if tracks:
            with at_slow_weights(model):
                result["slow_accuracy"].append(_accuracy(model, images))
        on_epoch()
        if result["loss"][-1] <= run.target_loss:
            break
    result["loss"] = [round(loss, 5) for loss in result["loss"]]
    pulses = training_pulses(
        len(result["loss"]),
        len(images.train_y),
        run.batch_size,
        run.desired_bl,
        run.calibration_pulses,
    )
    return {
        "key": run.key,
        "run": asdict(run),
        "data": images.name,
        **result,
        "pulses": pulses,
        "versions": versions(),
        "revision": code,
    }


def _accuracy(model: nn.Module, images: Images) -> float:
    return round(accuracy(model, images.test_x, images.test_y), 2)


def _factor(steps: Dict[str, float], epoch: int) -> float:
    """Return the factor of the last step that was reached."""
    reached = [(int(start), factor) for start, factor in steps.items() if int(start) <= epoch]
    return max(reached)[1] if reached else 1.0


def _train_epoch(model: nn.Module, optimizer: Any, images: Images, batch_size: int) -> float:
    """Train one epoch and return the mean loss."""
    criterion, total = nn.NLLLoss(), 0.0
    model.train()
    for index in torch.randperm(len(images.train_y)).split(batch_size):
        optimizer.zero_grad()
        loss = criterion(model(images.train_x[index]), images.train_y[index])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(index)
    return total / len(images.train_y)
