"""The simulator tile: aihwkit's tile interface to the tracking pipeline."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Union

from aihwkit.exceptions import TileError
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.parameters.enums import RPUDataType
from aihwkit.simulator.tiles.base import SimulatorTile
from torch import Tensor, cat, empty
from torch import device as torch_device

from aihwkit_dspt.configs.checks import require_whole
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.enums import ReferenceType
from aihwkit_dspt.configs.tensor_checks import require_numbers
from aihwkit_dspt.tiles import state
from aihwkit_dspt.tiles.build import build_pipeline
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.link import Link
from aihwkit_dspt.tiles.settled import settled
from aihwkit_dspt.tiles.vectors import as_vectors, gather_indexed


class TrackingSimulatorTile(SimulatorTile):
    r"""Residual learning with a tracked symmetric point on aihwkit's C++ tiles.

    aihwkit's interface to a :class:`~aihwkit_dspt.tiles.pipeline.Pipeline`, which does the work.

    On a GPU no pass waits for its result, whatever aihwkit's ``non_blocking`` says: all work is in
    order on torch's stream.

    Args:
        x_size: number of columns, the bias column included.
        d_size: number of rows.
        rpu_config: configuration with a
            :class:`~aihwkit_dspt.TrackingTransferCompound` as device.
        data_type: data type of the simulation.

    Raises:
        ConfigError: see :func:`~aihwkit_dspt.tiles.build.build_pipeline`.

    Attributes:
        pipeline: arrays, links and the mixed weight.
    """

    def __init__(
        self, x_size: int, d_size: int, rpu_config: UnitCellRPUConfig, data_type: RPUDataType
    ) -> None:
        self.x_size, self.d_size = x_size, d_size
        self.data_type = data_type
        self.pipeline = build_pipeline(x_size, d_size, rpu_config, data_type)
        self.indices: Optional[Tensor] = None
        self._was_set = False

    @property
    def fast(self) -> Crossbar:
        """The array that takes the gradient pulses."""
        return self.pipeline.fast

    @property
    def slow(self) -> Crossbar:
        """The array that takes the transfers."""
        return self.pipeline.slow

    @property
    def device_config(self) -> TrackingTransferCompound:
        """The compound that the tile simulates."""
        return self.pipeline.config

    # -- forward and backward ---------------------------------------------------------------

    def forward(
        self,
        x_input: Tensor,
        bias: bool = False,
        in_trans: bool = False,
        out_trans: bool = False,
        is_test: bool = False,
        non_blocking: bool = False,
    ) -> Tensor:
        """Return the analog product of the mixed weight with ``[*, x_size]`` inputs."""
        self._require_type(x_input, "x_input")
        self.pipeline.settle()
        output = self.pipeline.reads.forward(x_input, bias, in_trans, out_trans, is_test)
        self.pipeline.counters.forward_mvms += x_input.numel() // (self.x_size - int(bias))
        return output

    def backward(
        self,
        d_input: Tensor,
        bias: bool = False,
        in_trans: bool = False,
        out_trans: bool = False,
        non_blocking: bool = False,
    ) -> Tensor:
        """Return the analog transposed product of the mixed weight with errors."""
        self._require_type(d_input, "d_input")
        self.pipeline.settle()
        output = self.pipeline.reads.backward(d_input, bias, in_trans, out_trans)
        self.pipeline.counters.backward_mvms += d_input.numel() // self.d_size
        return output

    def forward_indexed(
        self, x_input: Tensor, d_tensor: Tensor, is_test: bool = False, non_blocking: bool = False
    ) -> Tensor:
        """Forward pass of a convolution with the index matrix that was set."""
        self._require_type(x_input, "x_input")
        self.pipeline.settle()
        reads = self.pipeline.reads
        output = reads.forward_indexed(x_input, d_tensor, self.indices, is_test)
        self.pipeline.counters.forward_mvms += d_tensor.numel() // self.d_size
        return output

    def backward_indexed(
        self, d_input: Tensor, x_tensor: Tensor, non_blocking: bool = False
    ) -> Tensor:
        """Backward pass of a convolution with the index matrix that was set."""
        self._require_type(d_input, "d_input")
        self.pipeline.settle()
        output = self.pipeline.reads.backward_indexed(d_input, x_tensor, self.indices)
        self.pipeline.counters.backward_mvms += d_input.numel() // self.d_size
        return output

    def _require_type(self, values: Tensor, name: str) -> None:
        dtype = self.pipeline.mixed_array.shared.dtype
        if values.dtype is not dtype:
            raise TileError(
                f"{name} has data type {values.dtype}, the arrays simulate {dtype}: convert it "
                f"with {name}.to({dtype}), or build the layer with another runtime.data_type in "
                "its RPU configuration"
            )

    def set_matrix_indices(self, indices: Tensor) -> None:
        """Set the index matrix of convolutions."""
        self.indices = indices
        self.pipeline.mixed_array.cpp.set_matrix_indices(indices)

    def has_matrix_indices(self) -> bool:
        """Return whether the index matrix of convolutions has been set."""
        return self.indices is not None

    # -- update -------------------------------------------------------------------------------

    def update(
        self,
        x_input: Tensor,
        d_input: Tensor,
        bias: bool = False,
        in_trans: bool = False,
        out_trans: bool = False,
        non_blocking: bool = False,
    ) -> None:
        """Gradient update with as many transfers as fall into the batch.

        Args:
            x_input: ``[*, x_size (-1)]`` inputs, ``[x_size (-1), *]`` if ``in_trans``.
            d_input: ``[*, d_size]`` errors, ``[d_size, *]`` if ``out_trans``.
            bias: whether the last column of the array is an analog bias.
            in_trans: whether the inputs are transposed.
            out_trans: whether the errors are transposed.
            non_blocking: not used; see the class.

        Raises:
            TileError: if shapes or data types do not fit; the tile is left as it was.
        """
        self._require_type(x_input, "x_input")
        self._require_type(d_input, "d_input")
        x_input = x_input.detach() if x_input.requires_grad else x_input
        d_input = d_input.detach() if d_input.requires_grad else d_input
        x_vectors = as_vectors(x_input, in_trans, self.x_size, bias, "x_input")
        d_vectors = as_vectors(d_input, out_trans, self.d_size, False, "d_input")
        self.pipeline.update_vectors(x_vectors, d_vectors)

    def update_indexed(self, x_input: Tensor, d_input: Tensor, non_blocking: bool = False) -> None:
        """Update of a convolution with the index matrix that was set.

        Args:
            x_input: ``[n_images, channels, *]`` images.
            d_input: ``[n_images, d_size, *]`` errors.
            non_blocking: not used; see the class.

        Raises:
            TileError: if no index matrix was set or the shapes do not fit.
        """
        if self.indices is None:
            raise TileError("the index matrix is not set: call set_indexed() first")
        self._require_type(x_input, "x_input")
        self._require_type(d_input, "d_input")
        d_vectors = d_input.detach().flatten(2).transpose(1, 2)
        # With an analog bias aihwkit appends more ones than there are patches; C++ reads no
        # further than it needs either.
        indices = self.indices[: self.x_size * d_vectors.size(1)]
        x_vectors = gather_indexed(x_input.detach(), indices, self.x_size)
        d_vectors = as_vectors(d_vectors, False, self.d_size, False, "d_input")
        self.pipeline.update_vectors(x_vectors, d_vectors)

    # -- weights --------------------------------------------------------------------------------

    def get_x_size(self) -> int:
        """Return the number of columns, the bias column included."""
        return self.x_size

    def get_d_size(self) -> int:
        """Return the number of rows."""
        return self.d_size

    def get_weights(self, as_ref: bool = False) -> Tensor:
        """Return the ``[d_size, x_size]`` mixed weight.

        Args:
            as_ref: whether to return the tensor that stays up to date instead of a CPU copy.
        """
        self.pipeline.settle()
        if as_ref:
            return self.pipeline.mixed_array.weights
        return self.pipeline.mixed_array.weights.detach().cpu().clone().contiguous()

    @settled
    def set_weights(self, weight: Tensor) -> None:
        r"""Set the ``[d_size, x_size]`` mixed weight.

        All arrays but the slowest are programmed onto their references, so that the residuals are
        zero, and the slowest to the weight (as far as the bounds of the cells allow). What was
        learned about symmetric points and the chopper phases is kept; the transfer buffers, which
        belong to the old weight, are emptied and line counting starts anew.

        Raises:
            TileError: for a wrong shape or, once weights have been set, values that are not finite;
                the tile is left as it was.
        """
        weight = weight.detach().to(self.pipeline.mixed_array.weights)
        if weight.shape != (self.d_size, self.x_size):
            raise TileError(
                f"weight has shape {list(weight.shape)}: pass [{self.d_size}, {self.x_size}]"
            )
        if not bool(weight.isfinite().all()):
            if self._was_set:
                raise TileError("weight has values that are not finite: pass finite weights")
            # aihwkit's mapped convolutions set uninitialised memory once, before they initialise.
            weight = weight.nan_to_num(0.0, 0.0, 0.0)
        self._was_set = True
        pipeline = self.pipeline
        for link in pipeline.links:
            link.source.program(pipeline.oriented(link.reference.values))
            link.restart()
        pipeline.slow.program(weight - pipeline.residual())
        pipeline.refresh_weights()

    def set_weights_uniform_random(self, bmin: float, bmax: float) -> None:
        """Set the mixed weight to uniform random numbers in ``[bmin, bmax]``."""
        self.set_weights(empty(self.d_size, self.x_size).uniform_(bmin, bmax))

    @settled
    def set_reference(self, reference: Tensor, array: int = 0) -> None:
        r"""Program the reference :math:`\tilde Q` (and the estimate) to calibrated values.

        Args:
            reference: ``[d_size, x_size]`` symmetric points, in weight units.
            array: number of the array that they belong to, as in ``unit_cell_devices``: 0 is the
                fastest; the slowest has no reference.

        Raises:
            ArgumentError: if no array of this number has a reference.
            TileError: for a wrong shape, values that are not finite or a compound with
                ``reference=ReferenceType.ZERO``; the tile is left as it was.
        """
        link = self._link(array)
        self._sync(link, self._checked_reference(reference))
        self.pipeline.refresh_weights()

    @settled
    def calibrate(self, symmetric_points: Union[Tensor, Sequence[Tensor]]) -> None:
        r"""Set the references to points at which arrays were left, keeping the mixed weight.

        Args:
            symmetric_points: ``[d_size, x_size]`` weights after calibration: of the fast array, or
                one tensor for each array but the slowest, the fastest first.

        Raises:
            ArgumentError: if there are more tensors than references.
            TileError: see :meth:`set_reference`.
        """
        is_one = isinstance(symmetric_points, Tensor)
        given = [symmetric_points] if is_one else list(symmetric_points)
        require_whole("number of symmetric_points", len(given), 1, len(self.pipeline.links))
        checked = [self._checked_reference(points) for points in given]
        weights = self.get_weights()
        for link, points in zip(self.pipeline.fastest_first, checked):
            self._sync(link, points)
            link.source.place(points)
            link.buffer.hidden.zero_()
        slow = self.pipeline.slow
        slow.program(weights.to(slow.weights) - self.pipeline.residual())
        self.pipeline.refresh_weights()

    @settled
    def join_next(self) -> None:
        """Let the next array of a chain join; one that is complete stays as it is."""
        if not self.pipeline.joined.is_complete:
            self.pipeline.join_next()

    def _link(self, array: Any) -> Link:
        links = self.pipeline.fastest_first
        return links[require_whole("array", array, 0, len(links) - 1)]

    def _checked_reference(self, reference: Any) -> Tensor:
        if self.pipeline.config.reference is ReferenceType.ZERO:
            raise TileError(
                "reference=ReferenceType.ZERO has no reference to set: build the tile with "
                "reference=ReferenceType.STATIC"
            )
        checked = require_numbers("reference", reference, self.pipeline.sizes(), TileError)
        return checked.to(self.pipeline.mixed_array.weights)

    def _sync(self, link: Link, reference: Tensor) -> None:
        link.estimator.sp_estimate.copy_(self.pipeline.oriented(reference))
        link.sync(link.everything)

    # -- learning rate and decay ----------------------------------------------------------------

    def get_learning_rate(self) -> float:
        """Return the SGD learning rate."""
        return self.pipeline.learning_rate

    def set_learning_rate(self, learning_rate: Optional[float]) -> None:
        """Set the SGD learning rate; ``None`` leaves it as it is."""
        if learning_rate is not None:
            self.pipeline.learning_rate = float(learning_rate)

    @settled
    def _apply(self, method: str, *args: Any) -> None:
        for array in self.pipeline.device_arrays():
            getattr(array.tile, method)(*args)
        self.pipeline.follow_arrays()

    def decay_weights(self, alpha: float = 1.0) -> None:
        """Decay all arrays once according to their devices."""
        self._apply("decay_weights", alpha)

    def drift_weights(self, delta_t: float = 1.0) -> None:
        """Drift all arrays once according to their devices."""
        self._apply("drift_weights", delta_t)

    def diffuse_weights(self) -> None:
        """Diffuse all arrays once according to their devices."""
        self._apply("diffuse_weights")

    @settled
    def reset_columns(
        self, start_column_idx: int = 0, num_columns: int = 1, reset_prob: float = 1.0
    ) -> None:
        """Reset columns of the fast array, as aihwkit's transfer compounds do."""
        self.pipeline.fast.tile.reset_columns(start_column_idx, num_columns, reset_prob)
        self.pipeline.refresh_weights()

    # -- inspection -----------------------------------------------------------------------------

    def get_brief_info(self, bias: bool = False) -> str:
        """Return a short description.

        Args:
            bias: whether the vectors of forward and backward have an analog bias.
        """
        config, link = self.pipeline.config, self.pipeline.link
        names = " -> ".join(type(device).__name__ for device in config.unit_cell_devices)
        return (
            f"TrackingSimulatorTile<{self.data_type.value}>({self.x_size},{self.d_size}): "
            f"{names}, reference={config.reference.value}, gamma={config.gamma}, "
            f"{self.pipeline.reads.describe(bias, self.has_matrix_indices())}, "
            f"line={link.line_reads.executor_name(link.schedule.lines_per_event)}, "
            f"pulses={self.pipeline.fast.describe_pulses()}"
        )

    def get_meta_parameters(self) -> Any:
        """Return the meta parameters that were configured: forward, backward and update."""
        parameters = self.pipeline.mixed_array.cpp.get_meta_parameters()
        parameters.update = self.pipeline.fast.cpp.get_meta_parameters().update
        return parameters

    def get_pulse_counters(self) -> Tensor:
        """Return the pulses of the fast, the slow and (if analog) the reference array.

        As aihwkit's compounds: ``[2 * n_arrays, d_size, x_size]`` up and down pulses of the arrays
        that have counted, which only devices with ``count_pulses=True`` do, on a GPU; else empty.
        """
        counters = [array.tile.get_pulse_counters() for array in self.pipeline.device_arrays()]
        counted = [counter for counter in counters if counter.numel() > 0]
        return cat(counted) if counted else counters[0]

    def set_verbosity_level(self, verbose: int) -> None:
        """Set the verbosity of all arrays."""
        for array in self.pipeline.device_arrays():
            array.tile.set_verbosity_level(verbose)

    def get_hidden_update_index(self) -> int:
        """Return 0: there is no choice of the device that is updated."""
        return 0

    def set_hidden_update_index(self, index: int) -> None:
        """Do nothing, as aihwkit's compounds whose learning rule fixes the index."""

    def get_hidden_parameter_names(self) -> List[str]:
        """Return the names of the slices of :meth:`get_hidden_parameters`."""
        return state.hidden_parameter_names(self.pipeline)

    def get_hidden_parameters(self) -> Tensor:
        """Return the ``[n_names, d_size, x_size]`` hidden parameters as a CPU copy."""
        self.pipeline.settle()
        return state.hidden_parameters(self.pipeline)

    @settled
    def set_hidden_parameters(self, params: Tensor) -> None:
        """Set the ``[n_names, d_size, x_size]`` hidden parameters; an empty tensor sets none.

        Raises:
            TileError: see :func:`~aihwkit_dspt.tiles.state.set_hidden_parameters`.
        """
        if params.numel() == 0:  # a saved state has them in its extra
            return
        state.set_hidden_parameters(self.pipeline, params)
        self.pipeline.refresh_weights()

    def dump_extra(self) -> Dict[str, Any]:
        """Return the complete state as nested dicts of CPU tensors and Python values."""
        self.pipeline.settle()
        return state.dump_state(self.pipeline)

    @settled
    def load_extra(self, extra: Dict[str, Any], strict: bool = False) -> None:
        """Set the state that :meth:`dump_extra` returned.

        Raises:
            TileError: see :func:`~aihwkit_dspt.tiles.state.load_state`.
        """
        state.load_state(self.pipeline, extra)
        self.pipeline.refresh_weights()

    def cuda(self, device: torch_device) -> None:
        """Move all arrays and stages to a GPU."""
        self.pipeline.settle()
        self.pipeline.move_to(device)
        self.pipeline.refresh_weights()
