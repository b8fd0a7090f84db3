"""Reading lines of an array in one compiled pass, on the CPU."""

from __future__ import annotations

from typing import Optional

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from aihwkit_dspt import fused
from aihwkit_dspt.fused.noise_cpu import draw_noise
from aihwkit_dspt.fused.read import FusedLine
from aihwkit_dspt.reads.one_hot import LineLaw

Values = NDArray[np.float32]


class NumbaLine(FusedLine):
    """The compiled pass, with noise from torch's generator.

    Attributes:
        is_noisy: whether it needs normal random numbers.
    """

    NAME = "numba-line"
    DEVICE = "cpu"

    def __init__(self, law: LineLaw) -> None:
        super().__init__(law)
        self._numbers = tuple(map(float, law))
        self.is_noisy = law.noise > 0.0
        self._matrix: Optional[Tensor] = None
        self._weights: Values = np.zeros((0, 0), np.float32)

    def array(self, matrix: Tensor) -> Values:
        """Return ``[in_size, out_size]`` weights as an array that shares their memory."""
        if matrix is not self._matrix:
            self._weights = matrix.numpy()
            self._matrix = matrix  # last: an interrupt in between leaves the array to be made again
        return self._weights

    def __call__(self, matrix: Tensor, lines: slice) -> Tensor:
        """Return the ``[n_lines, out_size]`` read of lines."""
        weights = self.array(matrix)
        values = np.empty((lines.stop - lines.start, weights.shape[1]), weights.dtype)
        output = from_numpy(values)
        if self.is_noisy:
            draw_noise(output)
        fused.line_kernels_cpu.read_lines(weights, lines.start, values, *self._numbers)
        return output
