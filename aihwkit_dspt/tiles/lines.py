"""Reading and pulsing single lines (columns or rows) of an array with one-hot inputs."""

from __future__ import annotations

from typing import Iterator, Tuple

from torch import Tensor, dtype, empty, zeros
from torch import device as torch_device

from aihwkit_dspt.tiles.crossbar import Crossbar

MAX_LINES = 256
"""Most lines that are driven in one call, to bound the size of the one-hot inputs."""


class LineAccess:
    """Access to the lines of an array, with aihwkit's one-hot transfer vectors.

    Args:
        in_size: number of lines.
        columns: whether a line is a column; else it is a row.
    """

    def __init__(self, in_size: int, columns: bool) -> None:
        self.in_size = in_size
        self.columns = columns

    def _one_hot(
        self, lines: slice, device: torch_device, data_type: dtype
    ) -> Iterator[Tuple[slice, Tensor]]:
        for start in range(lines.start, lines.stop, MAX_LINES):
            stop = min(start + MAX_LINES, lines.stop)
            vectors = zeros(stop - start, self.in_size, device=device, dtype=data_type)
            vectors.diagonal(start).fill_(1.0)
            yield slice(start - lines.start, stop - lines.start), vectors

    def read(self, crossbar: Crossbar, lines: slice) -> Tensor:
        """Return the ``[n_lines, out_size]`` analog read of the given lines."""
        out_size = crossbar.d_size if self.columns else crossbar.x_size
        weights = crossbar.weights
        values = empty(
            lines.stop - lines.start, out_size, device=weights.device, dtype=weights.dtype
        )
        for part, vectors in self._one_hot(lines, weights.device, weights.dtype):
            read = crossbar.read_columns if self.columns else crossbar.read_rows
            values[part] = read(vectors)
        return values

    def pulse(self, crossbar: Crossbar, lines: slice, values: Tensor, learning_rate: float) -> None:
        """Change the given lines by ``+learning_rate * values`` with pulses.

        Args:
            crossbar: the array.
            lines: the lines.
            values: ``[n_lines, out_size]`` values.
            learning_rate: weight units per unit of ``values``.
        """
        # A positive learning rate decreases weights, as in SGD.
        values = -values
        for part, vectors in self._one_hot(lines, values.device, values.dtype):
            if self.columns:
                crossbar.pulse(vectors, values[part], learning_rate)
            else:
                crossbar.pulse(values[part], vectors, learning_rate)
