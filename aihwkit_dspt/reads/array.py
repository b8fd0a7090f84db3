"""Forward and backward with the array that a layer is evaluated at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from aihwkit.simulator.parameters.io import IOParameters
from torch import Tensor

from aihwkit_dspt.configs.enums import ReadMode
from aihwkit_dspt.fused.read import Layout
from aihwkit_dspt.reads.choose import DirectionReads
from aihwkit_dspt.reads.layout import backward_indexed, forward_indexed
from aihwkit_dspt.reads.thresholds import MEASURED, Thresholds

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.crossbar import Crossbar


class ArrayReads:
    """Forward and backward with the array that a layer is evaluated at.

    ``forward`` returns ``[*, d_size]`` products of ``[*, x_size (-1)]`` inputs, ``backward``
    ``[*, x_size (-1)]`` products of ``[*, d_size]`` errors; see :class:`DirectionReads`.

    Raises:
        ConfigError: if plain torch is asked for and does not cover the read parameters.
    """

    def __init__(
        self,
        crossbar: Crossbar,
        forward: IOParameters,
        backward: IOParameters,
        mode: ReadMode,
        thresholds: Thresholds = MEASURED,
    ) -> None:
        self.forward = DirectionReads(crossbar, forward, False, mode, thresholds)
        self.backward = DirectionReads(crossbar, backward, True, mode, thresholds)

    def forward_indexed(
        self, x_input: Tensor, d_tensor: Tensor, indices: Optional[Tensor], is_test: bool
    ) -> Tensor:
        """Return the ``[n_images, d_size, *]`` outputs of a convolution with an index matrix.

        The inputs are ``[n_images, channels, *]``; ``d_tensor`` has the shape of the outputs. See
        aihwkit's tiles.
        """
        reads = self.forward
        if reads.mode is not ReadMode.TORCH or indices is None:
            return reads.crossbar.read_images(x_input, d_tensor, is_test)
        # With an analog bias aihwkit appends more ones than there are patches.
        indices = indices[: reads.in_size * d_tensor[0, 0].numel()]
        return forward_indexed(self._forward_rows, x_input.detach(), indices, d_tensor)

    def backward_indexed(
        self, d_input: Tensor, x_tensor: Tensor, indices: Optional[Tensor]
    ) -> Tensor:
        """Return the ``[n_images, channels, *]`` input gradients of a convolution; see above.

        The errors are ``[n_images, d_size, *]``; ``x_tensor`` has the shape of the inputs.
        """
        reads = self.backward
        if reads.mode is not ReadMode.TORCH or indices is None:
            return reads.crossbar.read_images_back(d_input, x_tensor)
        indices = indices[: reads.out_size * d_input[0, 0].numel()]
        return backward_indexed(self._backward_rows, d_input.detach(), indices, x_tensor)

    def _by_tile(self, indexed: bool) -> bool:
        return indexed and self.forward.mode is not ReadMode.TORCH

    def _forward_rows(self, vectors: Tensor) -> Tensor:
        return self.forward(vectors, False, False, False)

    def _backward_rows(self, vectors: Tensor) -> Tensor:
        return self.backward(vectors, False, False, False)

    def executor_name(
        self, n_vectors: int, backward: bool, layout: Layout = Layout.MATRIX, indexed: bool = False
    ) -> str:
        """Return the name of what multiplies that many vectors now.

        ``indexed`` says that they are patches of images that an index matrix tells.
        """
        reads = self.backward if backward else self.forward
        if self._by_tile(indexed):
            return reads.tile_name
        return reads.executor_name(n_vectors, layout)

    def describe(self, bias: bool = False, indexed: bool = False) -> str:
        """Return the executors for all numbers of vectors, forward and backward.

        ``bias`` says that vectors have an analog bias, ``indexed`` that an index matrix makes them.
        """
        layout = Layout.ROWS if bias else Layout.MATRIX
        forward, backward = (
            f"{one.tile_name}(indexed)" if self._by_tile(indexed) else one.describe(layout)
            for one in (self.forward, self.backward)
        )
        if forward == backward:
            return f"forward=backward={forward}"
        return f"forward={forward}, backward={backward}"
