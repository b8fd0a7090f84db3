"""Trainings that one process and several do alike."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Sequence, Tuple

import torch
from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import ExponentialLR

from aihwkit_dspt import AnalogDataParallel, analog_data_parallel, analog_optimizer
from tests.helpers import quiet_config
from tests.resume_cases import SETTINGS

N_STEPS = 8
N_VECTORS = 8
"""Of the joint batch."""


def mlp(settings: str = "E-RIDER") -> nn.Module:
    """Return a network of three arrays with analog biases, in which nothing is random."""
    torch.manual_seed(3)
    config = quiet_config(digital_bias=False, **SETTINGS[settings])
    layers = [AnalogLinear(n, m, rpu_config=config) for n, m in ((6, 9), (9, 5), (5, 4))]
    return AnalogSequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


class Repeated(AnalogSequential):
    """One layer that is used twice, and one."""

    def __init__(self) -> None:
        torch.manual_seed(4)
        config = quiet_config(digital_bias=False, **SETTINGS["E-RIDER"])
        super().__init__()
        self.twice = AnalogLinear(6, 6, rpu_config=config)
        self.last = AnalogLinear(6, 4, rpu_config=config)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output."""
        return self.last(torch.tanh(self.twice(torch.tanh(self.twice(x)))))


def images(use_indexed: bool) -> nn.Module:
    """Return a network with a convolution for ``[n, 1, 4, 4]`` images."""
    torch.manual_seed(5)
    config = quiet_config(digital_bias=False, **SETTINGS["E-RIDER"])
    return AnalogSequential(
        AnalogConv2d(1, 3, 2, use_indexed=use_indexed, rpu_config=config),
        nn.Tanh(),
        nn.Flatten(),
        AnalogLinear(27, 4, rpu_config=config),
    )


def data(step: int, shape: Sequence[int] = (6,)) -> Tuple[Tensor, Tensor]:
    """Return the joint batch of a step."""
    generator = torch.Generator().manual_seed(100 + step)
    x = torch.rand(N_VECTORS, *shape, generator=generator) - 0.5
    return x, torch.rand(N_VECTORS, 4, generator=generator) - 0.5


def device_of(model: nn.Module) -> torch.device:
    """Return where a model is."""
    return next(model.parameters()).device


def wrapped(model: nn.Module, n_ranks: int) -> nn.Module:
    """Return the model as several processes train it, or as one does."""
    return model if n_ranks == 1 else analog_data_parallel(model)


class Case:
    """A training in several processes: the part of one rank, or the whole of it.

    Args:
        model: what makes the model.
        shape: shape of one input.
        lr: learning rate.
    """

    def __init__(
        self, model: Callable[[], nn.Module] = mlp, shape: Sequence[int] = (6,), lr: float = 0.2
    ) -> None:
        self.model, self.shape, self.lr = model, shape, lr

    def optimizer(self, model: nn.Module) -> Any:
        """Return the optimizer."""
        return AnalogSGD(model.parameters(), lr=self.lr)

    def part(self, values: Tensor, rank: int, n_ranks: int) -> Tensor:
        """Return what a rank gets of a joint batch."""
        return values.chunk(n_ranks)[rank]

    def batch(self, model: nn.Module, step: int, rank: int, n_ranks: int) -> Iterator[Tensor]:
        """Yield inputs and targets of a rank in a step, where the model is."""
        for values in data(step, self.shape):
            yield self.part(values, rank, n_ranks).to(device_of(model))

    def loss(self, model: nn.Module, step: int, rank: int, n_ranks: int) -> Tensor:
        """Return the loss of a rank in a step."""
        x, y = self.batch(model, step, rank, n_ranks)
        return nn.functional.mse_loss(model(x), y)

    def step(self, model: nn.Module, optimizer: Any, step: int, rank: int, n_ranks: int) -> None:
        """Take a step."""
        optimizer.zero_grad()
        self.loss(model, step, rank, n_ranks).backward()
        optimizer.step()

    def after(self, optimizer: Any) -> Callable[[], Any]:
        """Return what is called after each step."""
        return lambda: None

    def train(
        self, model: nn.Module, rank: int = 0, n_ranks: int = 1, steps: Any = range(N_STEPS)
    ) -> Any:
        """Train a model and return its optimizer."""
        optimizer = self.optimizer(model)
        after = self.after(optimizer)
        for step in steps:
            self.step(model, optimizer, step, rank, n_ranks)
            after()
        return optimizer

    def run(self, rank: int = 0, n_ranks: int = 1, device: str = "cpu") -> Dict[str, Any]:
        """Return the state after a training, and the outputs of the model, on the CPU."""
        model = wrapped(self.model().to(device), n_ranks)
        self.train(model, rank, n_ranks)
        model.eval()
        with torch.no_grad():
            outputs = model(next(self.batch(model, 99, rank, n_ranks))).cpu()
        state = dict(model.state_dict())
        return {"state": state, "outputs": outputs}


