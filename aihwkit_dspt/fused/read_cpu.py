"""Products of many vectors on the CPU: compiled converters around a library's product."""

from __future__ import annotations

from math import inf
from typing import Callable, Tuple

from numpy import empty, float32
from numpy.typing import NDArray
from torch import Tensor, empty_like

from aihwkit_dspt import fused
from aihwkit_dspt.fused.noise_cpu import draw_normal
from aihwkit_dspt.fused.read import FusedProduct, Layout, ProductSize
from aihwkit_dspt.reads.coverage import Form
from aihwkit_dspt.reads.law import ReadLaw
from aihwkit_dspt.reads.product import PlainProduct
from aihwkit_dspt.reads.thresholds import Thresholds


class NumbaConverters(FusedProduct):
    """The plain product, whose converters pass once over their values, with the same roundings.

    Its output noise is drawn in a compiled pass, with a seed of torch's generator.
    """

    NAME = "numba-converters"
    FORM = Form.CONVERTERS
    DEVICE = "cpu"

    def __init__(self, law: ReadLaw, backward: bool) -> None:
        super().__init__(law, backward)
        self._plain = PlainProduct(law, draw_normal)
        self._multiply = self._plain.multiply
        self._before, self._after = converter_settings(law)

    def suits(self, size: ProductSize, thresholds: Thresholds) -> bool:
        """Return whether vectors are enough, and do not come first in their tensor."""
        is_taken = size.layout in (Layout.MATRIX, Layout.ROWS, Layout.UNFOLDED)
        return is_taken and thresholds.takes_batch(size.n_vectors, size.in_size * size.out_size)

    def __call__(self, matrix: Tensor, vectors: Tensor) -> Tensor:
        """Return ``[n, out_size]`` products."""
        vectors = vectors.contiguous()
        inputs, scales = empty_like(vectors), empty((len(vectors), 1), float32)
        kernels = fused.read_kernels_cpu
        kernels.convert_inputs(vectors.numpy(), inputs.numpy(), scales, *self._before)
        output = self._multiply(matrix, inputs, -1)
        if kernels.convert_outputs(output.numpy(), scales, *self._after):
            read_again(
                self.law, lambda rows: self._multiply(matrix, rows, -1), vectors, output, scales
            )
        return output

    def of_columns(self, matrix: Tensor, vectors: Tensor) -> Tensor:
        """Return ``[n, out_size, m]`` products of ``[n, in_size, m]`` vectors; see the base."""
        vectors = vectors.contiguous()
        inputs, scales = empty_like(vectors), vectors.new_empty(len(vectors), 1, vectors.shape[2])
        kernels = fused.column_kernels_cpu
        kernels.convert_input_columns(
            vectors.numpy(), inputs.numpy(), scales.numpy(), *self._before
        )
        output = self._multiply(matrix, inputs, -2)
        if kernels.convert_output_columns(output.numpy(), scales.numpy(), *self._after):
            scales = self._plain.manage_bounds(matrix, vectors, scales, output, -2)
            output.mul_(scales * self.law.factor)
        return output


def converter_settings(
    law: ReadLaw,
) -> Tuple[Tuple[float, float, float], Tuple[float, float, float, bool]]:
    """Return the settings of the input converter and of the output converter."""
    # Bound management reads again what is too large; else it is clipped.
    limit, bound = (law.out_limit, inf) if law.manages_bounds else (inf, law.bound)
    before = law.nm_thres, law.inp_res, law.inp_limit
    return before, (limit, bound, law.factor, law.out_res > 0.0)


def read_again(
    law: ReadLaw,
    multiply: Callable[[Tensor], Tensor],
    vectors: Tensor,
    output: Tensor,
    scales: NDArray[float32],
) -> None:
    """Read vectors again whose outputs exceed the bound, clip and rescale all outputs.

    ``multiply`` returns the products of ``[n, in_size]`` converted inputs with their noise. The
    ``[n, out_size]`` rounded outputs, in steps, and their ``[n, 1]`` scales are changed in place.
    """
    kernels, outputs = fused.read_kernels_cpu, output.numpy()
    rows = kernels.rows_beyond(outputs, law.out_limit)
    factor = 1
    while len(rows) > 0 and factor <= law.largest_factor:
        factor *= 2
        inputs = vectors.new_empty(len(rows), vectors.shape[1])
        kernels.convert_again(
            vectors.numpy(), rows, scales, inputs.numpy(), law.inp_res, law.inp_limit
        )
        again = multiply(inputs).numpy()
        rows = kernels.replace_outputs(outputs, rows, again, law.out_limit, law.out_res > 0.0)
    kernels.rescale_outputs(outputs, scales, law.bound, law.factor)
