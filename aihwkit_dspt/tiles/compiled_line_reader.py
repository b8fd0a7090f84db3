"""Reading one line of an array in one compiled pass."""

from __future__ import annotations

from typing import Optional, Union

import numpy as np
from aihwkit.simulator.parameters.enums import RPUDataType
from aihwkit.simulator.parameters.io import IOParameters
from numpy.typing import NDArray
from torch import Tensor
from torch import device as torch_device

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.tiles.batched_read import BatchedRead, OneHotRead
from aihwkit_dspt.tiles.gpu.support import gpu_kernels
from aihwkit_dspt.tiles.line_reader import LineReader
from aihwkit_dspt.tiles.read_support import obstacle

Values = NDArray[np.float32]


class CompiledLineReader:
    """What :class:`~aihwkit_dspt.tiles.line_reader.LineReader` does, for usual read parameters.

    In single precision, on a GPU by one kernel. Reads are equal in distribution; the noise comes
    from torch's global generator.

    Args:
        reader: the reader that takes over on a GPU where Triton does not work.
        columns: whether a line is a column; else it is a row.
        law: the read of a line.
    """

    def __init__(self, reader: LineReader, columns: bool, law: OneHotRead) -> None:
        self._reader = reader
        self._columns = columns
        self._law = law
        self._numbers = tuple(map(float, law))

    @classmethod
    def build(
        cls, reader: Optional[LineReader], columns: bool, read: IOParameters, data_type: RPUDataType
    ) -> Optional[CompiledLineReader]:
        """Return a reader, or ``None`` if the read parameters are not covered.

        Args:
            reader: the reader by a C++ tile; ``None`` if the read parameters couple the lines.
            columns: whether a line is a column; else it is a row.
            read: read parameters of the array.
            data_type: data type of the simulation.
        """
        if reader is None or data_type is not RPUDataType.FLOAT:
            return None
        if obstacle(read, backward=not columns) is not None:
            return None
        law = BatchedRead(read, backward=not columns).of_one_hot()
        return None if law is None else cls(reader, columns, law)

    def read(self, weights: Tensor, lines: slice) -> Tensor:
        """Return the ``[1, out_size]`` analog read of a line of ``[d_size, x_size]`` weights."""
        output = weights.new_empty(1, weights.shape[0 if self._columns else 1])
        if weights.is_cuda:
            matrix = weights.t() if self._columns else weights
            gpu_kernels().read_line(matrix, lines.start, output, self._law)
            return output
        if self._law.noise > 0.0:
            output.normal_()
        array = weights.numpy()
        read_line(array.T if self._columns else array, lines.start, output.numpy(), *self._numbers)
        return output

    def cuda(self, device: torch_device) -> Union[LineReader, CompiledLineReader]:
        """Return the reader for a GPU."""
        return self._reader.cuda(device) if gpu_kernels() is None else self


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
    """Read a row of a matrix; see :class:`~aihwkit_dspt.tiles.batched_read.OneHotRead`.

    Args:
        matrix: ``[in_size, out_size]`` weights.
        line: number of the row.
        output: ``[1, out_size]``, written: the read. If there is noise, it holds normal numbers.
        gain: see above.
        noise: see above.
        rounds: see above.
        bound: see above.
        factor: see above.
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
