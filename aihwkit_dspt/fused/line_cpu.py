"""Reading one line of an array in one compiled pass, on the CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

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

    def __call__(self, matrix: Tensor, line: int) -> Tensor:
        """Return the ``[1, out_size]`` read of a line."""
        output = matrix.new_empty(1, matrix.shape[1])
        if self.law.noise > 0.0:
            output.normal_()
        read_line(matrix.numpy(), line, output.numpy(), *self._numbers)
        return output


@compiled
def read_line(
    matrix: Values,
    line: int,
    output: Values,
    gain: float,
    noise: float,
    rounds: float,
    bound: float,
    factor: float,
) -> None:
    """Read a row of ``[in_size, out_size]`` weights into ``[1, out_size]`` output.

    Where there is noise, the output holds normal numbers before. The other numbers are those of
    :class:`~aihwkit_dspt.reads.one_hot.LineLaw`.
    """
    scale, spread = np.float32(gain), np.float32(noise)
    limit, unit = np.float32(bound), np.float32(factor)
    for cell in range(output.shape[1]):
        value = matrix[line, cell] * scale
        if spread > 0.0:
            value += spread * output[0, cell]
        if rounds > 0.0:
            value = np.rint(value)
        if value > limit:
            value = limit
        elif value < -limit:
            value = -limit
        output[0, cell] = value * unit
