"""Forward and backward with the array that a layer is evaluated at."""

from __future__ import annotations

from typing import Optional

from aihwkit.simulator.parameters.io import IOParameters
from torch import Tensor

from aihwkit_dspt.configs.enums import ReadMode
from aihwkit_dspt.fused.read import Layout
from aihwkit_dspt.reads.choose import DirectionReads
from aihwkit_dspt.reads.indexed import backward_indexed, forward_indexed
from aihwkit_dspt.reads.thresholds import MEASURED, Thresholds
from aihwkit_dspt.tiles.crossbar import Crossbar


class ArrayReads:
    """Forward and backward with the array that a layer is evaluated at.

    Args:
        crossbar: the array.
        forward: read parameters by columns.
        backward: read parameters by rows.
        mode: which executors to choose from.
        thresholds: sizes from which on which is the fastest.

    Raises:
        ConfigError: if plain torch is asked for and does not cover the read parameters.

    Attributes:
        forward: returns ``[*, d_size]`` products of ``[*, x_size (-1)]`` inputs.
        backward: returns ``[*, x_size (-1)]`` products of ``[*, d_size]`` errors.
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
        """Return the outputs of a convolution with an index matrix; see aihwkit's tiles.

        Args:
            x_input: ``[n_images, channels, *]`` images.
            d_tensor: ``[n_images, d_size, *]``, of the shape of the outputs.
            indices: the index matrix.
            is_test: whether it is a test.
        """
        reads = self.forward
        if reads.mode is not ReadMode.TORCH or indices is None:
            tile = reads.crossbar.tile
            output: Tensor = tile.forward_indexed(x_input, d_tensor, is_test, True)
            return output
        # With an analog bias aihwkit appends more ones than there are patches.
        indices = indices[: reads.in_size * d_tensor[0, 0].numel()]
        return forward_indexed(self._forward_rows, x_input.detach(), indices, d_tensor)

    def backward_indexed(
        self, d_input: Tensor, x_tensor: Tensor, indices: Optional[Tensor]
    ) -> Tensor:
        """Return the input gradients of a convolution with an index matrix; see aihwkit's tiles.

        Args:
            d_input: ``[n_images, d_size, *]`` errors.
            x_tensor: ``[n_images, channels, *]``, of the shape of the inputs.
            indices: the index matrix.
        """
        reads = self.backward
        if reads.mode is not ReadMode.TORCH or indices is None:
            output: Tensor = reads.crossbar.tile.backward_indexed(d_input, x_tensor, True)
            return output
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

        Args:
            n_vectors: number of vectors.
            backward: whether they are errors of rows.
            layout: how they lie in memory.
            indexed: whether they are patches of images that an index matrix tells.
        """
        reads = self.backward if backward else self.forward
        by_tile = self._by_tile(indexed)
        return reads.tile_name if by_tile else reads.executor_name(n_vectors, layout)

    def describe(self, bias: bool = False, indexed: bool = False) -> str:
        """Return the executors for all numbers of vectors, forward and backward.

        Args:
            bias: whether the vectors have an analog bias.
            indexed: whether they are patches of images that an index matrix tells.
        """
        layout = Layout.ROWS if bias else Layout.MATRIX
        forward, backward = (
            f"{one.tile_name}(indexed)"
            if indexed and one.mode is not ReadMode.TORCH
            else one.describe(layout)
            for one in (self.forward, self.backward)
        )
        if forward == backward:
            return f"forward=backward={forward}"
        return f"forward={forward}, backward={backward}"
