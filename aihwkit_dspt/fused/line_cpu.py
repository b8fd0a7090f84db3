"""Reading lines of an array in one compiled pass, on the CPU."""

from __future__ import annotations

from typing import Optional

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.read import FusedLine
from aihwkit_dspt.reads.one_hot import LineLaw

Values = NDArray[np.float32]


class NumbaLine(FusedLine):
    """The compiled pass, with noise from torch's generator."""

    NAME = "numba-line"
    DEVICE = "cpu"

    def __init__(self, law: LineLaw) -> None:
        super().__init__(law)
        self._numbers = tuple(map(float, law))
        self._is_noisy = law.noise > 0.0
        self._matrix: Optional[Tensor] = None
        self._weights: Values = np.zeros((0, 0), np.float32)

    def __call__(self, matrix: Tensor, lines: slice) -> Tensor:
        """Return the ``[n_lines, out_size]`` read of lines."""
        if matrix is not self._matrix:
            self._weights = matrix.numpy()
            self._matrix = matrix  # last: an interrupt in between leaves the array to be made again
        weights = self._weights
        values = np.empty((lines.stop - lines.start, weights.shape[1]), weights.dtype)
        output = from_numpy(values)
        if self._is_noisy:
            output.normal_()
        read_lines(weights, lines.start, values, *self._numbers)
        return output


@compiled
def read_lines(
    matrix: Values,
    first: int,
    output: Values,
    gain: float,
    noise: float,
    rounds: float,
    bound: float,
    factor: float,
) -> None:
    """Read rows of ``[in_size, out_size]`` weights, from the first one on, into the output.

    Where there is noise, the ``[n_lines, out_size]`` output holds normal numbers before. The other
    numbers are those of :class:`~aihwkit_dspt.reads.one_hot.LineLaw`.
    """
    scale, spread = np.float32(gain), np.float32(noise)
    limit, unit = np.float32(bound), np.float32(factor)
    for index in range(output.shape[0]):
        line = first + index
        for cell in range(output.shape[1]):
            value = matrix[line, cell] * scale
            if spread > 0.0:
                value += spread * output[index, cell]
            if rounds > 0.0:
                value = np.rint(value)
            if value > limit:
                value = limit
            elif value < -limit:
                value = -limit
            output[index, cell] = value * unit
