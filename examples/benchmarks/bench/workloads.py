"""What is trained: a network, its batches of random data and how the errors come about."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any, Callable, Iterator, Tuple

import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from common.character_models import CharacterGPT
from common.networks import fcn, lenet5, stack
from common.recall import Recall, sequences
from common.resnet import ResNet18
from torch import Tensor, nn

N_BATCHES = 16
"""Batches that are trained on in turn; on a single one errors and with them pulses would vanish."""

INKED = 0.19
"""Share of the pixels of MNIST that are not zero."""

LSTM_HIDDEN, LSTM_LENGTH = 32, 8
"""As in ``05_lstm.py``."""

N_CHARACTERS, GPT_LENGTH = 65, 64
"""Characters of Shakespeare, and of a sequence of the GPT."""

Batch = Tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Workload:
    """A network and its data."""

    build: Callable[[Any], nn.Module]
    """Returns the analog network for an RPU configuration; for ``None`` GPT and ResNet are
    digital."""

    batch: Callable[[int], Batch]
    """Returns inputs and targets for a batch size."""

    backward: Callable[[Tensor, Tensor], None]
    """Starts the backward pass from outputs and targets."""


def _images(batch_size: int) -> Batch:
    # Four of five pixels of MNIST are zero.
    shape = batch_size, 1, 28, 28
    return torch.rand(shape) * (torch.rand(shape) < INKED), torch.randint(0, 10, (batch_size,))


def _likelihood(output: Tensor, target: Tensor) -> None:
    nn.functional.nll_loss(output, target).backward()


def _cross_entropy(output: Tensor, target: Tensor) -> None:
    nn.functional.cross_entropy(output, target).backward()


def _vectors(batch_size: int, size: int) -> Batch:
    # As inside of a network: the inputs want a gradient; errors are those of a mean over the batch.
    # Inputs of one sign would drive the outputs, which no loss holds here, into the bounds.
    x = torch.empty(batch_size, size).uniform_(-1.0, 1.0).requires_grad_()
    return x, torch.randn(batch_size, size) / batch_size


def _characters(batch_size: int) -> Batch:
    text = torch.randint(0, N_CHARACTERS, (batch_size, GPT_LENGTH + 1))
    return text[:, :-1], text[:, 1:]


def _next_character(output: Tensor, target: Tensor) -> None:
    _cross_entropy(output.flatten(0, 1), target.flatten())


def _colour_images(batch_size: int) -> Batch:
    return torch.randn(batch_size, 3, 32, 32), torch.randint(0, 10, (batch_size,))


def _leaf(x: Tensor, device: str) -> Tensor:
    if not x.is_floating_point():
        return x.to(device)
    return x.detach().to(device).requires_grad_(x.requires_grad)


def _whole(rpu_config: Any) -> Any:
    """Return a copy that keeps a layer on one array; aihwkit cuts at 512 rows and columns."""
    copied = deepcopy(rpu_config)
    copied.mapping.max_input_size = copied.mapping.max_output_size = 0
    return copied


def _stack(n_layers: int, size: int, whole: bool = True) -> Workload:
    return Workload(
        lambda config: convert_to_analog(
            stack(n_layers, size), _whole(config) if whole else config
        ),
        lambda batch_size: _vectors(batch_size, size),
        lambda output, error: output.backward(error),
    )


def _classifier(network: Callable[[], nn.Module]) -> Workload:
    return Workload(
        lambda config: convert_to_analog(network(), _whole(config)), _images, _likelihood
    )


def _converted(network: Callable[[], nn.Module]) -> Callable[[Any], nn.Module]:
    return lambda config: network() if config is None else convert_to_analog(network(), config)


def _gpt(n_blocks: int, width: int) -> Workload:
    network = partial(CharacterGPT, N_CHARACTERS, GPT_LENGTH, width, n_blocks)
    return Workload(_converted(network), _characters, _next_character)


def _resnet(width: int) -> Workload:
    return Workload(_converted(partial(ResNet18, 10, width)), _colour_images, _cross_entropy)


def workload(name: str) -> Workload:
    """Return a workload by its name.

    Args:
        name: ``"fcn"``, ``"lenet5"``, ``"lstm"``, ``"linear-N"`` for a layer on an N x N array,
            ``"tiled-N"`` for the same on arrays of up to 512 x 512 (aihwkit's default mapping),
            ``"stack-KxN"`` for K layers, ``"gpt-KxN"`` for a GPT of K blocks and width N on
            sequences of 64 characters, or ``"resnet-N"`` for ResNet-18 of width N on images of
            CIFAR-10's size; the last two with aihwkit's default mapping.

    Raises:
        ValueError: if there is none of this name.
    """
    if name == "fcn":
        return _classifier(fcn)
    if name == "lenet5":
        return _classifier(lenet5)
    if name == "lstm":
        return Workload(
            lambda config: Recall(LSTM_HIDDEN, config),
            lambda batch_size: sequences(LSTM_LENGTH, batch_size),
            _cross_entropy,
        )
    kind, _, sizes = name.partition("-")
    numbers = sizes.split("x")
    if all(number.isdigit() for number in numbers):
        if kind in ("linear", "tiled") and len(numbers) == 1:
            return _stack(1, int(numbers[0]), whole=kind == "linear")
        if kind == "resnet" and len(numbers) == 1:
            return _resnet(int(numbers[0]))
        if kind in ("stack", "gpt") and len(numbers) == 2:
            return (_stack if kind == "stack" else _gpt)(int(numbers[0]), int(numbers[1]))
    raise ValueError(
        f"no network {name!r}: pass fcn, lenet5, lstm, linear-N, tiled-N, stack-KxN, gpt-KxN or "
        "resnet-N, e.g. linear-1024 or gpt-4x128"
    )


class Training:
    """A model with its optimizer and data; calling it does one training step.

    Args:
        task: the network and its data.
        rpu_config: RPU configuration of all layers.
        batch_size: vectors (images, sequences) of a step.
        lr: learning rate of ``AnalogSGD``.
        device: where it is trained, ``"cpu"`` or ``"cuda"``.

    Attributes:
        data: the batches that are trained on in turn.
    """

    def __init__(
        self, task: Workload, rpu_config: Any, batch_size: int, lr: float, device: str = "cpu"
    ) -> None:
        self.backward = task.backward
        self.model = task.build(rpu_config).to(device)
        self.optimizer = AnalogSGD(self.model.parameters(), lr=lr)
        batches = [task.batch(batch_size) for _ in range(N_BATCHES)]
        self.data = [(_leaf(x, device), target.to(device)) for x, target in batches]
        self.batches: Iterator[Batch] = cycle(self.data)

    def __call__(self) -> None:
        """Do one training step on the next batch."""
        x, target = next(self.batches)
        x.grad = None  # the optimizer does not know the inputs
        self.optimizer.zero_grad()
        self.backward(self.model(x), target)
        self.optimizer.step()
