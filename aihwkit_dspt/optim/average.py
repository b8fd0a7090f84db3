"""An average of weights over a training, for evaluation."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Dict, Iterator, Optional, Tuple

import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.nn.modules.container import AnalogWrapper
from torch import Tensor, nn
from torch.random import fork_rng

from aihwkit_dspt.configs.checks import require_argument
from aihwkit_dspt.tiles.of_model import analog_tiles, is_analog_layer

if TYPE_CHECKING:
    from aihwkit.nn.modules.base import AnalogLayerBase


class AveragedWeights(nn.Module):
    r"""Average of all weights of a model, in a digital copy of it.

    .. math:: \theta_0 = w_0, \qquad
              \theta_{n} = \beta\,\theta_{n-1} + (1 - \beta)\, w_n, \qquad
              \beta = \text{decay} \ \text{or} \ \tfrac{n}{n + 1}

    where :math:`w_n` are the digital parameters and the weights that analog layers compute with,
    :math:`\bar W = W + \gamma\, c \circ (P - \tilde Q)` times their scales. With ``decay`` this is
    an exponential moving average (EMA), without it the mean of all updates (SWA). It takes the
    place of torch's ``AveragedModel``, which would average nothing of an array::

        average = AveragedWeights(model, decay=0.999)
        for x, y in batches:
            ...
            optimizer.step()
            average.update_parameters(model)
        accuracy = evaluate(average)

    Buffers are those of the last update.

    Args:
        model: a model with analog layers; it is not changed.
        decay: :math:`\beta` of an exponential moving average; ``None`` for the mean.

    Attributes:
        module: the digital copy, in evaluation mode: to evaluate, to save, to export, or to
            convert again with aihwkit's ``convert_to_analog``.
        n_averaged: number of updates.

    Raises:
        ArgumentError: if ``model`` is not a module or ``decay`` is not in [0, 1].
        TileError: if the model has no analog tile, or one in a layer without ``to_digital()``.
    """

    n_averaged: Tensor

    def __init__(self, model: nn.Module, decay: Optional[float] = None) -> None:
        super().__init__()
        self.decay = None if decay is None else require_argument("decay", decay, 0.0, 1.0)
        self.module = _digital_copy(model).eval().requires_grad_(False)
        self.register_buffer("n_averaged", torch.zeros((), dtype=torch.long))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the output of the averaged model."""
        return self.module(*args, **kwargs)

    def train(self, mode: bool = True) -> AveragedWeights:
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take the weights of the model in.

        Args:
            model: the model, or one of the same layers.

        Raises:
            ArgumentError: if its layers differ; the average is left as it was.
        """
        count = int(self.n_averaged)
        decay = count / (count + 1.0) if self.decay is None else self.decay
        found = _digital_values(model)
        targets = {**dict(self.module.named_parameters()), **dict(self.module.named_buffers())}
        shapes = [{n: list(v.shape) for n, v in each.items()} for each in (targets, found)]
        if shapes[0] != shapes[1]:
            raise ArgumentError(
                f"model has the parameters {shapes[1]}, the average {shapes[0]}: pass the model "
                "that is averaged"
            )
        for name, target in targets.items():
            is_weight = isinstance(target, nn.Parameter) and target.is_floating_point()
            new = found[name].to(target)
            target.copy_(target.lerp(new, 1.0 - decay) if count and is_weight else new)
        self.n_averaged += 1


def _layers(model: nn.Module) -> Iterator[Tuple[str, AnalogLayerBase]]:
    """Yield names and analog layers of a model, but not those inside others."""
    outer: Optional[str] = None
    for name, module in model.named_modules():
        if outer is not None and name.startswith(f"{outer}." if outer else ""):
            continue
        if is_analog_layer(module) and hasattr(module, "to_digital"):
            outer = name
            yield name, module


@fork_rng(devices=[])  # aihwkit initialises what is filled right after
def _digital_copy(model: nn.Module) -> nn.Module:
    """Return a copy with digital layers at the weights in use; tied layers stay tied."""
    tiles = analog_tiles(model)
    layers = dict(_layers(model))
    reached = {id(tile) for layer in layers.values() for tile in layer.analog_tiles()}
    for name, tile in tiles.items():
        if id(tile) not in reached:
            raise TileError(
                f"tile '{name}' is in no layer with to_digital(), so its weights cannot be "
                "averaged: use a layer such as AnalogLinear"
            )
    # aihwkit's digital layers share the memory of a digital bias.
    memo: Dict[int, object] = {
        id(layer): deepcopy(layer.to_digital(layer)) for layer in layers.values()
    }
    copied: nn.Module = deepcopy(model, memo)
    if isinstance(copied, AnalogWrapper):
        copied = type(copied).to_digital(copied)
    return copied


@fork_rng(devices=[])
def _digital_values(model: nn.Module) -> Dict[str, Tensor]:
    """Return the parameters and buffers that :func:`_digital_copy` of a model would have."""
    layers = dict(_layers(model))
    prefixes = tuple(f"{name}." if name else "" for name in layers)
    values: Dict[str, Tensor] = {}
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if not name.startswith(prefixes):
            values[name] = value
    for prefix, layer in zip(prefixes, layers.values()):
        digital = layer.to_digital(layer)
        for name, value in (*digital.named_parameters(), *digital.named_buffers()):
            values[f"{prefix}{name}"] = value
    return values
