"""Train one network with one method and keep what is needed for tables and pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, List, Optional

import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn
from tqdm import tqdm

from common.data import Images


@dataclass
class Record:
    """What a run left behind, per epoch."""

    accuracy: List[float] = field(default_factory=list)
    """Test accuracy in percent."""

    loss: List[float] = field(default_factory=list)
    """Mean training loss."""

    seconds: float = 0.0
    """Wall-clock time of the training."""


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the accuracy in percent."""
    model.eval()
    hits = sum(
        int((model(x_part).argmax(1) == y_part).sum())
        for x_part, y_part in zip(x.split(500), y.split(500))
    )
    model.train()
    return 100.0 * hits / len(y)


def train(
    network: nn.Module,
    rpu_config: Any,
    images: Images,
    epochs: int,
    lr: float,
    batch_size: int = 10,
    lr_decay: float = 1.0,
    label: str = "",
    on_epoch: Optional[Callable[[nn.Module, int], None]] = None,
    row: int = 0,
    on_batch: Optional[Callable[[float, int], None]] = None,
    decay_every: int = 1,
) -> Record:
    """Convert a network to analog and train it with ``AnalogSGD``.

    Args:
        network: the digital network, with log-probabilities as outputs.
        rpu_config: RPU configuration of all layers.
        images: what to train and test on.
        epochs: passes over the training images.
        lr: learning rate.
        batch_size: images per update.
        lr_decay: factor on the learning rate after every ``decay_every`` epochs.
        label: shown in front of the progress bar.
        on_epoch: called with the model and the number of finished epochs, from 0 on.
        row: line of the terminal for the progress bar.
        on_batch: called with the loss and the number of images of each mini-batch.
        decay_every: epochs with the same learning rate.

    Returns:
        accuracy and loss per epoch and the time taken.
    """
    model = convert_to_analog(network, rpu_config)
    optimizer = AnalogSGD(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, decay_every, lr_decay)
    criterion = nn.NLLLoss()
    record = Record()
    if on_epoch is not None:
        on_epoch(model, 0)
    start = time.perf_counter()
    n_batches = -(-len(images.train_y) // batch_size)
    bar = tqdm(total=epochs * n_batches, desc=f"{label:>8}", position=row, leave=False, ncols=90)
    for epoch in range(1, epochs + 1):
        total = 0.0
        batches = torch.randperm(len(images.train_y)).split(batch_size)
        for index in batches:
            optimizer.zero_grad()
            loss = criterion(model(images.train_x[index]), images.train_y[index])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(index)
            if on_batch is not None:
                on_batch(loss.item(), len(index))
            bar.update()
        scheduler.step()
        record.loss.append(total / len(images.train_y))
        record.accuracy.append(accuracy(model, images.test_x, images.test_y))
        bar.set_postfix_str(f"accuracy {record.accuracy[-1]:.1f} %")
        if on_epoch is not None:
            on_epoch(model, epoch)
    bar.close()
    record.seconds = time.perf_counter() - start
    return record
