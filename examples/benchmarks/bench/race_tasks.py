"""What is learned in the race: networks with their data, batches and scores."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import torch
from common.character_models import CharacterGPT, CharacterLSTM
from common.characters import Text, load_text
from common.colour_images import generate, load_cifar, normalised
from common.data import ENVIRONMENT, Images, load_digits, load_images
from common.networks import fcn, lenet5
from common.resnet_small import small_resnet
from common.tasks import Task, character_task, converted, image_task
from torch import nn

N_TEST = 1000
N_TEST_COLOUR = 400
"""Images of a test; a convolution multiplies a vector at each of their pixels."""

COLOUR_SIDE = 16
"""Pixels on a side to which colour images are averaged."""

LENGTH = {"lstm": 32, "gpt": 64}
"""Characters of a sequence."""

N_WINDOWS = 64
"""Sequences of a validation."""

STEPS: Dict[str, int] = {
    "digits": 1200,
    "table2": 1500,
    "lenet5": 1500,
    "lstm": 330,
    "gpt": 330,
    "resnet": 300,
}
"""Network -> steps of a full budget."""


def _images(images: Images, network: Callable[[], nn.Module], batch_size: int, n_test: int) -> Task:
    return image_task(images, lambda config: converted(network(), config), batch_size, n_test)


def _characters(
    text: Text, make: Callable[[Optional[Any]], nn.Module], length: int, batch_size: int
) -> Task:
    return character_task(text, make, length, batch_size, N_WINDOWS)


def _lstm(data_root: Optional[str]) -> Task:
    text = load_text(data_root)

    def make(config: Optional[Any]) -> nn.Module:
        return CharacterLSTM(len(text.alphabet), config)

    return _characters(text, make, LENGTH["lstm"], 16)


def _gpt(data_root: Optional[str]) -> Task:
    text = load_text(data_root)

    def make(config: Optional[Any]) -> nn.Module:
        return converted(CharacterGPT(len(text.alphabet), LENGTH["gpt"]), config)

    return _characters(text, make, LENGTH["gpt"], 8)


def _digits(_: Optional[str]) -> Task:
    images = load_digits()

    def network() -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(images.size, 32),
            nn.ReLU(),
            nn.Linear(32, 10),
            nn.LogSoftmax(dim=1),
        )

    return _images(images, network, 8, N_TEST)


def _table2(data_root: Optional[str]) -> Task:
    images = load_images(data_root)
    return _images(images, lambda: fcn(images.size), 10, N_TEST)


def _lenet5(data_root: Optional[str]) -> Task:
    return _images(load_images(data_root).resized(28), lenet5, 8, N_TEST)


def _resnet(data_root: Optional[str]) -> Task:
    root = data_root or os.environ.get(ENVIRONMENT)
    if root:
        images = load_cifar(Path(root), "CIFAR-10").resized(COLOUR_SIDE)
    else:
        torch.manual_seed(1)
        images = generate(2000, N_TEST_COLOUR, COLOUR_SIDE)
    return _images(normalised(images), small_resnet, 16, N_TEST_COLOUR)


TASKS: Dict[str, Callable[[Optional[str]], Task]] = {
    "digits": _digits,
    "table2": _table2,
    "lenet5": _lenet5,
    "lstm": _lstm,
    "gpt": _gpt,
    "resnet": _resnet,
}


@lru_cache(maxsize=1)
def task(network: str, data_root: Optional[str]) -> Task:
    """Return a task; the last one is kept, since its data take long to load."""
    return TASKS[network](data_root)
