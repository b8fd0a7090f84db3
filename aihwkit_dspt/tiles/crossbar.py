"""One analog array: the place where the package touches the C++/CUDA tiles that it builds.

Longer than other files: nobody else touches them.
"""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.configs.devices import IdealDevice, PulsedDevice
from aihwkit.simulator.parameters.enums import PulseType, RPUDataType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.runtime import RuntimeParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.rpucuda import MAP_TILE_CLASS_TO_CUDA
from torch import Tensor, float32, from_numpy, randn_like, stack, zeros
from torch import device as torch_device

from aihwkit_dspt.devices.simulated import PERSISTENT
from aihwkit_dspt.pulses.batched import ALL_ONE, BatchedPulses
from aihwkit_dspt.stages.uninterrupted import Call, in_one_go
from aihwkit_dspt.tiles.cpp_tile import (
    DATA_TYPES,
    copy_cpp_tile,
    cpp_granularity,
    create_cpp_tile,
    set_cpp_granularity,
    set_cpp_hidden_parameters,
    write_noise_on_set,
)
from aihwkit_dspt.tiles.reachable import reachable
from aihwkit_dspt.tiles.tiny_inputs import product

if TYPE_CHECKING:
    import numpy as np
    from aihwkit.simulator.configs.devices import PulsedDevice
    from numpy.typing import NDArray

    from aihwkit_dspt.tiles.link import Link
    from aihwkit_dspt.tiles.pipeline import Pipeline

MIN_BOUND, MAX_BOUND, REFERENCE = "min_bound", "max_bound", "reference"
"""aihwkit's names of parameters of a cell."""

ROWS_AT_ONCE = 64
"""Rows of which bounds are looked at together."""


