"""Products of a few vectors on the CPU, in one compiled pass over the array."""

from __future__ import annotations

from typing import Optional

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from aihwkit_dspt import fused
from aihwkit_dspt.fused.read import FusedProduct, Layout, ProductSize
from aihwkit_dspt.fused.read_cpu import converter_settings, read_again
from aihwkit_dspt.reads.coverage import Form
from aihwkit_dspt.reads.law import ReadLaw
from aihwkit_dspt.reads.thresholds import Thresholds


class NumbaFew(FusedProduct):
    """Converters, product and noise in one pass over the array."""

    NAME = "numba-few"
    FORM = Form.ONE_PASS
    DEVICE = "cpu"

    def __init__(self, law: ReadLaw, backward: bool) -> None:
        super().__init__(law, backward)
        self._noise = law.gain, law.out_noise
        before, after = converter_settings(law)
        self._settings = *before, *self._noise, *after
        self._matrix: Optional[Tensor] = None
        self._weights: NDArray[np.float32] = np.empty((0, 0), np.float32)

    def suits(self, size: ProductSize, thresholds: Thresholds) -> bool:
        """Return whether vectors are a matrix, few, with many multiplications."""
        most = thresholds.few_backward if self.backward else thresholds.few_forward
        if size.layout is not Layout.MATRIX or not 1 < size.n_vectors <= most:
            return False
        n_products = size.n_vectors * size.in_size * size.out_size
        if n_products < thresholds.few_products:
            return False
        return n_products < thresholds.few_products_threads or size.n_threads == 1

    def __call__(self, matrix: Tensor, vectors: Tensor) -> Tensor:
        """Return ``[n, out_size]`` products."""
        if matrix is not self._matrix:
            # The loops want weights as the array has them, [d_size, x_size].
            self._weights = matrix.numpy() if self.backward else matrix.numpy().T
            self._matrix = matrix  # last: an interrupt in between leaves the array to be made again
        vectors = vectors.contiguous()  # parts of a layer that is cut in several arrays are not
        output, scales = self._drawn(vectors), np.empty((len(vectors), 1), np.float32)
        inputs, outputs = vectors.numpy(), output.numpy()
        if fused.read_kernels_cpu.read_few(
            inputs, self._weights, not self.backward, outputs, scales, *self._settings
        ):
            read_again(self.law, self._multiply, vectors, output, scales)
        return output

    def _drawn(self, vectors: Tensor) -> Tensor:
        """Return outputs that hold normal random numbers; anything if there is no noise."""
        assert self._matrix is not None
        output = vectors.new_empty(len(vectors), self._matrix.shape[1])
        return output.normal_() if self.law.out_noise > 0.0 else output

    def _multiply(self, inputs: Tensor) -> Tensor:
        """Return the products of converted inputs, in steps, with their noise."""
        output = self._drawn(inputs)
        values = inputs.numpy(), self._weights, not self.backward, output.numpy()
        fused.read_kernels_cpu.multiply_few(*values, *self._noise)
        return output
