"""The READ stage: products with the mixed weight, forward and backward."""

from __future__ import annotations

from typing import Optional, Tuple, Union

from aihwkit.simulator.parameters.io import IOParameters
from torch import Tensor, cat, float32, ones_like

from aihwkit_dspt.configs.enums import ReadMode
from aihwkit_dspt.tiles.batched_read import BatchedRead
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.few_read import FewRead
from aihwkit_dspt.tiles.gpu.read import GpuRead
from aihwkit_dspt.tiles.read_support import obstacle

MIN_VECTORS = 4
"""Fewer vectors gain nothing from a matrix product."""

CELLS_PER_VECTOR = 6_000
"""What aihwkit's tile does for each vector takes about as long as a product with so many cells."""

BATCHED_FROM = 440_000
"""From this many cells on a library's product is faster than aihwkit's tile (in a training step,
one thread): the way to it takes as long as the tile takes for these."""


class ReadStage:
    """Multiplies with the array that forward and backward see.

    A batch goes through one matrix product where
    :class:`~aihwkit_dspt.tiles.batched_read.BatchedRead` covers the read parameters and is faster
    (:class:`~aihwkit_dspt.tiles.few_read.FewRead` for few vectors, on a GPU
    :class:`~aihwkit_dspt.tiles.gpu.read.GpuRead`), else through aihwkit's tile. All are equal in
    distribution.

    Args:
        crossbar: the array with the mixed weight.
        forward: read parameters by columns.
        backward: read parameters by rows.
        mode: which of the two to take.
    """

    def __init__(
        self, crossbar: Crossbar, forward: IOParameters, backward: IOParameters, mode: ReadMode
    ) -> None:
        self.crossbar = crossbar
        directions = (forward, False), (backward, True)
        everywhere = None
        if mode is ReadMode.CPP:
            everywhere = f"read_mode={mode}"
        elif crossbar.weights.dtype is not float32:
            everywhere = str(crossbar.weights.dtype)
        self._obstacles = [
            everywhere or obstacle(io, is_backward) for io, is_backward in directions
        ]
        self._forward, self._backward = (
            BatchedRead(*direction) if found is None else None
            for found, direction in zip(self._obstacles, directions)
        )
        self._few = (
            FewRead.build(self._forward, crossbar, False),
            FewRead.build(self._backward, crossbar, True),
        )
        self._on_gpu: Optional[Tuple[Optional[GpuRead], Optional[GpuRead]]] = None

    def describe(self) -> str:
        """Return how batches are multiplied forward and backward, and if by C++, why."""
        if self.crossbar.is_cuda:
            reads = self._gpu_reads()
            return "/".join(dict.fromkeys("cuda" if read is None else "batched" for read in reads))
        names = ("batched" if found is None else f"cpp({found})" for found in self._obstacles)
        return "/".join(dict.fromkeys(names))

    def _gpu_reads(self) -> Tuple[Optional[GpuRead], Optional[GpuRead]]:
        """Return forward and backward on a GPU, ``None`` for aihwkit's tile."""
        if self._on_gpu is None:
            self._on_gpu = GpuRead.build(self._forward), GpuRead.build(self._backward)
        return self._on_gpu

    def _is_small(self, n_vectors: int) -> bool:
        """Return whether a product of that many vectors is faster on aihwkit's tile."""
        crossbar = self.crossbar
        cells = n_vectors * (crossbar.x_size * crossbar.d_size + CELLS_PER_VECTOR)
        return n_vectors < MIN_VECTORS or cells < BATCHED_FROM

    def _batched(
        self, n_vectors: int, backward: bool, in_trans: bool, out_trans: bool
    ) -> Union[BatchedRead, GpuRead, None]:
        """Return what multiplies a batch, ``None`` for aihwkit's tile."""
        if self.crossbar.is_cuda:
            read = None if in_trans or out_trans else self._gpu_reads()[backward]
            sizes = self.crossbar.x_size, self.crossbar.d_size
            covers = read is not None and read.covers(n_vectors, *sizes[:: -1 if backward else 1])
            return read if covers else None
        if in_trans != out_trans or self._is_small(n_vectors):
            return None
        return self._backward if backward else self._forward

    def forward(
        self, x_input: Tensor, bias: bool, in_trans: bool, out_trans: bool, is_test: bool
    ) -> Tensor:
        """Return ``[*, d_size]`` products of ``[*, x_size (-1)]`` inputs; see aihwkit's tiles."""
        few = self._few[False]
        if few is not None and not (bias or in_trans or out_trans) and few.covers(x_input):
            return few(x_input.detach())
        n_vectors = x_input.numel() // self.crossbar.x_size
        read = self._batched(n_vectors, False, in_trans, out_trans)
        if read is None:
            output: Tensor = self.crossbar.tile.forward(
                x_input, bias, in_trans, out_trans, is_test, True
            )
            return output
        x_input = x_input.detach()
        if bias:
            dim = 0 if in_trans else -1
            x_input = cat([x_input, ones_like(x_input.narrow(dim, 0, 1))], dim)
        if isinstance(read, GpuRead):
            return read(self.crossbar.shared, x_input)
        return _product(read, self.crossbar.weights, x_input, in_trans)

    def backward(self, d_input: Tensor, bias: bool, in_trans: bool, out_trans: bool) -> Tensor:
        """Return ``[*, x_size (-1)]`` products of ``[*, d_size]`` errors; see aihwkit's tiles."""
        few = self._few[True]
        if few is not None and not (bias or in_trans or out_trans) and few.covers(d_input):
            return few(d_input.detach())
        n_vectors = d_input.numel() // self.crossbar.d_size
        read = self._batched(n_vectors, True, in_trans, out_trans)
        if read is None:
            output: Tensor = self.crossbar.tile.backward(d_input, bias, in_trans, out_trans, True)
            return output
        weights = self.crossbar.weights
        weights = weights[:, :-1] if bias else weights
        if isinstance(read, GpuRead):
            return read(weights, d_input.detach())
        return _product(read, weights.t(), d_input.detach(), in_trans)


def _product(read: BatchedRead, matrix: Tensor, vectors: Tensor, transposed: bool) -> Tensor:
    """Return products with an ``[out_size, in_size]`` matrix in the layout of the vectors."""
    if transposed:
        columns = vectors.reshape(1, len(vectors), -1)
        return read(matrix, columns, dim=-2).view(len(matrix), *vectors.shape[1:])
    if vectors.dim() == 2:
        return read(matrix.t(), vectors)
    if vectors.dim() == 3 and vectors.stride(1) == 1 and not vectors.is_contiguous():
        # What layers pass for unfolded images: the patches lie one after the other in memory.
        return read(matrix, vectors.transpose(1, 2), dim=-2).transpose(1, 2)
    rows = read(matrix.t(), vectors.reshape(-1, vectors.shape[-1]))
    return rows.view(*vectors.shape[:-1], len(matrix))
