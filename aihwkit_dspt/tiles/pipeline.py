"""What happens between the arrays, in order.

Longer than other files: the order of a step stands in one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Tuple
from weakref import ref

from aihwkit.exceptions import TileError
from torch import Tensor, zeros
from torch import device as torch_device

from aihwkit_dspt.configs.checks import require_whole
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.fused.table import fused_updates
from aihwkit_dspt.reads.array import ArrayReads
from aihwkit_dspt.stages.counters import OperationCounters
from aihwkit_dspt.stages.schedule import chunks
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.gradient_pulses import are_at_once, gradient_calls, send_gradient
from aihwkit_dspt.tiles.joined import joined_arrays
from aihwkit_dspt.tiles.learning_rates import FastLearningRate
from aihwkit_dspt.tiles.link import Link
from aihwkit_dspt.tiles.mixer import Mixer, residuals
from aihwkit_dspt.tiles.names import named_arrays, named_stages
from aihwkit_dspt.tiles.settled import trainable
from aihwkit_dspt.tiles.vectors import require_type

if TYPE_CHECKING:
    from aihwkit_dspt.stages.uninterrupted import Call


class Pipeline:
    r"""Arrays, the links between them, and the mixed weight that the model is evaluated at.

    Per update cycle (paper Algorithms 2 and 3):

    1. CHOP: the gradient vectors take the chopper signs, :math:`c\, g` (18a);
    2. FAST: pulses on the fast array, :math:`P \leftarrow P - \alpha\, c\, g` (11a);
    3. at a transfer event the link reads a line of :math:`P`: BUFFER, ESTIMATE, SLOW, see
       :class:`~aihwkit_dspt.tiles.link.Link`;
    4. READ: :math:`\bar W = W + \gamma\, c \circ (P - \tilde Q)` for forward and backward.

    In a longer chain every array but the slowest is read by a link, which pulses the next slower
    one, and :math:`\bar W` has the residual of each.

    Args:
        config: the compound.
        arrays: the arrays, slowest first: :math:`W`, (arrays between,) :math:`P`.
        links: ``links[n]`` joins ``arrays[n + 1]`` to ``arrays[n]``.
        fast_lr: :math:`\alpha`.
        mixed_array: the array that forward and backward use, ``arrays[0]`` where nothing is mixed.
        reads: multiplies with it.

    Attributes:
        slow: the slowest array.
        fast: the fastest array, which takes the gradient pulses.
        link: the link that reads it.
        active: the links that transfer, fastest first.
        unfinished: whether a call was interrupted, see :meth:`settle`.
        schedules: when the active links transfer.
        mixer: keeps the mixed weight, ``None`` where nothing is mixed.
        forms: fused forms of an update, in the order in which they are asked.
        is_changing: whether a method that is :func:`~aihwkit_dspt.tiles.settled.settled` is
            running.
    """

    def __init__(
        self,
        config: TrackingTransferCompound,
        arrays: List[Crossbar],
        links: List[Link],
        fast_lr: FastLearningRate,
        mixed_array: Crossbar,
        reads: ArrayReads,
    ) -> None:
        self.config = config
        self.arrays = arrays
        self.links = links
        self.slow, self.fast = arrays[0], arrays[-1]
        self.link = links[-1]
        self.fastest_first = links[::-1]
        self.joined = joined_arrays(config, links)
        self.fast_lr = fast_lr
        self.mixed_array = mixed_array
        self.reads = reads
        self.x_size, self.d_size = self.fast.x_size, self.fast.d_size
        self.learning_rate = 0.1
        self.largest_lr = 0.0
        self.counters = OperationCounters()
        self.unfinished = False
        self.is_changing = False
        for array in self.device_arrays():
            array.owner = ref(self)
        self.follow_joined()
        self.mixer = self._mixer()
        self.forms = fused_updates(self)
        self.refresh_weights()

    @trainable
    def update_vectors(self, x_vectors: Tensor, d_vectors: Tensor) -> None:
        """Gradient update with as many transfers as fall into the batch.

        Args:
            x_vectors: ``[n_vectors, x_size]`` inputs, the bias input included.
            d_vectors: ``[n_vectors, d_size]`` errors.

        Raises:
            TileError: if numbers of vectors or data types do not fit; the tile is left as it was.
        """
        data_type = self.fast.shared.dtype
        if x_vectors.dtype is not data_type or d_vectors.dtype is not data_type:
            require_type(x_vectors, self.fast.shared, "x_input")
            require_type(d_vectors, self.fast.shared, "d_input")
        m_batch = x_vectors.shape[0]
        if m_batch != d_vectors.shape[0]:
            raise TileError(
                f"x_input has {m_batch} vectors, d_input {len(d_vectors)}: pass equal batches"
            )
        if self.unfinished:
            self.settle()
        learning_rate = self.learning_rate
        if learning_rate == 0.0 or m_batch == 0:
            return
        self.unfinished = True
        if not -self.largest_lr <= learning_rate <= self.largest_lr:
            self.follow_learning_rate(learning_rate)
        for link in self.active:
            link.hold_back()
        fast_lr, link = self.fast_lr, self.link
        fast_lr.start, fast_lr.share = link.timing.start(link.schedule.sweep), link.settling.share
        for form in self.forms:
            if form.update(self, x_vectors, d_vectors, m_batch):
                break
        else:
            self._update_by_stages(x_vectors, d_vectors, m_batch)
        self.unfinished = False
        for link in self.fastest_first:
            for listener in link.listeners:
                listener.on_step(m_batch)

    def _update_by_stages(self, x_vectors: Tensor, d_vectors: Tensor, m_batch: int) -> None:
        for start, stop, due in chunks(self.schedules, m_batch):
            vectors = x_vectors, d_vectors
            if stop - start < m_batch:
                vectors = x_vectors[start:stop], d_vectors[start:stop]
            send_gradient(self, *vectors, m_batch, due)
            for number, n_lines in enumerate(due):
                if n_lines:
                    self.transfer(number)
        self.mix()
        self._join_due()

    @property
    def pulses_at_once(self) -> bool:
        """Whether :meth:`gradient_calls` has the pulses of all vectors of a batch."""
        return are_at_once(self)

    @property
    def scales_apart(self) -> bool:
        """Whether transfers do not depend on learning rates that follow the vectors one by one."""
        return not (self.fast_lr.auto_scales and self.config.correct_gradient_magnitudes)

    def gradient_calls(
        self, x_vectors: Tensor, d_vectors: Tensor, m_batch: int, due: Tuple[int, ...]
    ) -> List[Call]:
        """CHOP and FAST: see :func:`~aihwkit_dspt.tiles.gradient_pulses.gradient_calls`."""
        return gradient_calls(self, x_vectors, d_vectors, m_batch, due)

    def mix(self) -> None:
        """Let the mixed weight follow the fastest array."""
        if self.mixer is not None:
            self.mixer.refresh()

    def follow_learning_rate(self, learning_rate: float) -> None:
        """Let the links know the largest learning rate of the SGD so far."""
        if abs(learning_rate) > self.largest_lr:
            self.set_largest_lr(abs(learning_rate))

    def set_largest_lr(self, learning_rate: float) -> None:
        """Set the largest learning rate of the SGD so far."""
        self.largest_lr = learning_rate
        for link in self.links:
            link.rate.set_largest(learning_rate)

    def settle(self) -> None:
        """Finish what an interrupted call left undone.

        Called by whatever reads or changes the state. An interrupt (Ctrl-C, an error of a listener)
        leaves all vectors that were sent counted and the events that were due in their journals:
        the events go on from there, and the mixed weight is computed anew.
        """
        if not self.unfinished:
            return
        if self.fast.batched is not None:
            self.fast.batched.forget_sizes()
        for form in self.forms:
            form.count(self)
        for number, schedule in enumerate(self.schedules):
            if schedule.n_due:
                self.transfer(number)
        self.refresh_weights()
        self.follow_joined()
        self._join_due()
        self.unfinished = False

    def join_next(self) -> None:
        """Let the next array of a chain join, see :class:`~aihwkit_dspt.tiles.joined.JoinedArrays`.

        Transfers that are due were done before.
        """
        self.joined.join()
        self.follow_joined()

    def _join_due(self) -> None:
        while self.joined.is_due():
            self.join_next()

    def follow_joined(self) -> None:
        """Let the links follow which arrays have joined."""
        self.active = self.joined.follow()
        self.schedules = [link.schedule for link in self.active]
        self.follow_granularities()

    def transfer(self, number: int) -> None:
        """Do the transfer events of a link that are due, or what is left of them."""
        link, source_lr = self.active[number], self.fast_lr.current
        if number > 0:
            source_lr = self.active[number - 1].rate.to_target(self.learning_rate)
        while link.schedule.n_due:
            changed = link.transfer(self.learning_rate, source_lr, self.counters)
            if changed is not None and self.mixer is not None:
                self.mixer.store(changed, link)

    # -- after changes from outside ---------------------------------------------------------------

    def refresh_weights(self) -> None:
        """Recompute the mixed weight after a change of any array or stage."""
        if self.mixer is not None:
            self.mixer.renew()

    def follow_arrays(self) -> None:
        """Let references and mixed weight follow after arrays were changed past the pipeline."""
        for link in self.links:
            if link.reference_array is not None:
                link.reference.values.copy_(link.reference_array.values())
        self.refresh_weights()

    def follow_granularities(self) -> None:
        """Take over the granularities of the arrays, which follow their hidden parameters.

        As in aihwkit's C++ compounds: gradient pulses are made for the average granularity of all
        devices, everything else uses that of the one device.
        """
        total = zeros((), dtype=self.fast.shared.dtype, device="cpu")
        for array in reversed(self.arrays):
            total += array.granularity
        self.fast.set_pulse_granularity(float(total / len(self.arrays)))
        self.fast_lr.set_granularity(self.fast.granularity)
        for link in self.links:
            link.write_lr = self.config.step * link.target.granularity
            link.rate.set_granularities(link.source.granularity, link.target.granularity)

    def residual(self) -> Tensor:
        r"""Return the ``[d_size, x_size]`` part :math:`\sum \gamma\, c \circ (P - \tilde Q)`."""
        return self.oriented(residuals(self.fastest_first, self.link.everything))

    def _mixer(self) -> Optional[Mixer]:
        if self.mixed_array is self.slow:
            return None
        return Mixer(self.config, self.slow, self.links, self.mixed_array)

    # -- the parts --------------------------------------------------------------------------------

    def link_of(self, array: object) -> Link:
        """Return the link that reads an array.

        Args:
            array: number of the array, as in ``unit_cell_devices``: 0 is the fastest.

        Raises:
            ArgumentError: if no array of this number is read; the slowest is not.
        """
        return self.fastest_first[require_whole("array", array, 0, len(self.links) - 1)]

    def device_arrays(self) -> List[Crossbar]:
        """Return the arrays of physical devices: fastest to slowest, then those of references."""
        held = [link.reference_array for link in self.fastest_first]
        return self.arrays[::-1] + [array.crossbar for array in held if array is not None]

    def oriented(self, values: Tensor) -> Tensor:
        """Return ``[in_size, out_size]`` values of lines as ``[d_size, x_size]``, or back."""
        return values.t() if self.config.transfer_columns else values

    def chopper_signs(self, link: Link) -> Tensor:
        """Return the ``[d_size, x_size]`` chopper signs of a link."""
        signs = link.chopper.signs(link.everything)
        return self.oriented(signs.expand_as(link.buffer.hidden))

    def sizes(self) -> Tuple[int, int]:
        """Return ``(d_size, x_size)``, the shape of the arrays."""
        return self.d_size, self.x_size

    def copy_arrays(self, other: Pipeline) -> None:
        """Copy the arrays of physical devices of a tile of the same kind, cell by cell."""
        for own, array in zip(self.device_arrays(), other.device_arrays()):
            own.copy_from(array)
        self.follow_granularities()

    def move_to(self, device: torch_device) -> None:
        """Move all arrays and stages to a GPU."""
        for array in named_arrays(self).values():
            array.cuda(device)
        for stage in named_stages(self).values():
            stage.to(device)
        self.counters.to(device)
        self.mixer = self._mixer()
        self.forms = fused_updates(self)
        self.refresh_weights()