class Crossbar:
    """A C++ (or CUDA) tile of ``d_size`` rows and ``x_size`` columns.

    The weights are a torch tensor that shares its memory with the simulator, so that reading
    them costs nothing and writing them bypasses the device model.

    Args:
        x_size: number of columns (inputs of the forward pass).
        d_size: number of rows (outputs of the forward pass).
        device: device configuration of every cell.
        forward: non-idealities of a read by columns, ``None`` for aihwkit's defaults.
        backward: non-idealities of a read by rows, ``None`` for aihwkit's defaults.
        update: how pulses are generated, ``None`` for aihwkit's defaults.
        data_type: data type of the simulation.

    Raises:
        ConfigError: if aihwkit refuses the settings.

    Attributes:
        cpp: the C++ (or CUDA) tile for reads and settings; see :attr:`tile`.
        weights: ``[d_size, x_size]`` view of the simulator's own weight memory.
        values: the same as a NumPy array, in single precision on the CPU; else ``None``.
        granularity: weight granularity of the device (``dw_min`` for most), in weight units;
            0 for an ideal device. Like aihwkit's it is that of the configuration until other
            parameters are set, and then estimated from those.
        pulse_granularity: granularity for which pulse trains are made, in weight units.
        parameters_version: number that changes with the per-cell device parameters.
        batched: what sends the pulses of many vectors, ``None`` for aihwkit's tile in any case.
        noise_on_set: standard deviation of the write noise that :meth:`program` draws, in weight
            units.
        faults: the cells that have no number as one of their parameters, and the names of these,
            when :meth:`find_faults` looked last.
    """

    def __init__(
        self,
        x_size: int,
        d_size: int,
        device: PulsedDevice,
        forward: Optional[IOParameters] = None,
        backward: Optional[IOParameters] = None,
        update: Optional[UpdateParameters] = None,
        data_type: RPUDataType = RPUDataType.FLOAT,
    ) -> None:
        config = SingleRPUConfig(
            device=deepcopy(device),
            forward=deepcopy(forward or IOParameters()),
            backward=deepcopy(backward or IOParameters()),
            update=deepcopy(update or UpdateParameters()),
            runtime=RuntimeParameter(data_type=data_type),
        )
        self.x_size, self.d_size = x_size, d_size
        self.device_config = config.device
        self.pulse_type = config.update.pulse_type
        self.parameters_version = 0
        self.batched: Optional[BatchedPulses] = None
        self.faults: Tuple[int, List[str]] = 0, []
        self.noise_on_set = write_noise_on_set(config.device)
        # Version of the parameters, and the bounds that all cells have.
        self._reach = -1, 0.0, 0.0
        self.cpp = create_cpp_tile(x_size, d_size, config)
        self.bind(zeros(d_size, x_size, dtype=data_type.as_torch(), device="cpu"))
        self.granularity = self.pulse_granularity = cpp_granularity(self.cpp)
        # Weak reference to its pipeline, if any.
        self.owner: Callable[[], Optional[Pipeline]] = lambda: None

    @property
    def tile(self) -> Any:
        """The C++ (or CUDA) tile, for calls that use or change the state of its cells.

        What was pulsed past it is brought up to date before.
        """
        if self.batched is not None and self.batched.persistent is not None:
            parameters, granularity = self.hidden_parameters(), self.granularity
            self.keep_persistent(None)
            self.set_hidden_parameters(parameters)
            self.granularity = granularity  # those of the same devices
        return self.cpp

    @tile.setter
    def tile(self, tile: Any) -> None:
        self.keep_persistent(None)
        self.parameters_version += 1
        self.cpp = tile

    def keep_persistent(self, values: Optional[NDArray[np.float32]]) -> None:
        """Keep a copy of ``[d_size, x_size]`` persistent weights, ``None`` for the C++ tile's."""
        if self.batched is not None:
            self.batched.persistent = None if values is None else values.copy()

    @property
    def is_cuda(self) -> bool:
        """Whether the array lives on a GPU."""
        return self.shared.is_cuda

    def bind(self, shared: Tensor) -> None:
        """Let the simulator keep its weights in the given tensor, ``[x_size, d_size]`` on a GPU."""
        self.cpp.set_shared_weights(shared)
        self.shared = shared
        self.weights = shared.t() if shared.is_cuda else shared
        is_single = shared.dtype is float32 and not shared.is_cuda
        self.values: Any = shared.numpy() if is_single else None

    @property
    def n_states(self) -> float:
        """Number of states: weight range over granularity, averaged over a unit cell."""
        return float(self.cpp.dump_extra()["rpu.rpu_device.num_states"][0])

    @property
    def updates_cells_independently(self) -> bool:
        """Whether a pulse changes only the cell that it is meant for.

        True for pulses on plain pulsed devices. Unit cells may refresh or reset others on the way,
        and without pulses aihwkit clips all cells, which draws the write noise of all anew.
        """
        pulses = self.pulse_type is not PulseType.NONE_WITH_DEVICE
        return pulses and isinstance(self.device_config, PulsedDevice)

    def set_pulse_granularity(self, granularity: float) -> None:
        """Make pulse trains for another granularity, in weight units, than the device's own.

        aihwkit's compounds send gradient pulses with the average granularity of their devices.
        """
        self.pulse_granularity = granularity
        set_cpp_granularity(self.cpp, granularity)

    def pulse(self, x_input: Tensor, d_input: Tensor, learning_rate: float, *then: Call) -> None:
        r"""Send pulses for :math:`W \leftarrow W - \lambda\, d\, x^T`, one vector at a time.

        Args:
            x_input: ``[n_vectors, x_size]`` column inputs.
            d_input: ``[n_vectors, d_size]`` row inputs.
            learning_rate: :math:`\lambda`, in weight units; ``0`` sends nothing.
            then: calls that are made in one go with it.
        """
        in_one_go(self.pulses(x_input, d_input, learning_rate), *then)

    def pulses(
        self, x_input: Tensor, d_input: Tensor, learning_rate: float, chop: Optional[Link] = None
    ) -> Call:
        """Return the call that sends pulses, to be made at once; see :meth:`pulse`.

        The vectors take the chopper signs of a link on their way, if there is one.
        """
        self.cpp.set_learning_rate(learning_rate)
        batched, tile = self.batched, self.cpp
        if batched is not None:
            if batched.takes(x_input, d_input, learning_rate):
                signs = None if chop is None else chop.signs()
                if chop is not None and signs is None:
                    x_input, d_input = chop.modulate(x_input, d_input)
                return batched.pulses(x_input, d_input, learning_rate, signs or ALL_ONE)
            if batched.persistent is not None:
                tile = self.tile
        if chop is not None:
            x_input, d_input = chop.modulate(x_input, d_input)
        return partial(tile.update, x_input, d_input, False, False, False, True)

    def pulse_lines(
        self,
        lines: slice,
        columns: bool,
        values: Tensor,
        learning_rate: float,
        *then: Call,
    ) -> bool:
        r"""Send pulses that change lines by :math:`+\lambda` times values, if there is a fast way.

        The same as :meth:`pulse` with the one-hot vectors of lines times -1.

        Args:
            lines: the lines.
            columns: whether lines are columns.
            values: ``[n_lines, out_size]`` values.
            learning_rate: :math:`\lambda`, in weight units.
            then: calls that are made in one go with it.

        Returns:
            whether they were sent.
        """
        if self.batched is None or not self.batched.takes_lines(values, learning_rate):
            return False
        self.cpp.set_learning_rate(learning_rate)
        self.batched.send_lines(lines, columns, values, learning_rate, *then)
        return True

    def read_columns(
        self,
        x_input: Tensor,
        bias: bool = False,
        in_trans: bool = False,
        out_trans: bool = False,
        is_test: bool = False,
    ) -> Tensor:
        """Return the analog product of ``[n, x_size]`` inputs: ``[n, d_size]``; see aihwkit."""
        arguments = bias, in_trans, out_trans, is_test, True
        is_one = x_input.numel() == self.x_size - int(bias)
        return product(self.cpp.forward, x_input, *arguments, is_one=is_one)

    def read_rows(
        self, d_input: Tensor, bias: bool = False, in_trans: bool = False, out_trans: bool = False
    ) -> Tensor:
        """Return the analog transposed product of ``[n, d_size]`` inputs: ``[n, x_size]``."""
        arguments = d_input, bias, in_trans, out_trans, True
        return product(self.cpp.backward, *arguments, is_one=d_input.numel() == self.d_size)

    def read_images(self, x_input: Tensor, like: Tensor, is_test: bool) -> Tensor:
        """Return the ``[n_images, d_size, *]`` outputs of a convolution, of the shape of ``like``.

        The array has the index matrix that makes vectors of ``[n_images, channels, *]`` images.
        """
        return product(self.cpp.forward_indexed, x_input.resolve_neg(), like, is_test, True)

    def read_images_back(self, d_input: Tensor, like: Tensor) -> Tensor:
        """Return the input gradients of a convolution, of the shape of the images ``like``."""
        return product(self.cpp.backward_indexed, d_input.resolve_neg(), like, True)

    def program(self, weights: Tensor, spreads: bool = False) -> None:
        """Set the ``[d_size, x_size]`` weights directly, clipped to each cell's bounds.

        aihwkit clips to the bounds of a cell before its reference is subtracted, so that it may
        hold a weight which its first pulse takes away.

        Args:
            weights: the weights.
            spreads: whether cells take what they can hold, and the other cells of an output the
                rest (see :func:`~aihwkit_dspt.tiles.reachable.reachable`). Unit cells, which share
                a weight out among their devices, are clipped as aihwkit does.
        """
        if not spreads or self.faults[0] or not self.has_bounds():
            self.tile.set_weights(weights)
        elif self._hold(weights):
            self.place(weights)
        else:
            self.place(reachable(weights, *self.bounds(self.hidden_parameters())))
        if self.noise_on_set > 0.0:
            # Of torch's generator, which has a seed; the C++ tile draws none of its own here.
            self.weights.add_(randn_like(self.weights), alpha=self.noise_on_set)

    def has_bounds(self) -> bool:
        """Return whether each cell has bounds of its own: not in unit cells and ideal arrays."""
        is_plain = isinstance(self.device_config, PulsedDevice)
        return is_plain and MAX_BOUND in self.hidden_parameter_names()

    def bounds(self, parameters: Tensor) -> Tuple[Tensor, Tensor]:
        """Return the lower and upper bounds of cells, in weight units, the reference subtracted.

        Args:
            parameters: ``[n_names, n_rows, x_size]`` rows of :meth:`hidden_parameters`.
        """
        names = self.hidden_parameter_names()
        low, high = (parameters[names.index(name)] for name in (MIN_BOUND, MAX_BOUND))
        if REFERENCE in names:
            reference = parameters[names.index(REFERENCE)]
            low, high = low - reference, high - reference
        return low.to(self.weights), high.to(self.weights)

    def _hold(self, weights: Tensor) -> bool:
        """Return whether all cells can hold all of these weights, as far as that is known.

        It spares large arrays a copy of all parameters.
        """
        version, low, high = self._reach
        if version != self.parameters_version:
            return False
        return low <= float(weights.min()) and float(weights.max()) <= high

    def place(self, weights: Tensor) -> None:
        """Put the cells at ``[d_size, x_size]`` weights that pulses can reach.

        Unlike :meth:`program` the visible weights are exactly these: aihwkit would clip them to the
        bounds before the reference is subtracted and add write noise.
        """
        self.tile.set_weights(weights)
        self.weights.copy_(weights)

    def ideal(self, x_size: int, d_size: int, io: IOParameters) -> Crossbar:
        """Return an ideal array of another size, with data type and place of this one.

        ``io`` are the non-idealities of its reads.
        """
        data_type = DATA_TYPES[self.weights.dtype]
        array = Crossbar(x_size, d_size, IdealDevice(), io, io, data_type=data_type)
        if self.is_cuda:
            array.cuda(self.weights.device)
        return array

    def hidden_parameter_names(self) -> List[str]:
        """Return the names of the per-cell device parameters."""
        return list(self.cpp.get_hidden_parameter_names())

    def hidden_parameters(self) -> Tensor:
        """Return the ``[n_names, d_size, x_size]`` per-cell device parameters."""
        parameters: Tensor = self.cpp.get_hidden_parameters()
        held = None if self.batched is None else self.batched.persistent
        if held is not None:
            parameters[self.hidden_parameter_names().index(PERSISTENT)] = from_numpy(held)
        return parameters

    def find_faults(self) -> None:
        """Note the cells that have no finite number as one of their parameters."""
        parameters = self.hidden_parameters()
        # By their extremes, which are no numbers either then: that takes no memory.
        extremes = (stack(values.aminmax()).isfinite().all() for values in parameters)
        names = [name for name, fit in zip(self.hidden_parameter_names(), extremes) if not fit]
        n_cells = int((~parameters.isfinite()).any(0).sum()) if names else 0
        if self.has_bounds():
            # Some rows at a time: that takes no memory either.
            low, high = -inf, inf
            for start in range(0, self.d_size, ROWS_AT_ONCE):
                least, most = self.bounds(parameters[:, start : start + ROWS_AT_ONCE])
                low, high = max(low, float(least.max())), min(high, float(most.min()))
            self._reach = self.parameters_version, low, high
        self.faults = n_cells, names

    def device_parameters(self) -> Dict[str, Tensor]:
        """Return name -> ``[d_size, x_size]`` per-cell device parameters, on the CPU."""
        return dict(zip(self.hidden_parameter_names(), self.hidden_parameters().cpu()))

    def set_hidden_parameters(self, parameters: Tensor, keeps_weights: bool = True) -> None:
        """Set the ``[n_names, d_size, x_size]`` per-cell device parameters.

        The visible weights stay as they are (``keeps_weights``), or follow those of the devices of
        unit cells. One limit is left: aihwkit clips persistent weights to the device's bounds
        before the reference is subtracted, which bars a part of the range that pulses reach.
        """
        if parameters.numel() == 0:
            return
        # aihwkit clips the visible weights; they are restored in the shared memory.
        visible = self.weights.clone()
        set_cpp_granularity(self.cpp, self.granularity)
        set_cpp_hidden_parameters(self.tile, parameters)
        self.parameters_version += 1
        self.granularity = cpp_granularity(self.cpp)
        set_cpp_granularity(self.cpp, self.pulse_granularity)
        if keeps_weights:
            self.weights.copy_(visible)

    def copy_from(self, other: Crossbar) -> None:
        """Become a copy of an array of the same size, with all that the C++ tile knows."""
        if self.batched is None or other.batched is None:
            self.tile = copy_cpp_tile(other.tile, other.device_config)
        else:
            self.tile = copy_cpp_tile(other.cpp, other.device_config)
            self.keep_persistent(other.batched.persistent)
        self.granularity, self.pulse_granularity = other.granularity, other.pulse_granularity
        self.bind(self.shared)
        # Binding fills the shared tensor on the CPU only.
        self.weights.copy_(other.weights)

    def cuda(self, device: torch_device) -> None:
        """Move the array to a GPU. The caller has made ``device`` the current one."""
        if self.is_cuda:
            return
        weights = self.shared.clone()
        self.tile = MAP_TILE_CLASS_TO_CUDA[type(self.cpp)](self.tile)
        self.bind(zeros(self.x_size, self.d_size, dtype=weights.dtype, device=device))
        # Unlike on the CPU, binding does not fill the shared tensor.
        self.shared.copy_(weights.t())
