"""One-hot inputs for the lines (columns or rows) of an array, and pulses on these."""

from __future__ import annotations

from functools import partial
from typing import Dict, List, Optional, Tuple

from torch import Tensor, zeros

from aihwkit_dspt.reads.thresholds import LINES_AT_ONCE
from aihwkit_dspt.stages.event import TransferEvent
from aihwkit_dspt.tiles.crossbar import Crossbar


class LineAccess:
    """Access to the ``in_size`` lines of an array, with aihwkit's one-hot transfer vectors.

    A line is a column, or else a row. At most ``most`` lines are driven in one call.
    """

    def __init__(self, in_size: int, columns: bool, most: int = LINES_AT_ONCE) -> None:
        self.most = most
        self.in_size = in_size
        self.columns = columns
        self._impulse = zeros(0, device="cpu")
        self._windows: Dict[Tuple[int, float], Tensor] = {}

    def one_hot(self, lines: slice, like: Tensor, height: float = 1.0) -> Tensor:
        """Return ``[n_lines, in_size]`` one-hot vectors of lines, with device and type of ``like``.

        ``height`` is 1 or -1, the entry that is not zero.
        """
        if lines.stop - lines.start > 1:
            vectors = like.new_zeros(lines.stop - lines.start, self.in_size)
            vectors.diagonal(lines.start).fill_(height)
            return vectors
        if len(self._impulse) == 0 or self._impulse.device != like.device:
            # Every one-hot vector is a window of one of these: no copy, and no dense identity.
            impulse = like.new_zeros(2, 2 * self.in_size - 1)
            impulse[0, self.in_size - 1] = 1.0
            impulse[1, self.in_size - 1] = -1.0
            self._windows = {}
            self._impulse = impulse  # last: an interrupt before it leaves this to be done again
        window = self._windows.get((lines.start, height))
        if window is None:
            start = self.in_size - lines.stop
            row = 0 if height > 0.0 else 1
            window = self._impulse[row, start : start + self.in_size].unsqueeze(0)
            self._windows[lines.start, height] = window
        return window

    def pulse(
        self,
        crossbar: Crossbar,
        lines: slice,
        values: Tensor,
        learning_rate: float,
        event: Optional[TransferEvent] = None,
    ) -> None:
        """Change the given lines by ``+learning_rate * values`` with pulses.

        Args:
            crossbar: the array.
            lines: the lines.
            values: ``[n_lines, out_size]`` values.
            learning_rate: weight units per unit of ``values``.
            event: keeps count of the parts that are sent; those that it has are left out.
        """
        for number, part in enumerate(self.parts(lines)):
            if event is not None and number < event.n_sent:
                continue
            chunk = values
            if part.stop - part.start != len(values):
                chunk = values[part.start - lines.start : part.stop - lines.start]
            then = () if event is None else (partial(setattr, event, "n_sent", number + 1),)
            if crossbar.pulse_lines(part, self.columns, chunk, learning_rate, *then):
                continue
            # A positive learning rate decreases weights, as in SGD.
            vectors = self.one_hot(part, values, -1.0)
            pair = (vectors, chunk) if self.columns else (chunk, vectors)
            crossbar.pulse(*pair, learning_rate, *then)

    def parts(self, lines: slice) -> List[slice]:
        """Return lines in parts that are driven in one call each."""
        starts = range(lines.start, lines.stop, self.most)
        return [slice(start, min(start + self.most, lines.stop)) for start in starts]
