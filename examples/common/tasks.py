"""What a network learns: batches and scores of images and of characters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional, Sequence, Tuple

import torch
from aihwkit.nn.conversion import convert_to_analog
from torch import Tensor, nn

from common.characters import Text
from common.data import Images
from common.train import accuracy

Batch = Tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Task:
    """A network and what it learns.

    Attributes:
        data: name of the data.
        make: makes the model with an RPU configuration, or without one.
        batch: draws inputs and targets.
        score: accuracy in percent, or loss.
        is_loss: whether a low score is good.
    """

    data: str
    make: Callable[[Optional[Any]], nn.Module]
    batch: Callable[[torch.Generator], Batch]
    score: Callable[[nn.Module], float]
    is_loss: bool = False


def converted(
    network: nn.Module, config: Optional[Any], exclude_modules: Sequence[str] = ()
) -> nn.Module:
    """Return the network, analog if there is a configuration, but for some modules."""
    if config is None:
        return network
    excluded = list(exclude_modules)
    analog: nn.Module = convert_to_analog(network, config, exclude_modules=excluded)
    return analog


def image_task(
    images: Images,
    make: Callable[[Optional[Any]], nn.Module],
    batch_size: int,
    n_test: int,
    device: str = "cpu",
) -> Task:
    """Return the task to classify images.

    Args:
        images: images, or features of them.
        make: makes the model with an RPU configuration, or without one.
        batch_size: images of a batch.
        n_test: most images of a test.
        device: where the model is.
    """
    # At equal distances: files may be sorted by class.
    chosen = torch.linspace(0, len(images.test_y) - 1, min(n_test, len(images.test_y))).long()
    test = images.test_x[chosen].to(device), images.test_y[chosen].to(device)

    def batch(generator: torch.Generator) -> Batch:
        index = torch.randint(len(images.train_y), (batch_size,), generator=generator)
        return images.train_x[index].to(device), images.train_y[index].to(device)

    def score(model: nn.Module) -> float:
        return accuracy(model, *test)

    return Task(images.name, make, batch, score)


@torch.no_grad()
def validation_loss(model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return the mean loss of ``[n, time]`` characters, in nats."""
    model.eval()
    logits = model(x)
    model.train()
    return nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten()).item()


def character_task(
    text: Text,
    make: Callable[[Optional[Any]], nn.Module],
    length: int,
    batch_size: int,
    n_windows: int,
    device: str = "cpu",
) -> Task:
    """Return the task to say the next character.

    Args:
        text: the text.
        make: makes the model with an RPU configuration, or without one.
        length: characters of a sequence.
        batch_size: sequences of a batch.
        n_windows: sequences of a validation.
        device: where the model is.
    """
    validation = [part.to(device) for part in text.validation_windows(length, n_windows)]

    def batch(generator: torch.Generator) -> Batch:
        x, y = text.windows(length, batch_size, generator)
        return x.to(device), y.to(device)

    def score(model: nn.Module) -> float:
        return validation_loss(model, *validation)

    return Task(text.name, make, batch, score, is_loss=True)
