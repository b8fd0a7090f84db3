"""Convolutions of groups, and those that pad in a way that aihwkit's layers do not."""

from __future__ import annotations

from typing import Any, Iterator, List, Optional, Sequence, Tuple

import torch
from aihwkit.simulator.tiles.module import TileModule
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from aihwkit_dspt.models import kept
from aihwkit_dspt.models.shown import PLACE, Shown
from aihwkit_dspt.models.shown_weight import ShownWeight

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class OtherConvolution(nn.Module):
    """A module in the place of a convolution, with the settings that other code reads of it."""

    in_channels: int
    out_channels: int
    kernel_size: Tuple[int, ...]
    stride: Tuple[int, ...]
    padding: Any  # a word or a width for each dimension
    dilation: Tuple[int, ...]
    transposed: bool
    output_padding: Sequence[int]
    groups: int
    padding_mode: str

    def __init__(self, module: _ConvNd) -> None:
        super().__init__()
        for name in OtherConvolution.__annotations__:
            setattr(self, name, getattr(module, name))


class GroupedConv(OtherConvolution):
    """A convolution of groups as one convolution for each of them.

    Args:
        module: the convolution, whose weights are copied.
    """

    def __init__(self, module: _ConvNd) -> None:
        super().__init__(module)
        self.channel_dim = -1 - len(module.kernel_size)
        n_in, n_out = module.in_channels // module.groups, module.out_channels // module.groups
        self.parts = nn.ModuleList()
        for number in range(module.groups):
            inputs = slice(number * n_in, (number + 1) * n_in)
            outputs = slice(number * n_out, (number + 1) * n_out)
            transposed = isinstance(module, _ConvTransposeNd)
            part = like(module, in_channels=n_in, out_channels=n_out, groups=1)
            part.weight = kept.parameter(
                module.weight, module.weight[inputs if transposed else outputs]
            )
            if module.bias is not None:
                part.bias = kept.parameter(module.bias, module.bias[outputs])
            self.parts.append(part)

    def forward(self, x: Tensor, *args: object) -> Tensor:
        """Return the outputs of all groups.

        Args:
            x: ``[batch, channels, *size]`` inputs.
            args: what the convolution takes beside the input.
        """
        inputs = x.chunk(len(self.parts), self.channel_dim)
        outputs = [part(each, *args) for part, each in zip(self.parts, inputs)]
        return torch.cat(outputs, self.channel_dim)

    @property
    def weight(self) -> Tensor:
        """Weights of all groups, to look at."""
        weights: List[Any] = [part.weight for part in self.parts]
        if any(not isinstance(each, Shown) for each in weights):
            return torch.cat(weights)
        shape = (sum(map(len, weights)), *weights[0].shape[1:])
        return ShownWeight(_Groups(self), shape, weights[0].dtype, turned=None)

    @property
    def bias(self) -> Optional[Tensor]:
        """Bias of all groups, to look at and to compute with."""
        biases: List[Any] = [part.bias for part in self.parts]
        return None if any(each is None for each in biases) else torch.cat(biases)


class _Groups:
    """The layers of all groups, asked as if they were one analog layer."""

    def __init__(self, convolution: GroupedConv) -> None:
        self.parts = convolution.parts
        self.__dict__[PLACE] = convolution.__dict__.get(PLACE)

    def get_weights(self) -> Tuple[Tensor, None]:
        """Return a copy of the weights that the arrays hold."""
        weights: List[Any] = [part.weight for part in self.parts]
        return torch.cat([each.detach() for each in weights]), None

    def analog_tiles(self) -> Iterator[TileModule]:
        """Yield the tiles of all groups."""
        for part in self.parts.modules():
            if isinstance(part, TileModule):
                yield part


class PaddedConv(OtherConvolution):
    """A convolution that gets its input padded.

    Args:
        module: the convolution; its parameters are taken.
        pads: widths from the last dimension on, as for ``torch.nn.functional.pad``.
    """

    def __init__(self, module: _ConvNd, pads: List[int]) -> None:
        super().__init__(module)
        self.pads = pads
        self.n_dims = len(module.kernel_size)
        self.mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
        self.conv = same_weights(module, padding=0, padding_mode="zeros")

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs for ``[batch, channels, *size]`` inputs."""
        # reflect, replicate and circular know batches only
        batched = x.dim() == self.n_dims + 2
        padded = functional.pad(x if batched else x.unsqueeze(0), self.pads, self.mode)
        output: Tensor = self.conv(padded)
        return output if batched else output.squeeze(0)

    @property
    def weight(self) -> Tensor:
        """Weights, to look at."""
        return self.conv.weight  # type: ignore[no-any-return]

    @property
    def bias(self) -> Optional[Tensor]:
        """Bias, to look at and to compute with."""
        return self.conv.bias  # type: ignore[no-any-return]


def padding_of(module: _ConvNd) -> List[int]:
    """Return the widths of the padding, from the last dimension on, before and behind."""
    if module.padding == "valid":
        return [0, 0] * len(module.kernel_size)
    pads: List[int] = []
    for dim in reversed(range(len(module.kernel_size))):
        if module.padding == "same":
            total = module.dilation[dim] * (module.kernel_size[dim] - 1)
            pads += [total // 2, total - total // 2]
        else:
            pads += [int(module.padding[dim])] * 2
    return pads


def like(module: _ConvNd, **changes: object) -> Any:
    """Return a convolution of torch with the settings of another one, but for some.

    Its weights are not set.
    """
    names = ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation"]
    names += ["groups", "padding_mode"]
    kinds: Sequence[type] = CONVOLUTIONS
    if isinstance(module, _ConvTransposeNd):
        names.append("output_padding")
        kinds = TRANSPOSED
    settings = {name: getattr(module, name) for name in names}
    settings.update(bias=module.bias is not None, **changes)
    kind = kinds[len(module.kernel_size) - 1]
    return nn.utils.skip_init(kind, **settings)  # type: ignore[no-untyped-call]


def same_weights(module: _ConvNd, **changes: object) -> Any:
    """Return a convolution with the parameters of another one and other settings."""
    changed = like(module, **changes)
    changed.weight, changed.bias = module.weight, module.bias
    return changed
