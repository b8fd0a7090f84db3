"""Analog products of a few vectors, in one compiled pass over the array."""

from __future__ import annotations

from typing import Optional

import numpy as np
from torch import Tensor, float32, get_num_threads

from aihwkit_dspt.tiles.batched_read import BatchedRead
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.read_kernels import multiply_few, read_few

FEW = 16, 12
"""Most vectors, forward and backward, that this multiplies faster than a library's product."""

WORTHWHILE = 100_000
"""From this many multiplications on, and two vectors, it is faster than aihwkit's tile."""

FOR_ONE_THREAD = 2_500_000
"""From this many multiplications on the product is left to several threads, if torch has them."""


class FewRead:
    """Multiplies a few vectors as :class:`~aihwkit_dspt.tiles.batched_read.BatchedRead` does.

    Converters, product and noise are one pass over the array. It has the settings that are usual:
    inputs scaled by their largest and rounded, noise of one size at the outputs, their bound
    clipped or managed. Outputs equal the batch's but for the order of the sums.

    Args:
        read: the direction of the read, with settings that :meth:`build` accepts.
        crossbar: the array with the mixed weight.
        backward: whether vectors are errors of rows.
    """

    def __init__(self, read: BatchedRead, crossbar: Crossbar, backward: bool) -> None:
        self.read = read
        self.crossbar = crossbar
        self.by_columns = not backward
        sizes = crossbar.x_size, crossbar.d_size
        self.in_size, self.out_size = sizes[::-1] if backward else sizes
        self.most = FEW[backward]
        self.noise = read.gain, read.out_noise

    @classmethod
    def build(
        cls, read: Optional[BatchedRead], crossbar: Crossbar, backward: bool
    ) -> Optional[FewRead]:
        """Return it for a batched read, ``None`` if that has other settings than the usual ones."""
        if read is None or read.ideal or not read.is_plain:
            return None
        return cls(read, crossbar, backward)

    def covers(self, vectors: Tensor) -> bool:
        """Return whether vectors are multiplied here: ``[n, in_size]`` of them, few, on the CPU."""
        if vectors.dim() != 2 or vectors.is_cuda:
            return False
        n_vectors, in_size = vectors.shape
        n_products = n_vectors * in_size * self.out_size
        if not 1 < n_vectors <= self.most or n_products < WORTHWHILE:
            return False
        # The compiled loops check nothing; what does not fit gets aihwkit's error.
        if in_size != self.in_size or vectors.dtype is not float32:
            return False
        return n_products < FOR_ONE_THREAD or get_num_threads() == 1

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return ``[n, out_size]`` products of ``[n, in_size]`` vectors."""
        vectors = vectors.contiguous()  # parts of a layer that is cut in several arrays are not
        values, weights = vectors.numpy(), self.crossbar.values
        output, scales = self._noise(len(vectors)), np.empty((len(vectors), 1), np.float32)
        settings = *self.read.before, *self.noise, *self.read.after
        if read_few(values, weights, self.by_columns, output.numpy(), scales, *settings):
            self.read.read_again(self._multiply, vectors, output, scales)
        return output

    def _noise(self, n_vectors: int) -> Tensor:
        """Return ``[n_vectors, out_size]`` normal random numbers; anything if there is no noise."""
        output = self.crossbar.weights.new_empty(n_vectors, self.out_size)
        return output.normal_() if self.read.out_noise > 0.0 else output

    def _multiply(self, inputs: Tensor) -> Tensor:
        """Return the products of converted inputs, in steps, with their noise."""
        output = self._noise(len(inputs))
        values = inputs.numpy(), self.crossbar.values, self.by_columns, output.numpy()
        multiply_few(*values, *self.noise)
        return output
