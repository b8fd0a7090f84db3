"""Analog products of a whole batch on a GPU, in few kernels and without waiting for any."""

from __future__ import annotations

from typing import Any, Optional

from torch import Tensor

from aihwkit_dspt.tiles.batched_read import BatchedRead
from aihwkit_dspt.tiles.gpu.support import gpu_modules

FUSED_INPUTS = 256
"""Up to so many inputs a product is one kernel; cuBLAS is faster with 784 (H200)."""

FUSED_VECTORS = 128
"""The same for the number of vectors."""

MANAGED_OUTPUTS = 256
"""The same for the outputs where bounds are managed: one program then has all of a vector."""


class GpuRead:
    """What :class:`~aihwkit_dspt.tiles.batched_read.BatchedRead` does, by Triton and cuBLAS.

    Small products are one kernel, others three, and the host waits for none of them. Bound
    management has to know whether an output was at the bound: the kernel of a small product finds
    that out itself. Others are left to aihwkit's CUDA tile, which waits for each.

    Args:
        read: the read.
        kernels: the modules with the kernels.
    """

    def __init__(self, read: BatchedRead, kernels: Any) -> None:
        self._read = read
        self._kernels = kernels

    @classmethod
    def build(cls, read: Optional[BatchedRead]) -> Optional[GpuRead]:
        """Return the read on a GPU, ``None`` if its settings or this machine have none."""
        if read is None or not (read.ideal or read.is_plain):
            return None
        kernels = gpu_modules()
        return None if kernels is None else cls(read, kernels)

    def covers(self, n_vectors: int, in_size: int, out_size: int) -> bool:
        """Return whether a product of that size is faster here than on aihwkit's CUDA tile."""
        if not self._read.manages_bounds:
            return True
        return out_size <= MANAGED_OUTPUTS and self._is_small(n_vectors, in_size)

    @staticmethod
    def _is_small(n_vectors: int, in_size: int) -> bool:
        return n_vectors <= FUSED_VECTORS and in_size <= FUSED_INPUTS

    def __call__(self, matrix: Tensor, vectors: Tensor) -> Tensor:
        """Return the ``[*, out_size]`` analog products of ``[*, in_size]`` vectors.

        Args:
            matrix: ``[in_size, out_size]`` weights.
            vectors: the vectors.
        """
        rows = vectors if vectors.dim() == 2 else vectors.reshape(-1, vectors.shape[-1])
        if self._read.ideal or rows.numel() == 0:
            output = self._read(matrix, rows)
        elif self._is_small(*rows.shape):
            output = rows.new_empty(rows.shape[0], matrix.shape[1])
            self._kernels.product.product(rows.contiguous(), matrix, output, self._read)
        else:
            output = self._by_cublas(matrix, rows.contiguous())
        return output if vectors.dim() == 2 else output.view(*vectors.shape[:-1], matrix.shape[1])

    def _by_cublas(self, matrix: Tensor, rows: Tensor) -> Tensor:
        read, kernels = self._read, self._kernels.converters
        n_rows = rows.shape[0]
        inputs, scales = rows.new_empty(rows.shape), rows.new_empty(n_rows)
        output = rows.new_empty(n_rows, matrix.shape[1])
        kernels.convert_inputs(rows, inputs, scales, read)
        output.addmm_(inputs, matrix, beta=0.0, alpha=read.gain)
        kernels.convert_outputs(output, scales, read)
        return output
