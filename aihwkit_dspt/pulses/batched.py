"""Pulses of all vectors of a batch in one compiled pass over the cells."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Optional, Tuple
from weakref import ref

import numpy as np
from aihwkit.simulator.parameters.training import UpdateParameters
from numpy.typing import NDArray
from torch import Tensor

from aihwkit_dspt import fused
from aihwkit_dspt.devices.simulated import PERSISTENT, SimulatedNumbers
from aihwkit_dspt.pulses.cells import Cells, cells_of
from aihwkit_dspt.pulses.trains import TrainLaw
from aihwkit_dspt.stages.uninterrupted import Call, in_one_go

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.crossbar import Crossbar

Words = NDArray[np.uint64]

Lines = Tuple[Words, Words]
LineTrains = Tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]
Signs = Tuple[Optional[Tensor], Optional[Tensor]]
"""Chopper signs of columns and of rows, ``None`` where all are one."""

ALL_ONE: Signs = None, None
NO_SIGNS = np.empty(0, np.float32)

FEWEST_VECTORS, FEWEST_SLOTS = 4, 20
"""Fewer vectors are left to aihwkit's tile, unless their trains have many slots and there is no
write noise: then steps with few pulses would take this way, too."""

PATIENCE = 15
"""Batches that are left to aihwkit's tile without a look at them, after one whose cells took less
than a tenth of the pulses for which this way is taken."""

FEWEST_PULSES, CALL_PULSES, MANY_VECTORS = 1.5, 5000.0, 96
"""From so many pulses of a cell on, and so many of all cells beside them, the compiled pass is
faster than aihwkit's tile, with more than so many vectors from fewer in proportion: the tile draws
trains for each (measured on 64 x 64 and 256 x 256 cells with 4, 20 and 1,200 states, trains of 5
and 30 slots and 4 to 512 vectors: it takes 0.1 to 1.1 of the tile's time above, and up to five
times as long where few cells take any)."""

FEWEST_CELLS, FEWEST_LINE_PULSES = 512, 2000.0
"""From so many cells of lines with so many pulses on, the compiled pass is faster than aihwkit's
tile (measured on 32 to 512 cells of 1 to 512 lines)."""


class Drawn(NamedTuple):
    """The pulses of a batch, all vectors in a row."""

    ends: NDArray[np.int64]
    """``[n_vectors]`` slots of all vectors up to each."""

    columns: Lines
    """``[x_size, n_words]`` pulses of columns, and whether their inputs are negative."""

    rows: Lines
    """``[d_size, n_words]`` pulses of rows, and whether their inputs are negative."""

    seed: int
    """Seed for what these pulses do."""


class BatchedPulses:
    r"""Sends the pulses of many vectors at once, equal in distribution to aihwkit's C++ tile.

    The same stochastic pulse trains as the tile's (:class:`~aihwkit_dspt.pulses.trains.TrainLaw`)
    are drawn for all vectors, as bits; a cell takes the coincidences of its row and its column. It
    takes them one after the other: each has the step that belongs to the weight before it, noise of
    its own, and the bounds. Where steps are linear and fine, a cell takes some at once:

    .. math:: w' = f(w) = n_\uparrow q_+(w) - n_\downarrow q_-(w)

    for a unit of time, which holds for pulses up and down in any mixed order. That is done for
    pulses that change the step of the cell by at most 12 % (so that the order, which is left out,
    is worth at most 3 % of their sum) and that cannot reach a bound. The
    variances of their noise are added up, and a cell draws one normal number for a batch.

    The lines of a transfer have one-hot inputs. Each has a train of its own, and its cells take as
    many pulses as theirs meet of that, all of one direction.

    All random numbers come from a seed that torch's generator draws.

    Args:
        crossbar: the array, of a device that :mod:`~aihwkit_dspt.pulses.coverage` covers.
        update: how pulses are generated.
        takes_all: whether this sends all pulses, or those of batches where it is faster.

    Attributes:
        persistent: ``[d_size, x_size]`` weights below write noise, which pulses change, while they
            are ahead of those of the C++ tile; ``None`` otherwise.
        write_noise: standard deviation of the write noise, in weight units.
    """

    NAME = "numba-pulses"

    def __init__(self, crossbar: Crossbar, update: UpdateParameters, takes_all: bool) -> None:
        self.crossbar = crossbar
        self.law = TrainLaw.of(update)
        self.takes_all = takes_all
        cells = crossbar.x_size * crossbar.d_size
        self.fewest_pulses = FEWEST_PULSES + CALL_PULSES / cells
        self.persistent: Optional[NDArray[np.float32]] = None
        self.write_noise = SimulatedNumbers.of(crossbar.device_config).write_noise
        self._has_write_noise = self.write_noise > 0.0
        self._not_asked = 0
        self._version = -1
        self._cells: Optional[Cells] = None
        self._sized: Optional[Tuple[ref[Tensor], ref[Tensor], NDArray[np.float32]]] = None

    def keep_sizes(self, x_input: Tensor, d_input: Tensor, sizes: NDArray[np.float32]) -> None:
        """Keep the sizes of the vectors of a batch, which others will ask for.

        ``sizes`` is what :meth:`sizes` returns, until :meth:`forget_sizes`. Nobody may change the
        vectors before that.
        """
        self._sized = ref(x_input), ref(d_input), np.ascontiguousarray(sizes)

    def forget_sizes(self) -> None:
        """Forget the sizes that were kept."""
        self._sized = None

    def sizes(self, x_input: Tensor, d_input: Tensor) -> NDArray[np.float32]:
        """Return :func:`~aihwkit_dspt.fused.trains_cpu.sizes_of` ``[n_vectors, size]`` vectors."""
        kept = self._sized
        if kept is not None and kept[0]() is x_input and kept[1]() is d_input:
            return kept[2]
        return sizes_of(x_input, d_input)

    def takes(self, x_input: Tensor, d_input: Tensor, learning_rate: float) -> bool:
        """Return whether the pulses of a batch are sent this way.

        See :meth:`~aihwkit_dspt.tiles.crossbar.Crossbar.pulse` for the arguments.
        """
        if self.crossbar.values is None:
            return False
        if self.takes_all or self.persistent is not None:
            return True
        n_vectors = x_input.shape[0]  # not by len(), which torch answers in Python
        if n_vectors < FEWEST_VECTORS and (
            self._has_write_noise or n_vectors * self.law.desired_bl < FEWEST_SLOTS
        ):
            return False
        if self._not_asked > 0:
            self._not_asked -= 1
            return False
        n_pulses = self._pulses_of_a_cell(x_input, d_input, learning_rate)
        fewest = self.fewest_pulses * min(MANY_VECTORS / n_vectors, 1.0)
        if n_pulses < 0.1 * fewest:
            self._not_asked = PATIENCE
        return n_pulses >= fewest

    def _pulses_of_a_cell(self, x_input: Tensor, d_input: Tensor, learning_rate: float) -> float:
        r"""Return how many pulses a cell takes on average, as long as trains are long enough.

        .. math:: \frac{\lambda}{\delta} \sum_n \overline{|x_n|}\; \overline{|d_n|}
        """
        steps = abs(learning_rate) / self.crossbar.pulse_granularity
        total = self.sizes(x_input, d_input)[:, 2].sum(dtype=np.float64)
        return steps * float(total) / (x_input.shape[1] * d_input.shape[1])

    def pulses(
        self, x_input: Tensor, d_input: Tensor, learning_rate: float, signs: Signs = ALL_ONE
    ) -> Call:
        """Return the call that sends pulses.

        See :meth:`~aihwkit_dspt.tiles.crossbar.Crossbar.pulses` for the arguments.
        """
        cells, drawn = self.cells(), self.draw(x_input, d_input, learning_rate, signs=signs)
        if learning_rate == 0.0 or drawn.columns[0].size == 0:
            return partial(bool)  # nothing to send
        arrays = cells.values, cells.shared, *drawn.columns, *drawn.rows
        weights, visible = self.weights(), self.crossbar.values
        if cells.at_once:
            send = partial(fused.fine_pulses_cpu.pulse_fine_cells, weights, visible, *arrays)
        else:
            send = partial(fused.pulses_cpu.pulse_cells, weights, visible, cells.kind, *arrays)
        return partial(send, self.write_noise, drawn.seed, fused.random_bits.NORMALS)

    def draw(
        self, x_input: Tensor, d_input: Tensor, *learning_rates: float, signs: Signs = ALL_ONE
    ) -> Drawn:
        """Return the pulses of all lines for a batch.

        See :meth:`~aihwkit_dspt.tiles.crossbar.Crossbar.pulses` for the arguments; there is one
        learning rate for all vectors, or one for each.
        """
        x_signs, d_signs = (NO_SIGNS if values is None else values.numpy() for values in signs)
        rates = np.array(learning_rates, np.float32)
        law, seeds = self.train_numbers(), np.array(fused.random_bits.new_seeds(3))
        x_values, d_values = _plain(x_input), _plain(d_input)
        vectors = x_values, d_values, self.sizes(x_input, d_input), x_signs, d_signs
        found = fused.trains_cpu.draw_batch(*vectors, seeds, rates, law)
        (n_vectors, x_size), d_size = x_values.shape, d_values.shape[1]
        ends, words = found[:n_vectors].view(np.int64), found[n_vectors:]
        words = words.reshape(2 * (x_size + d_size), -1)
        rows = words[2 * x_size :]
        lines = (words[:x_size], words[x_size : 2 * x_size]), (rows[:d_size], rows[d_size:])
        return Drawn(ends, *lines, int(seeds[2]))

    def train_numbers(self) -> NDArray[np.float64]:
        """Return :meth:`~aihwkit_dspt.pulses.trains.TrainLaw.numbers` of gradient pulses."""
        return self.law.numbers(self.crossbar.pulse_granularity)

    def takes_lines(self, values: Tensor, learning_rate: float) -> bool:
        """Return whether pulses on lines are sent this way.

        See :meth:`~aihwkit_dspt.tiles.crossbar.Crossbar.pulse_lines` for the arguments.
        """
        if self.crossbar.values is None:
            return False
        if self.takes_all or self.persistent is not None:
            return True
        # The tile is faster for the few pulses of single lines, and below write noise the change
        # from one to the other takes long.
        if self._has_write_noise or values.numel() < FEWEST_CELLS:
            return False
        steps = abs(learning_rate) / self.crossbar.pulse_granularity
        return steps * float(values.abs().sum()) >= FEWEST_LINE_PULSES

    def send_lines(
        self,
        lines: slice,
        columns: bool,
        values: Tensor,
        learning_rate: float,
        *then: Call,
    ) -> None:
        """Send pulses; see :meth:`~aihwkit_dspt.tiles.crossbar.Crossbar.pulse_lines`."""
        crossbar, cells = self.crossbar, self.cells()
        steps = _plain(values)
        largest = np.abs(steps).max(1)
        lengths, line_scale, cell_scale = self.trains_of_lines(largest, columns, learning_rate)
        arrays = self.weights(), crossbar.values
        numbers = cells.kind, cells.values, cells.shared, cells.at_once
        which = lines.start, columns, steps, lengths, line_scale, cell_scale
        arguments = *arrays, *numbers, *which, self.write_noise, *_random_numbers()
        in_one_go(partial(fused.line_pulses_cpu.pulse_lines, *arguments), *then)

    def trains_of_lines(
        self, largest: NDArray[np.float32], columns: bool, learning_rate: float
    ) -> LineTrains:
        """Return the trains of one-hot vectors: slots, and probabilities of line and cells.

        Args:
            largest: ``[n]`` largest pulses that are asked for on a line.
            columns: whether lines are columns.
            learning_rate: weight units of a pulse that is asked for.
        """
        ones = np.ones(len(largest), np.float32)
        x_max, d_max = (ones, largest) if columns else (largest, ones)
        step = self.crossbar.pulse_granularity
        trains = self.law.trains(x_max, d_max, learning_rate, step)
        scales = trains.x_scale, trains.d_scale
        of_line, of_cell = scales if columns else scales[::-1]
        return trains.lengths, of_line, of_cell

    def weights(self) -> NDArray[np.float32]:
        """Return the ``[d_size, x_size]`` weights that pulses change, below write noise if any."""
        values: NDArray[np.float32] = self.crossbar.values
        if not self._has_write_noise:
            return values
        if self.persistent is None:
            found = self.crossbar.device_parameters()[PERSISTENT]
            # A copy: that is a part of all parameters, which would stay for as long.
            self.persistent = found.float().clone().numpy()
        return self.persistent

    def cells(self) -> Cells:
        """Return what pulses do to the cells, with the device parameters that the array has now."""
        version = self.crossbar.parameters_version
        if self._cells is None or self._version != version:
            self._cells = cells_of(self.crossbar.device_config, self.crossbar.device_parameters())
            # Last: an interrupt in between leaves the cells to be found again.
            self._version = version
        return self._cells


def sizes_of(x_input: Tensor, d_input: Tensor) -> NDArray[np.float32]:
    """Return :func:`~aihwkit_dspt.fused.trains_cpu.sizes_of` ``[n_vectors, size]`` vectors."""
    sizes: NDArray[np.float32] = fused.trains_cpu.sizes_of(_plain(x_input), _plain(d_input))
    return sizes


def _random_numbers() -> Tuple[int, NDArray[np.float32]]:
    """Return a new seed, and the normal numbers to draw from."""
    return fused.random_bits.new_seed(), fused.random_bits.NORMALS


def _plain(vectors: Tensor) -> NDArray[np.float32]:
    vectors = vectors.detach() if vectors.requires_grad else vectors
    values: NDArray[np.float32] = vectors.contiguous().numpy()
    return values
