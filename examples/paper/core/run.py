"""One training run: a dataclass in, plain numbers out."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field
from functools import lru_cache
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

from aihwkit_dspt import calibrate, training_pulses
from core.methods import rpu_config

NETWORKS: Dict[str, Callable[[Images], nn.Module]] = {
    "fcn": lambda images: fcn(images.size),
    "lenet5": lambda images: lenet5(),
}
N_VALIDATION = 10_000


@dataclass(frozen=True)
class Run:
    """Everything that a training depends on, but for random pulses."""

    method: str
    """Name of the method, see :mod:`core.methods`."""

    network: str
    """``"fcn"`` (Table 2) or ``"lenet5"`` (Table 1)."""

    reference_mean: float
    """Mean of the references of the devices: the effective symmetric points have the opposite."""

    reference_std: float
    """Their standard deviation over the cells."""

    seed: int
    """Seed of the weights, the order of the images and the chopper (aihwkit's pulses have none)."""

    epochs: int
    """Passes over the training images."""

    lr: float
    """Learning rate of ``AnalogSGD``."""

    lr_steps: Dict[str, float] = field(default_factory=dict)
    """Finished epochs -> factor on the learning rate from then on."""

    batch_size: int = 10
    """Images per update."""

    desired_bl: int = 5
    """Length of the gradient pulse trains."""

    weight_scaling_omega: float = 0.3
    """Largest weight after mapping, with learned column-wise output scales; 0 for no scales."""

    settings: Dict[str, Any] = field(default_factory=dict)
    """Fields of the compound that differ from the method's own."""

    dw_min: Optional[float] = None
    """Pulse size of a soft-bounds device on [-1, 1]; ``None`` for the HfO2 preset."""

    calibration_pulses: int = 0
    """Pulses of zero-shifting before the training (two-stage method)."""

    target_loss: float = 0.0
    """Stop at the first epoch whose mean training loss is not larger; 0 for all epochs."""

    validation: bool = False
    """Whether to test on the last 10,000 training images, which are then not trained on."""

    @property
    def key(self) -> str:
        """Name that is equal for equal runs only."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """Short readable name."""
        cell = f"({self.reference_mean:g}, {self.reference_std:g})"
        return f"{self.method} {self.network} {cell} seed {self.seed}"


@lru_cache(maxsize=2)
def _images(data_root: Optional[str], validation: bool) -> Images:
    images = load_images(data_root)
    return images.validation_split(N_VALIDATION) if validation else images


def execute(run: Run, data_root: Optional[str] = None) -> Dict[str, Any]:
    """Train and return what is kept of a run: one JSON line.

    Args:
        run: the run.
        data_root: folder of the MNIST files; see :func:`common.data.load_images`.
    """
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    images = _images(data_root, run.validation)
    model: nn.Module = NETWORKS[run.network](images)
    config = rpu_config(run)
    if config is not None:
        model = convert_to_analog(model, config)
    if run.calibration_pulses:
        calibrate(model, run.calibration_pulses)
    optimizer = AnalogSGD(model.parameters(), lr=run.lr)
    optimizer.regroup_param_groups(model)
    result: Dict[str, Any] = {"accuracy": [], "loss": [], "epoch_seconds": []}
    for epoch in range(run.epochs):
        for group in optimizer.param_groups:
            group["lr"] = run.lr * _factor(run.lr_steps, epoch)
        start = time.perf_counter()
        result["loss"].append(_train_epoch(model, optimizer, images, run.batch_size))
        result["epoch_seconds"].append(round(time.perf_counter() - start, 2))
        result["accuracy"].append(round(accuracy(model, images.test_x, images.test_y), 2))
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
        "revision": revision(),
    }


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
