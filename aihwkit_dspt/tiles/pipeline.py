"""What happens between the arrays, in order."""

from __future__ import annotations

from functools import wraps
from typing import Any, Callable, Dict, List, Optional, Tuple, TypeVar, cast
from weakref import ref

from aihwkit.exceptions import TileError
from torch import Tensor, stack, tensor
from torch import device as torch_device
from torch.nn import Module

from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.enums import ReferenceType
from aihwkit_dspt.reads.array import ArrayReads
from aihwkit_dspt.stages.listener import Listener
from aihwkit_dspt.stages.mixer import MixedWeight
from aihwkit_dspt.tiles.counters import OperationCounters
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.learning_rates import FastLearningRate
from aihwkit_dspt.tiles.link import Link
from aihwkit_dspt.tiles.reference_array import ReferenceArray


class Pipeline:
    r"""Arrays, the links between them, and the mixed weight that the model is evaluated at.

    Per update cycle (paper Algorithms 2 and 3):

    1. CHOP: the gradient vectors take the chopper signs, :math:`c\, g` (18a);
    2. FAST: pulses on the fast array, :math:`P \leftarrow P - \alpha\, c\, g` (11a);
    3. at a transfer event the link reads a line of :math:`P`: BUFFER, ESTIMATE, SLOW, see
       :class:`~aihwkit_dspt.tiles.link.Link`;
    4. READ: :math:`\bar W = W + \gamma\, c \circ (P - \tilde Q)` for forward and backward.

    Args:
        config: the compound.
        arrays: the arrays, slowest first: :math:`W`, :math:`P`.
        links: ``links[n]`` joins ``arrays[n + 1]`` to ``arrays[n]``.
        fast_lr: :math:`\alpha`.
        mixed_array: the array that forward and backward use, ``arrays[0]`` where nothing is mixed.
        reads: multiplies with it.
        reference_array: the array that holds the reference, ``None`` for a register.

    Attributes:
        unfinished: whether a call was interrupted, see :meth:`settle`.
        is_changing: whether a method that is :func:`settled` is running.
        listeners: who hears of reads, events and steps.
    """

    def __init__(
        self,
        config: TrackingTransferCompound,
        arrays: List[Crossbar],
        links: List[Link],
        fast_lr: FastLearningRate,
        mixed_array: Crossbar,
        reads: ArrayReads,
        reference_array: Optional[ReferenceArray],
    ) -> None:
        self.config = config
        self.arrays = arrays
        self.links = links
        self.slow, self.fast = arrays[0], arrays[-1]
        self.link = links[-1]
        self.fast_lr = fast_lr
        self.mixed_array = mixed_array
        self.reads = reads
        self.reference_array = reference_array
        self.x_size, self.d_size = self.fast.x_size, self.fast.d_size
        self.learning_rate = 0.1
        self.counters = OperationCounters()
        self.unfinished = False
        self.is_changing = False
        self.listeners: List[Listener] = []
        for array in self.device_arrays():
            array.owner = ref(self)
        self.follow_granularities()
        self.mixed = self._mixed_weight()
        self.refresh_weights()

    def update_vectors(self, x_vectors: Tensor, d_vectors: Tensor) -> None:
        """Gradient update with as many transfers as fall into the batch.

        Args:
            x_vectors: ``[n_vectors, x_size]`` inputs, the bias input included.
            d_vectors: ``[n_vectors, d_size]`` errors.

        Raises:
            TileError: if the numbers of vectors differ; the tile is left as it was.
        """
        m_batch = x_vectors.shape[0]
        if m_batch != d_vectors.shape[0]:
            raise TileError(
                f"x_input has {m_batch} vectors, d_input {len(d_vectors)}: pass equal batches"
            )
        self.settle()
        if self.learning_rate == 0.0 or m_batch == 0:
            return
        self.unfinished = True
        for start, stop, transfers in self.link.schedule.split(m_batch):
            if stop - start == m_batch:
                self._update_fast(x_vectors, d_vectors, m_batch, transfers)
            else:
                chunk = x_vectors[start:stop], d_vectors[start:stop]
                self._update_fast(*chunk, m_batch, transfers)
            if transfers:
                self._transfer()
        self._refresh()
        self.unfinished = False
        for listener in self.listeners:
            listener.on_step(m_batch)

    def settle(self) -> None:
        """Finish what an interrupted call left undone.

        Called by whatever reads or changes the state. An interrupt (Ctrl-C, an error of a listener)
        leaves all vectors that were sent counted and the event that was due in its journal: the
        event goes on from there, and the mixed weight is computed anew.
        """
        if not self.unfinished:
            return
        if self.link.schedule.is_due:
            self._transfer()
        self.refresh_weights()
        self.unfinished = False

    def _update_fast(
        self, x_vectors: Tensor, d_vectors: Tensor, m_batch: int, transfers: bool
    ) -> None:
        """CHOP and FAST: gradient pulses on the fast array."""
        x_chopped, d_chopped = self.link.modulate(x_vectors, d_vectors)
        if not self.fast_lr.auto_scales:
            self._pulse_fast(x_chopped, d_chopped, transfers)
            return
        # The learning rate follows the running maxima from one vector to the next. That needs them
        # on the host; aihwkit's CUDA compound waits for the GPU here, too.
        maxima = stack([x_vectors.abs().amax(1), d_vectors.abs().amax(1)], dim=1).tolist()
        for index, (x_max, d_max) in enumerate(maxima):
            self.fast_lr.observe(x_max, d_max, m_batch)
            one = slice(index, index + 1)
            is_last = index == len(maxima) - 1
            self._pulse_fast(x_chopped[one], d_chopped[one], transfers and is_last)

    def _pulse_fast(self, x_input: Tensor, d_input: Tensor, is_due: bool) -> None:
        """Send pulses and count them; an event may be due then."""
        fast_lr, n_vectors = self.fast_lr(self.learning_rate), len(x_input)
        counted = [
            self.link.schedule.count(n_vectors, is_due),
            self.counters.count_update_cycles(n_vectors),
        ]
        if self.fast_lr.auto_scales:
            counted.append(self.fast_lr.keep())
        if self.counters.estimates_coincidences:
            steps = fast_lr / self.fast.pulse_granularity
            counted.append(self.counters.count_gradient_pulses(x_input, d_input, steps))
        self.fast.pulse(x_input, d_input, fast_lr, *counted)

    def _transfer(self) -> None:
        """Do the transfer event that is due, or what is left of it."""
        changed = self.link.transfer(
            self.learning_rate, self.fast_lr.current, self.counters, self.listeners
        )
        if changed is not None:
            self._store(changed)

    # -- the mixed weight -------------------------------------------------------------------------

    def _mixed_weight(self) -> Optional[MixedWeight]:
        if self.mixed_array is self.slow:
            return None
        return MixedWeight(
            self.mixed_array.weights,
            self.config.gamma,
            self.config.transfer_columns,
            self.config.reference is not ReferenceType.ZERO,
        )

    def _store(self, lines: Optional[slice] = None) -> None:
        if self.mixed is not None:
            link = self.link
            self.mixed.store(self.slow.weights, link.reference.values, link.chopper, lines)

    def _refresh(self) -> None:
        if self.mixed is not None:
            self.mixed.refresh(self.fast.weights, self.link.chopper)

    def refresh_weights(self) -> None:
        """Recompute the mixed weight after a change of any array or stage."""
        self._store()
        self._refresh()

    def follow_arrays(self) -> None:
        """Let reference and mixed weight follow after arrays were changed past the pipeline."""
        if self.reference_array is not None:
            self.link.reference.values.copy_(self.reference_array.values())
        self.refresh_weights()

    def follow_granularities(self) -> None:
        """Take over the granularities of the arrays, which follow their hidden parameters.

        As in aihwkit's C++ compounds: gradient pulses are made for the average granularity of both
        devices, everything else uses that of the one device.
        """
        granularities = self.fast.granularity, self.slow.granularity
        dtype = self.fast.shared.dtype
        average = (tensor(granularities[0], dtype=dtype) + granularities[1]) / 2
        self.fast.set_pulse_granularity(float(average))
        self.link.write_lr = self.config.step * granularities[1]
        self.fast_lr.set_granularity(granularities[0])
        self.link.rate.set_granularities(*granularities)

    def residual(self) -> Tensor:
        r"""Return the ``[d_size, x_size]`` part :math:`\gamma\, c \circ (P - \tilde Q)`."""
        difference = self.fast.weights - self.oriented(self.link.reference.values)
        return difference * self.chopper_signs() * self.config.gamma

    # -- the parts by name ------------------------------------------------------------------------

    def device_arrays(self) -> List[Crossbar]:
        """Return the arrays of physical devices: fast, slow and (if analog) the reference."""
        arrays = self.arrays[::-1]
        if self.reference_array is not None:
            arrays.append(self.reference_array.crossbar)
        return arrays

    def named_arrays(self) -> Dict[str, Crossbar]:
        """Return all arrays by name, the one for forward and backward included."""
        arrays = dict(zip(("fast", "slow", "reference_array"), self.device_arrays()))
        if self.mixed_array is not self.slow:
            arrays["mixed_array"] = self.mixed_array
        return arrays

    def named_stages(self) -> Dict[str, Module]:
        """Return the stages that hold tensors, by name."""
        return self.link.named_stages()

    def oriented(self, values: Tensor) -> Tensor:
        """Return ``[in_size, out_size]`` values of lines as ``[d_size, x_size]``, or back."""
        return values.t() if self.config.transfer_columns else values

    def chopper_signs(self) -> Tensor:
        """Return the ``[d_size, x_size]`` chopper signs."""
        signs = self.link.chopper.signs(self.link.everything)
        return self.oriented(signs.expand_as(self.link.buffer.hidden))

    def named_values(self) -> Dict[str, Tensor]:
        """Return the quantities of the method by name, as ``[d_size, x_size]`` views."""
        return {
            "fast_weights": self.fast.weights,
            "slow_weights": self.slow.weights,
            "transfer_buffer": self.oriented(self.link.buffer.hidden),
            "sp_estimate": self.oriented(self.link.estimator.sp_estimate),
            "reference": self.oriented(self.link.reference.values),
            "chopper": self.chopper_signs(),
        }

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
        for array in self.named_arrays().values():
            array.cuda(device)
        for stage in self.named_stages().values():
            stage.to(device)
        self.counters.to(device)
        self.mixed = self._mixed_weight()


Method = TypeVar("Method", bound=Callable[..., Any])


def settled(method: Method) -> Method:
    """Decorate a method of a tile that changes its pipeline outside of an update.

    It starts from a whole state. If it is interrupted, the next call mends the mixed weight.
    """

    @wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        pipeline: Pipeline = self.pipeline
        if pipeline.unfinished and pipeline.is_changing:
            return method(self, *args, **kwargs)  # within another such method
        pipeline.settle()
        pipeline.unfinished = pipeline.is_changing = True
        try:
            result = method(self, *args, **kwargs)
            pipeline.unfinished = False
            return result
        finally:
            pipeline.is_changing = False

    return cast(Method, run)
