"""Products on a GPU, in few kernels and without waiting for any."""

from __future__ import annotations

from torch import Tensor

from aihwkit_dspt.fused.gpu.support import gpu_kernels
from aihwkit_dspt.fused.read import FusedLine, FusedProduct, Layout, ProductSize
from aihwkit_dspt.reads.coverage import Form
from aihwkit_dspt.reads.thresholds import Thresholds


class TritonProduct(FusedProduct):
    """A small product with its converters in one kernel, which also manages the bounds."""

    NAME = "triton-product"
    FORM = Form.ONE_PASS
    DEVICE = "cuda"

    def suits(self, size: ProductSize, thresholds: Thresholds) -> bool:
        """Return whether vectors are few and short."""
        if size.layout >= Layout.TRANSPOSED or size.n_vectors == 0:
            return False
        if self.law.manages_bounds and size.out_size > thresholds.gpu_managed_outputs:
            return False
        return size.n_vectors <= thresholds.gpu_vectors and size.in_size <= thresholds.gpu_inputs

    def __call__(self, matrix: Tensor, vectors: Tensor) -> Tensor:
        """Return ``[n, out_size]`` products."""
        output = vectors.new_empty(vectors.shape[0], matrix.shape[1])
        gpu_kernels().product.product(vectors.contiguous(), matrix, output, self.law)
        return output


class TritonConverters(FusedProduct):
    """Three kernels, of which the second is cuBLAS's product.

    They do not manage bounds: that would have to wait for the outputs, to see which exceed them.
    """

    NAME = "triton-converters"
    FORM = Form.ONE_PASS
    DEVICE = "cuda"

    def suits(self, size: ProductSize, thresholds: Thresholds) -> bool:
        """Return whether no bounds are managed."""
        is_rows = size.layout < Layout.TRANSPOSED
        return is_rows and not self.law.manages_bounds and size.n_vectors > 0

    def __call__(self, matrix: Tensor, vectors: Tensor) -> Tensor:
        """Return ``[n, out_size]`` products."""
        law, kernels, vectors = self.law, gpu_kernels().converters, vectors.contiguous()
        n_vectors = vectors.shape[0]
        inputs, scales = vectors.new_empty(vectors.shape), vectors.new_empty(n_vectors)
        output = vectors.new_empty(n_vectors, matrix.shape[1])
        kernels.convert_inputs(vectors, inputs, scales, law)
        output.addmm_(inputs, matrix, beta=0.0, alpha=law.gain)
        kernels.convert_outputs(output, scales, law)
        return output


class TritonLine(FusedLine):
    """Reads lines by one kernel, with noise of its own that torch's seed fixes."""

    NAME = "triton-line"
    DEVICE = "cuda"

    def __call__(self, matrix: Tensor, lines: slice) -> Tensor:
        """Return the ``[n_lines, out_size]`` read of lines."""
        output = matrix.new_empty(lines.stop - lines.start, matrix.shape[1])
        gpu_kernels().lines.read_lines(matrix, lines.start, output, self.law)
        return output