class Scheduled(Case):
    """The learning rate falls."""

    def after(self, optimizer: Any) -> Callable[[], Any]:
        return ExponentialLR(optimizer, 0.8).step


class Clipped(Case):
    """The gradient is clipped, and there are large ones."""

    def step(self, model: nn.Module, optimizer: Any, step: int, rank: int, n_ranks: int) -> None:
        optimizer.zero_grad()
        self.loss(model, step, rank, n_ranks).backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 0.2)
        assert norm > 0.2
        optimizer.step()


class Accumulated(Case):
    """Three backward passes come before a step; the gradient is clipped between."""

    def step(self, model: nn.Module, optimizer: Any, step: int, rank: int, n_ranks: int) -> None:
        optimizer.zero_grad()
        self.loss(model, step, rank, n_ranks).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        self.loss(model, step + 50, rank, n_ranks).backward()
        self.loss(model, step + 80, rank, n_ranks).backward()
        optimizer.step()


class NoSync(Case):
    """The same without an exchange after each pass."""

    def step(self, model: nn.Module, optimizer: Any, step: int, rank: int, n_ranks: int) -> None:
        optimizer.zero_grad()
        if isinstance(model, AnalogDataParallel):
            with model.no_sync():
                self.loss(model, step, rank, n_ranks).backward()
        else:
            self.loss(model, step, rank, n_ranks).backward()
        self.loss(model, step + 50, rank, n_ranks).backward()
        optimizer.step()


class Scaled(Case):
    """The loss is scaled, and one step in four has an overflow on the last rank and is left out."""

    def step(self, model: nn.Module, optimizer: Any, step: int, rank: int, n_ranks: int) -> None:
        scaler = torch.amp.GradScaler(device_of(model).type, init_scale=2.0**10)
        optimizer.zero_grad()
        loss = self.loss(model, step, rank, n_ranks)
        if step % 4 == 3 and rank == n_ranks - 1:
            loss = loss * torch.inf
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()


class Unequal(Case):
    """Ranks have unequal parts; the loss is divided by the size of the joint batch."""

    def part(self, values: Tensor, rank: int, n_ranks: int) -> Tensor:
        bounds = [0, *range(1, n_ranks), len(values)]
        return values[bounds[rank] : bounds[rank + 1]]

    def loss(self, model: nn.Module, step: int, rank: int, n_ranks: int) -> Tensor:
        x, y = self.batch(model, step, rank, n_ranks)
        return (model(x) - y).square().sum() * (n_ranks / (4 * N_VECTORS))


class Frozen(Case):
    """The array in the middle is not trained."""

    def train(self, model: nn.Module, *args: Any, **kwargs: Any) -> Any:
        inner = model.module if isinstance(model, AnalogDataParallel) else model
        inner[2].requires_grad_(False)
        return super().train(model, *args, **kwargs)


class Adam(Case):
    """An optimizer of torch for digital parameters, of which there are none."""

    def optimizer(self, model: nn.Module) -> Any:
        return analog_optimizer(model, AdamW, analog_lr=self.lr)


class Checkpointed(Case):
    """Activations are computed a second time in the backward pass."""

    def __init__(self, use_reentrant: bool) -> None:
        super().__init__()
        self.use_reentrant = use_reentrant

    def loss(self, model: nn.Module, step: int, rank: int, n_ranks: int) -> Tensor:
        inner = model.module if isinstance(model, AnalogDataParallel) else model
        x, y = self.batch(model, step, rank, n_ranks)
        x.requires_grad_()
        for block in (inner[:2], inner[2:]):
            x = torch.utils.checkpoint.checkpoint(block, x, use_reentrant=self.use_reentrant)
        return nn.functional.mse_loss(x, y)


CASES: Dict[str, Case] = {
    **{
        name: Case(lambda name=name: mlp(name))  # type: ignore[misc]
        for name in SETTINGS
        if name not in ("E-RIDER-random", "E-RIDER-three arrays")
    },
    "schedule": Scheduled(),
    "clipped": Clipped(),
    "accumulated": Accumulated(),
    "no_sync": NoSync(),
    "scaled": Scaled(),
    "unequal": Unequal(),
    "frozen": Frozen(),
    "adam": Adam(),
    "repeated": Case(Repeated),
    "convolution indexed": Case(lambda: images(True), (1, 4, 4)),
    "convolution unfolded": Case(lambda: images(False), (1, 4, 4)),
    "checkpointed": Checkpointed(False),
    "checkpointed reentrant": Checkpointed(True),
}


OF_FOUR = ("AGAD", "E-RIDER", "accumulated", "clipped", "convolution indexed", "unequal")
"""Cases that four processes repeat."""


def all_cases(
    rank: int, n_ranks: int, names: Sequence[str], device: str = "cpu"
) -> Dict[str, Dict[str, Any]]:
    """Return the results of some cases on a rank."""
    return {name: CASES[name].run(rank, n_ranks, device) for name in names}
