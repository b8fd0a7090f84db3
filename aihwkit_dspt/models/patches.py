"""Convolutions as linear layers over patches."""

from __future__ import annotations

from itertools import product
from typing import Any, List, Optional

from aihwkit.exceptions import ArgumentError
from torch import Tensor
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from aihwkit_dspt.models import kept
from aihwkit_dspt.models.grouped import OtherConvolution, padding_of
from aihwkit_dspt.models.reasons import NOTE


class PatchConv(OtherConvolution):
    """A convolution as a linear layer that sees each patch of the input.

    Args:
        module: a convolution of one group that pads with zeros; its weights are copied.
    """

    def __init__(self, module: _ConvNd) -> None:
        super().__init__(module)
        self.pads = padding_of(module)
        self.linear = kept.linear(module.weight.flatten(1), module.bias, module.weight, module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[batch, out_channels, *size]`` outputs of ``[batch, channels, *size]`` inputs.

        The batch may be missing.
        """
        n_dims = len(self.kernel_size)
        patches = functional.pad(x, self.pads)
        for dim in range(n_dims):
            reach = self.dilation[dim] * (self.kernel_size[dim] - 1) + 1
            patches = patches.unfold(dim - n_dims - dim, reach, self.stride[dim])
            patches = patches[..., :: self.dilation[dim]]
        # [..., channels, *size, *kernel] -> [..., *size, channels, *kernel]
        patches = patches.movedim(-1 - 2 * n_dims, -1 - n_dims).flatten(-1 - n_dims)
        output: Tensor = self.linear(patches)
        return output.movedim(-1, -1 - n_dims)

    @property
    def weight(self) -> Tensor:
        """Weights in torch's shape, to look at."""
        sizes = (self.out_channels, self.in_channels, *self.kernel_size)
        return self.linear.weight.view(sizes)

    @property
    def bias(self) -> Optional[Tensor]:
        """Bias, to look at and to compute with."""
        return self.linear.bias


class PatchConvTranspose(OtherConvolution):
    r"""A transposed convolution as a linear layer that makes a patch of each vector.

    .. math:: y_{s i + d k} \mathrel{+}= W_k\, x_i

    The patches are added where they lie on each other, then the bias is, both digitally.

    Args:
        module: a transposed convolution of one group; its weights are copied.
    """

    def __init__(self, module: _ConvTransposeNd) -> None:
        super().__init__(module)
        self.linear = kept.linear(module.weight.flatten(1).t(), None, module.weight)
        self.bias = module.bias
        self.__dict__[NOTE] = "bias of a transposed convolution: added digitally"

    def forward(self, x: Tensor, output_size: Optional[List[int]] = None) -> Tensor:
        """Return ``[batch, out_channels, *size]`` outputs of ``[batch, channels, *size]`` inputs.

        Args:
            x: the inputs; the batch may be missing.
            output_size: size of the outputs, where the strides leave several.

        Raises:
            ArgumentError: if the output cannot have that size.
        """
        n_dims = len(self.kernel_size)
        batched = x.dim() == n_dims + 2
        x = x if batched else x.unsqueeze(0)
        size = x.shape[2:]
        patches = self.linear(x.movedim(1, -1)).movedim(-1, 1)
        patches = patches.unflatten(1, (self.out_channels, *self.kernel_size))
        reach = [self.dilation[dim] * (self.kernel_size[dim] - 1) + 1 for dim in range(n_dims)]
        whole = [(size[dim] - 1) * self.stride[dim] + reach[dim] for dim in range(n_dims)]
        output = x.new_zeros(len(x), self.out_channels, *whole)
        for index in product(*map(range, self.kernel_size)):
            starts = [self.dilation[dim] * index[dim] for dim in range(n_dims)]
            target: Any = tuple(
                slice(starts[dim], starts[dim] + (size[dim] - 1) * self.stride[dim] + 1, step)
                for dim, step in enumerate(self.stride)
            )
            output[(..., *target)] += patches[(slice(None), slice(None), *index)]
        output = functional.pad(output, self._crop(whole, output_size))
        if self.bias is not None:
            output = output + self.bias.view(-1, *[1] * n_dims)
        return output if batched else output.squeeze(0)

    @property
    def weight(self) -> Tensor:
        """Weights in torch's shape, to look at."""
        sizes = (self.in_channels, self.out_channels, *self.kernel_size)
        return self.linear.weight.t().reshape(sizes)

    def _crop(self, whole: List[int], output_size: Optional[List[int]]) -> List[int]:
        """Return what is cut off (negative) or added, from the last dimension on."""
        n_dims = len(whole)
        extra = list(self.output_padding)
        if output_size is not None:
            wanted = list(output_size)[-n_dims:]
            extra = [wanted[dim] - whole[dim] + 2 * self.padding[dim] for dim in range(len(wanted))]
            most = [max(self.stride[dim], self.dilation[dim]) for dim in range(n_dims)]
            if len(extra) != n_dims or not all(0 <= e < m for e, m in zip(extra, most)):
                raise ArgumentError(
                    f"output_size={list(output_size)} is not valid: pass {n_dims} sizes from "
                    f"{[w - 2 * p for w, p in zip(whole, self.padding)]} on, with less than "
                    f"{most} beyond"
                )
        return [
            width
            for dim in reversed(range(n_dims))
            for width in (-self.padding[dim], extra[dim] - self.padding[dim])
        ]
