"""The simulator tile: aihwkit's tile interface to the tracking pipeline.

Longer than other files: aihwkit asks one class for all of it.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Union

from aihwkit.exceptions import TileError
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.parameters.enums import RPUDataType
from aihwkit.simulator.tiles.base import SimulatorTile
from torch import Tensor, empty
from torch import device as torch_device

from aihwkit_dspt.configs.checks import require_argument, require_whole
from aihwkit_dspt.tiles import state
from aihwkit_dspt.tiles.build import build_pipeline
from aihwkit_dspt.tiles.given import require_rate
from aihwkit_dspt.tiles.inspection import described, meta_parameters, pulse_counters
from aihwkit_dspt.tiles.programming import calibrate, program_reference, program_weight
from aihwkit_dspt.tiles.settled import settled
from aihwkit_dspt.tiles.vectors import as_vectors, indexed_vectors, require_type


class TrackingSimulatorTile(SimulatorTile):
    r"""Residual learning with a tracked symmetric point on aihwkit's C++ tiles.

    aihwkit's interface to a :class:`~aihwkit_dspt.tiles.pipeline.Pipeline`, which does the work.

    On a GPU no pass waits for its result, whatever aihwkit's ``non_blocking`` says: all work is in
    order on torch's stream.

    Args:
        x_size: number of columns, the bias column included.
        d_size: number of rows.
        rpu_config: configuration with a :class:`~aihwkit_dspt.TrackingTransferCompound`.
        data_type: data type of the simulation.

    Raises:
        ConfigError: see :func:`~aihwkit_dspt.tiles.build.build_pipeline`.

    Attributes:
        pipeline: arrays, links and the mixed weight.
        was_set: whether weights were set.
    """

    def __init__(
        self, x_size: int, d_size: int, rpu_config: UnitCellRPUConfig, data_type: RPUDataType
    ) -> None:
        self.x_size, self.d_size = x_size, d_size
        self.data_type = data_type
        self.pipeline = build_pipeline(x_size, d_size, rpu_config, data_type)
        self.indices: Optional[Tensor] = None
        self.was_set = False

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
        self._prepare(x_input, "x_input")
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
        self._prepare(d_input, "d_input")
        output = self.pipeline.reads.backward(d_input, bias, in_trans, out_trans)
        self.pipeline.counters.backward_mvms += d_input.numel() // self.d_size
        return output

    def forward_indexed(
        self, x_input: Tensor, d_tensor: Tensor, is_test: bool = False, non_blocking: bool = False
    ) -> Tensor:
        """Forward pass of a convolution with the index matrix that was set."""
        self._prepare(x_input, "x_input")
        reads = self.pipeline.reads
        output = reads.forward_indexed(x_input, d_tensor, self.indices, is_test)
        self.pipeline.counters.forward_mvms += d_tensor.numel() // self.d_size
        return output

    def backward_indexed(
        self, d_input: Tensor, x_tensor: Tensor, non_blocking: bool = False
    ) -> Tensor:
        """Backward pass of a convolution with the index matrix that was set."""
        self._prepare(d_input, "d_input")
        output = self.pipeline.reads.backward_indexed(d_input, x_tensor, self.indices)
        self.pipeline.counters.backward_mvms += d_input.numel() // self.d_size
        return output

    def _prepare(self, values: Tensor, name: str) -> None:
        """Check the data type of what is to be multiplied, and settle the pipeline."""
        pipeline = self.pipeline
        if values.dtype is not pipeline.mixed_array.shared.dtype:
            require_type(values, pipeline.mixed_array.shared, name)
        if pipeline.unfinished:
            pipeline.settle()

    def set_matrix_indices(self, indices: Tensor) -> None:
        """Set the index matrix of convolutions."""
        self.indices = indices
        self.pipeline.mixed_array.cpp.set_matrix_indices(indices)

    def has_matrix_indices(self) -> bool:
        """Return whether the index matrix of convolutions has been set."""
        return self.indices is not None

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
            non_blocking: see the class.

        Raises:
            TileError: if shapes or data types do not fit; the tile is left as it was.
        """
        x_vectors = as_vectors(x_input, in_trans, self.x_size, bias, "x_input")
        d_vectors = as_vectors(d_input, out_trans, self.d_size, False, "d_input")
        self.pipeline.update_vectors(x_vectors, d_vectors)

    def update_indexed(self, x_input: Tensor, d_input: Tensor, non_blocking: bool = False) -> None:
        """Update of a convolution with the index matrix that was set.

        Args:
            x_input: ``[n_images, channels, *]`` images.
            d_input: ``[n_images, d_size, *]`` errors.
            non_blocking: see the class.

        Raises:
            TileError: if no index matrix was set or the shapes do not fit.
        """
        if self.indices is None:
            raise TileError("the index matrix is not set: call set_indexed() first")
        pair = indexed_vectors(x_input, d_input, self.indices, self.x_size, self.d_size)
        self.pipeline.update_vectors(*pair)

    def get_x_size(self) -> int:
        """Return the number of columns, the bias column included."""
        return self.x_size

    def get_d_size(self) -> int:
        """Return the number of rows."""
        return self.d_size

    def get_weights(self, as_ref: bool = False) -> Tensor:
        """Return a CPU copy of the ``[d_size, x_size]`` mixed weight.

        Or (``as_ref``) the tensor that stays up to date.
        """
        self.pipeline.settle()
        weights = self.pipeline.mixed_array.weights
        return weights if as_ref else weights.detach().cpu().clone().contiguous()

    @settled
    def set_weights(self, weight: Tensor) -> None:
        """Set the mixed weight, see :func:`~aihwkit_dspt.tiles.programming.program_weight`."""
        program_weight(self.pipeline, weight, is_first=not self.was_set)
        self.was_set = True

    def set_weights_uniform_random(self, bmin: float, bmax: float) -> None:
        """Set the mixed weight to uniform random numbers in ``[bmin, bmax]``."""
        self.set_weights(empty(self.d_size, self.x_size, device="cpu").uniform_(bmin, bmax))

    @settled
    def set_reference(self, reference: Tensor, array: int = 0) -> None:
        """Set a reference, see :func:`~aihwkit_dspt.tiles.programming.program_reference`."""
        program_reference(self.pipeline, reference, array)

    @settled
    def calibrate(self, symmetric_points: Union[Tensor, Sequence[Tensor]]) -> None:
        """Set references and arrays, see :func:`~aihwkit_dspt.tiles.programming.calibrate`."""
        calibrate(self.pipeline, symmetric_points)

    @settled
    def join_next(self) -> None:
        """Let the next array of a chain join; one that is complete stays as it is."""
        if not self.pipeline.joined.is_complete:
            self.pipeline.join_next()

    def get_learning_rate(self) -> float:
        """Return the SGD learning rate."""
        return self.pipeline.learning_rate

    def set_learning_rate(self, learning_rate: Optional[float]) -> None:
        """Set the SGD learning rate; ``None`` leaves it as it is.

        Raises:
            ArgumentError: if it is no number, or negative.
        """
        if learning_rate is not None:
            self.pipeline.learning_rate = require_rate(learning_rate)

    @settled
    def _apply(self, method: str, *args: object) -> None:
        for array in self.pipeline.device_arrays():
            getattr(array.tile, method)(*args)
        self.pipeline.follow_arrays()

    def decay_weights(self, alpha: float = 1.0) -> None:
        """Decay all arrays once according to their devices, ``alpha`` times as fast."""
        self._apply("decay_weights", require_argument("alpha", alpha, 0.0))

    def drift_weights(self, delta_t: float = 1.0) -> None:
        """Drift all arrays once according to their devices, over ``delta_t`` steps."""
        self._apply("drift_weights", require_argument("delta_t", delta_t, 0.0))

    def diffuse_weights(self) -> None:
        """Diffuse all arrays once according to their devices."""
        self._apply("diffuse_weights")

    @settled
    def reset_columns(
        self, start_column_idx: int = 0, num_columns: int = 1, reset_prob: float = 1.0
    ) -> None:
        """Reset columns of the fast array, as aihwkit's transfer compounds do.

        Raises:
            ArgumentError: if there are no such columns, or ``reset_prob`` is no probability.
        """
        require_whole("start_column_idx", start_column_idx, 0, self.x_size - 1)
        # aihwkit's reset() passes -1 for all.
        require_whole("num_columns", num_columns, -1, self.x_size)
        require_argument("reset_prob", reset_prob, 0.0, 1.0)
        self.pipeline.fast.tile.reset_columns(start_column_idx, num_columns, reset_prob)
        self.pipeline.refresh_weights()

    def get_brief_info(self, bias: bool = False) -> str:
        """Return a short description; ``bias`` says whether vectors have an analog bias."""
        return (
            f"TrackingSimulatorTile<{self.data_type.value}>({self.x_size},{self.d_size}): "
            f"{described(self.pipeline, bias, self.has_matrix_indices())}"
        )

    def get_meta_parameters(self) -> Any:
        """Return the meta parameters that were configured: forward, backward and update."""
        return meta_parameters(self.pipeline)

    def get_pulse_counters(self) -> Tensor:
        """Return counts of pulses, see :func:`~aihwkit_dspt.tiles.inspection.pulse_counters`."""
        return pulse_counters(self.pipeline)

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
        if params.numel() > 0:  # a saved state has them in its extra
            state.set_hidden_parameters(self.pipeline, params)

    def dump_extra(self) -> Dict[str, object]:
        """Return the complete state as nested dicts of CPU tensors and Python values."""
        self.pipeline.settle()
        return state.dump_state(self.pipeline)

    @settled
    def load_extra(self, extra: Dict[str, object], strict: bool = False) -> None:
        """Set the state that :meth:`dump_extra` returned.

        Raises:
            TileError: see :func:`~aihwkit_dspt.tiles.state.load_state`.
        """
        state.load_state(self.pipeline, extra)

    def cuda(self, device: torch_device) -> None:
        """Move all arrays and stages to a GPU."""
        self.pipeline.settle()
        self.pipeline.move_to(device)
