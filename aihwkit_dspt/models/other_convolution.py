"""What takes the place of a convolution."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

from torch import nn
from torch.nn.modules.conv import _ConvNd


class OtherConvolution(nn.Module):
    """A module in the place of a convolution, with the settings that other code reads of it.

    Args:
        module: the convolution.
    """

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
