"""The simulator tile: the arrays and the stages between them, in order."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union

from aihwkit.exceptions import ConfigError, TileError
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.enums import RPUDataType
from aihwkit.simulator.tiles.base import SimulatorTile
from torch import Tensor, empty, stack
from torch import device as torch_device
from torch.autograd import no_grad

from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.enums import ReferenceSync, ReferenceType, TransferScope
from aihwkit_dspt.tiles.buffer import TransferBuffer
from aihwkit_dspt.tiles.chopper import Chopper
from aihwkit_dspt.tiles.construction import (
    chopper_seed,
    draw_seeded_devices,
    transfer_read_parameters,
)
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.effective import EffectiveWeight
from aihwkit_dspt.tiles.estimator import SymmetricPointEstimator
from aihwkit_dspt.tiles.learning_rates import FastLearningRate, TransferLearningRate
from aihwkit_dspt.tiles.lines import LineAccess
from aihwkit_dspt.tiles.reference_array import ReferenceArray
from aihwkit_dspt.tiles.schedule import TransferSchedule
from aihwkit_dspt.tiles.vectors import as_vectors, gather_indexed


class TrackingSimulatorTile(SimulatorTile):
    r"""Residual learning with a tracked symmetric point on aihwkit's C++ tiles.

    Per update cycle (paper Algorithms 2 and 3):

    1. CHOP: the gradient vectors take the chopper signs, :math:`c\, g` (18a);
    2. FAST: pulses on the fast array, :math:`P \leftarrow P - \alpha\, c\, g` (11a);
    3. at a transfer event, a line of :math:`P` is read;
    4. BUFFER: :math:`H \leftarrow H + \beta\, c\, (P - \tilde Q)` with :math:`\tilde Q` as it
       was before this read (18b);
    5. SLOW: whole steps of :math:`H` go as pulses to the slow array :math:`W` (11b);
    6. ESTIMATE: :math:`Q \leftarrow (1-\eta)\, Q + \eta\, P` (12), and where the chopper flips
       (17), :math:`\tilde Q \leftarrow Q`;
    7. READ: :math:`\bar W = W + \gamma\, c \circ (P - \tilde Q)` for forward and backward.

    aihwkit's C++ compound copies :math:`\tilde Q \leftarrow Q` one sweep later, at the next read
    of the line. Neither changes in between, so all that follows is equal; here it is done at
    once, because :math:`\bar W` uses it.

    Args:
        x_size: number of columns, the bias column included.
        d_size: number of rows.
        rpu_config: configuration with a
            :class:`~aihwkit_dspt.TrackingTransferCompound` as device.
        data_type: data type of the simulation.

    Raises:
        ConfigError: if the compound is not valid; see its docstring.
    """

    def __init__(
        self, x_size: int, d_size: int, rpu_config: UnitCellRPUConfig, data_type: RPUDataType
    ) -> None:
        config = rpu_config.device
        if not isinstance(config, TrackingTransferCompound):
            raise ConfigError(
                f"device={type(config).__name__} is not valid: pass a TrackingTransferCompound"
            )
        config.check()
        if len(config.unit_cell_devices) != 2:
            raise ConfigError("unit_cell_devices=[] is not valid: pass two devices, [fast, slow]")
        self.x_size = x_size
        self.d_size = d_size
        self.device_config = config
        self.data_type = data_type
        self.learning_rate = 0.01
        self.indices: Optional[Tensor] = None
        self._build_arrays(rpu_config)
        self._build_stages(rpu_config)
        self._store_and_refresh()

    def _build_arrays(self, rpu_config: UnitCellRPUConfig) -> None:
        config = self.device_config
        fast_device, slow_device = config.unit_cell_devices
        sizes = self.x_size, self.d_size
        read_io = transfer_read_parameters(config)
        model_io = rpu_config.forward, rpu_config.backward
        self.fast = Crossbar(
            *sizes, fast_device, read_io, read_io, rpu_config.update, self.data_type
        )
        self.slow = Crossbar(*sizes, slow_device, *model_io, config.transfer_update, self.data_type)
        draw_seeded_devices(config, self.fast, self.slow, self.data_type)
        zeros = self.fast.weights.new_zeros(self.d_size, self.x_size)
        self.fast.program(zeros)
        self.slow.program(zeros)
        # Forward and backward go through an array of their own that holds the mixed weight, or
        # through the slow array where there is nothing to mix.
        self.read = self.slow
        if config.gamma > 0.0:
            self.read = Crossbar(*sizes, IdealDevice(), *model_io, data_type=self.data_type)

    def _build_stages(self, rpu_config: UnitCellRPUConfig) -> None:
        config, dtype = self.device_config, self.data_type.as_torch()
        sizes = self.x_size, self.d_size
        in_size, out_size = sizes if config.transfer_columns else sizes[::-1]
        self.everything = slice(0, in_size)
        self.dynamic = config.reference is ReferenceType.DYNAMIC
        self.syncs_every_read = config.reference_sync is ReferenceSync.EVERY_READ
        self.lines = LineAccess(in_size, config.transfer_columns)
        self.schedule = TransferSchedule(
            in_size,
            config.transfer_every,
            config.units_in_mbatch,
            self.fast.n_states if config.transfer_every < 0.0 else 0.0,
            config.transfer_scope is TransferScope.ARRAY,
        )
        self.chopper = Chopper(
            in_size,
            out_size,
            config.in_chop_prob,
            config.out_chop_prob,
            config.in_chop_random,
            config.chop_period(),
            self.dynamic,
            chopper_seed(config),
            dtype,
        )
        self.estimator = SymmetricPointEstimator(
            in_size, out_size, config.estimator_eta() if self.dynamic else 0.0, dtype
        )
        self.reference_array: Optional[ReferenceArray] = None
        if config.reference_device is not None:
            self.reference_array = ReferenceArray(
                *sizes, config.reference_device, self.lines, self.data_type
            )
            self.estimator.reference.copy_(self.reference_array.values())
        self.buffer = TransferBuffer(
            in_size,
            out_size,
            config.transfer_update.desired_bl,
            config.momentum,
            config.forget_buffer,
            config.buffer_cap,
            config.no_buffer,
            dtype,
        )
        granularities = self.fast.granularity, self.slow.granularity
        self.write_lr = config.step * granularities[1]
        self.fast_lr = FastLearningRate(config, granularities[0], rpu_config.update.desired_bl)
        self.transfer_lr = TransferLearningRate(
            config, *granularities, self.schedule.events_per_sweep
        )
        self.effective: Optional[EffectiveWeight] = None
        if self.read is not self.slow:
            self.effective = EffectiveWeight(
                self.read.weights,
                config.gamma,
                config.transfer_columns,
                config.reference is not ReferenceType.ZERO,
            )

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
        output: Tensor = self.read.tile.forward(
            x_input, bias, in_trans, out_trans, is_test, non_blocking
        )
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
        output: Tensor = self.read.tile.backward(d_input, bias, in_trans, out_trans, non_blocking)
        return output

    def forward_indexed(
        self, x_input: Tensor, d_tensor: Tensor, is_test: bool = False, non_blocking: bool = False
    ) -> Tensor:
        """Forward pass of a convolution with the index matrix that was set."""
        output: Tensor = self.read.tile.forward_indexed(x_input, d_tensor, is_test, non_blocking)
        return output

    def backward_indexed(
        self, d_input: Tensor, x_tensor: Tensor, non_blocking: bool = False
    ) -> Tensor:
        """Backward pass of a convolution with the index matrix that was set."""
        output: Tensor = self.read.tile.backward_indexed(d_input, x_tensor, non_blocking)
        return output

    def set_matrix_indices(self, indices: Tensor) -> None:
        """Set the index matrix of convolutions."""
        self.indices = indices
        self.read.tile.set_matrix_indices(indices)

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
            non_blocking: not used; nothing here waits for a GPU.

        Raises:
            TileError: if the shapes do not fit; the tile is left as it was.
        """
        x_vectors = as_vectors(x_input, in_trans, self.x_size, bias, "x_input")
        d_vectors = as_vectors(d_input, out_trans, self.d_size, False, "d_input")
        self._update_vectors(x_vectors, d_vectors)

    def update_indexed(self, x_input: Tensor, d_input: Tensor, non_blocking: bool = False) -> None:
        """Update of a convolution with the index matrix that was set.

        Args:
            x_input: ``[n_images, channels, *]`` images.
            d_input: ``[n_images, d_size, *]`` errors.
            non_blocking: not used.

        Raises:
            TileError: if no index matrix was set or the shapes do not fit.
        """
        if self.indices is None:
            raise TileError("the index matrix is not set: call set_indexed() first")
        x_vectors = gather_indexed(x_input, self.indices, self.x_size)
        d_vectors = d_input.flatten(2).transpose(1, 2)
        d_vectors = as_vectors(d_vectors, False, self.d_size, False, "d_input")
        self._update_vectors(x_vectors, d_vectors)

    @no_grad()
    def _update_vectors(self, x_vectors: Tensor, d_vectors: Tensor) -> None:
        m_batch = len(x_vectors)
        if m_batch != len(d_vectors):
            raise TileError(
                f"x_input has {m_batch} vectors, d_input {len(d_vectors)}: pass equal batches"
            )
        if self.learning_rate == 0.0 or m_batch == 0:
            return
        for start, stop, transfers in self.schedule.split(m_batch):
            self._update_fast(x_vectors[start:stop], d_vectors[start:stop], m_batch)
            if transfers:
                self._transfer()
        self._refresh()

    def _update_fast(self, x_vectors: Tensor, d_vectors: Tensor, m_batch: int) -> None:
        """CHOP and FAST: gradient pulses on the fast array."""
        columns = self.device_config.transfer_columns
        x_chopped = self.chopper.modulate(x_vectors, output=not columns)
        d_chopped = self.chopper.modulate(d_vectors, output=columns)
        if not self.fast_lr.auto_scales:
            self.fast.pulse(x_chopped, d_chopped, self.fast_lr(self.learning_rate))
            return
        # The learning rate follows the running maxima from one vector to the next.
        maxima = stack([x_vectors.abs().amax(1), d_vectors.abs().amax(1)], dim=1).tolist()
        for index, (x_max, d_max) in enumerate(maxima):
            self.fast_lr.observe(x_max, d_max, m_batch)
            part = slice(index, index + 1)
            fast_lr = self.fast_lr(self.learning_rate)
            self.fast.pulse(x_chopped[part], d_chopped[part], fast_lr)

    def _transfer(self) -> None:
        """One transfer event: read, BUFFER, SLOW, ESTIMATE and the chopper."""
        lines = self.schedule.next_lines()
        if not self.transfer_lr.is_on(self.learning_rate):
            return
        period, sweep = self.chopper.period, self.schedule.sweep
        read = self.lines.read(self.fast, lines)
        residual = read
        if self.device_config.reference is not ReferenceType.ZERO:
            residual = read - self.estimator.reference[lines]
        beta = self.transfer_lr(self.learning_rate, self.fast_lr.current, sweep % period + 1)
        steps = self.buffer.accumulate(lines, self.chopper.demodulate(lines, residual, beta))
        # aihwkit's dynamic compound starts writing when the first reference has been taken.
        waiting = self.dynamic and not self.syncs_every_read and sweep <= period
        writes = steps is not None and not waiting
        if steps is not None and not waiting:
            self.lines.pulse(self.slow, lines, steps, self.write_lr)
        if self.dynamic:
            self.estimator.update(lines, read)
        changed = self._advance_chopper(lines, sweep)
        if writes:
            changed = lines if changed is None else changed
            if not self.slow.updates_cells_independently:
                changed = self.everything
        if changed is not None:
            self._store(changed)

    def _advance_chopper(self, lines: slice, sweep: int) -> Optional[slice]:
        """Flip what is due and sync the reference; return the lines that this changed."""
        flipped = self.chopper.flip_lines(lines, sweep)
        changed = lines if flipped or self.syncs_every_read else None
        if self.dynamic and (self.syncs_every_read or len(flipped) == lines.stop - lines.start):
            self._sync(lines)
        elif self.dynamic:
            for line in flipped:
                self._sync(slice(line, line + 1))
        outputs = self.chopper.flip_outputs() if self.schedule.finish_event(lines) else []
        if outputs:
            changed = self.everything
            if self.dynamic:
                self._sync(self.everything, outputs)
        return changed

    def _sync(self, lines: slice, outputs: Optional[List[int]] = None) -> None:
        """Program the reference of the given lines (and outputs) to the estimate."""
        cells: Union[slice, Tuple[slice, List[int]]]
        cells = lines if outputs is None else (lines, outputs)
        if self.reference_array is None:
            self.estimator.sync(cells, self.estimator.sp_estimate[cells])
            return
        target = self.estimator.reference[lines].clone()
        every: Any = slice(None) if outputs is None else (slice(None), outputs)
        target[every] = self.estimator.sp_estimate[cells]
        held = self.reference_array.program(lines, target)
        self.estimator.sync(cells, held[every])

    # -- the mixed weight -----------------------------------------------------------------------

    def _store(self, lines: Optional[slice] = None) -> None:
        if self.effective is not None:
            reference = self.estimator.reference
            self.effective.store(self.slow.weights, reference, self.chopper, lines)

    def _refresh(self) -> None:
        if self.effective is not None:
            self.effective.refresh(self.fast.weights, self.chopper)

    def _store_and_refresh(self) -> None:
        self._store()
        self._refresh()

    def oriented(self, values: Tensor) -> Tensor:
        """Return ``[in_size, out_size]`` values of lines as ``[d_size, x_size]``, or back."""
        return values.t() if self.device_config.transfer_columns else values

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
        if as_ref:
            return self.read.weights
        return self.read.weights.detach().cpu().clone().contiguous()

    def set_weights(self, weight: Tensor) -> None:
        r"""Set the ``[d_size, x_size]`` mixed weight.

        The fast array is programmed onto the reference, so that the residual is zero, and the
        slow array to the weight (as far as the bounds of the cells allow). What was learned
        about the symmetric point and the chopper phase is kept; the transfer buffer, which
        belongs to the old weight, is emptied and line counting starts anew.

        Raises:
            TileError: for a wrong shape or values that are not finite; the tile is left as it
                was.
        """
        weight = weight.detach().to(self.read.weights)
        if weight.shape != (self.d_size, self.x_size):
            raise TileError(
                f"weight has shape {list(weight.shape)}: pass [{self.d_size}, {self.x_size}]"
            )
        if not bool(weight.isfinite().all()):
            raise TileError("weight has values that are not finite: pass finite weights")
        self.fast.program(self.oriented(self.estimator.reference))
        self.slow.program(weight - self._residual())
        self.buffer.hidden.zero_()
        self.schedule.restart()
        self._store_and_refresh()

    def _residual(self) -> Tensor:
        r"""Return the ``[d_size, x_size]`` part :math:`\gamma\, c \circ (P - \tilde Q)`."""
        difference = self.fast.weights - self.oriented(self.estimator.reference)
        return difference * self.chopper_signs() * self.device_config.gamma

    def chopper_signs(self) -> Tensor:
        """Return the ``[d_size, x_size]`` chopper signs."""
        signs = self.chopper.signs(self.everything)
        return self.oriented(signs.expand_as(self.buffer.hidden))

    def set_weights_uniform_random(self, bmin: float, bmax: float) -> None:
        """Set the mixed weight to uniform random numbers in ``[bmin, bmax]``."""
        self.set_weights(empty(self.d_size, self.x_size).uniform_(bmin, bmax))

    def set_reference(self, reference: Tensor) -> None:
        r"""Program the reference :math:`\tilde Q` (and the estimate) to calibrated values.

        Args:
            reference: ``[d_size, x_size]`` symmetric points, in weight units.

        Raises:
            TileError: for a wrong shape, values that are not finite or a compound with
                ``reference=ReferenceType.ZERO``; the tile is left as it was.
        """
        if self.device_config.reference is ReferenceType.ZERO:
            raise TileError(
                "reference=ReferenceType.ZERO has no reference to set: build the tile with "
                "reference=ReferenceType.STATIC"
            )
        reference = reference.detach().to(self.read.weights)
        if reference.shape != (self.d_size, self.x_size):
            raise TileError(
                f"reference has shape {list(reference.shape)}: pass [{self.d_size}, {self.x_size}]"
            )
        if not bool(reference.isfinite().all()):
            raise TileError(
                "reference has values that are not finite: replace cells without a symmetric "
                "point, e.g. with torch.nan_to_num"
            )
        self.estimator.sp_estimate.copy_(self.oriented(reference))
        self._sync(self.everything)
        self._store_and_refresh()

    # -- learning rate and decay ----------------------------------------------------------------

    def get_learning_rate(self) -> float:
        """Return the SGD learning rate."""
        return self.learning_rate

    def set_learning_rate(self, learning_rate: Optional[float]) -> None:
        """Set the SGD learning rate; ``None`` leaves it as it is."""
        if learning_rate is not None:
            self.learning_rate = float(learning_rate)

    def _arrays(self) -> List[Crossbar]:
        arrays = [self.fast, self.slow]
        if self.reference_array is not None:
            arrays.append(self.reference_array.crossbar)
        return arrays

    def _apply(self, method: str, *args: Any) -> None:
        for array in self._arrays():
            getattr(array.tile, method)(*args)
        if self.reference_array is not None:
            self.estimator.reference.copy_(self.reference_array.values())
        self._store_and_refresh()

    def decay_weights(self, alpha: float = 1.0) -> None:
        """Decay all arrays once according to their devices."""
        self._apply("decay_weights", alpha)

    def drift_weights(self, delta_t: float = 1.0) -> None:
        """Drift all arrays once according to their devices."""
        self._apply("drift_weights", delta_t)

    def diffuse_weights(self) -> None:
        """Diffuse all arrays once according to their devices."""
        self._apply("diffuse_weights")

    def reset_columns(
        self, start_column_idx: int = 0, num_columns: int = 1, reset_prob: float = 1.0
    ) -> None:
        """Reset columns of the fast array, as aihwkit's transfer compounds do."""
        self.fast.tile.reset_columns(start_column_idx, num_columns, reset_prob)
        self._refresh()

    # -- inspection -----------------------------------------------------------------------------

    def get_brief_info(self) -> str:
        """Return a short description."""
        config = self.device_config
        names = " -> ".join(type(device).__name__ for device in config.unit_cell_devices)
        return (
            f"TrackingSimulatorTile<{self.data_type.value}>({self.x_size},{self.d_size}): "
            f"{names}, reference={config.reference.value}, gamma={config.gamma}"
        )

    def get_meta_parameters(self) -> Any:
        """Return the meta parameters of the array that forward and backward use."""
        return self.read.tile.get_meta_parameters()

    def set_verbosity_level(self, verbose: int) -> None:
        """Set the verbosity of all arrays."""
        for array in self._arrays():
            array.tile.set_verbosity_level(verbose)

    def named_values(self) -> Dict[str, Tensor]:
        """Return the method's quantities by name, as ``[d_size, x_size]`` views."""
        return {
            "fast_weights": self.fast.weights,
            "slow_weights": self.slow.weights,
            "transfer_buffer": self.oriented(self.buffer.hidden),
            "sp_estimate": self.oriented(self.estimator.sp_estimate),
            "reference": self.oriented(self.estimator.reference),
            "chopper": self.chopper_signs(),
        }

    def _device_arrays(self) -> List[Tuple[str, Crossbar]]:
        return list(zip(("_0", "_1", "_2"), self._arrays()))

    def get_hidden_parameter_names(self) -> List[str]:
        """Return the names of the slices of :meth:`get_hidden_parameters`.

        Device parameters carry the number of their array (0 fast, 1 slow, 2 reference), as in
        aihwkit's compounds.
        """
        names = [
            name + suffix
            for suffix, array in self._device_arrays()
            for name in array.hidden_parameter_names()
        ]
        return names + list(self.named_values())

    def get_hidden_parameters(self) -> Tensor:
        """Return the ``[n_names, d_size, x_size]`` hidden parameters as a CPU copy."""
        values = [
            value for _, array in self._device_arrays() for value in array.hidden_parameters().cpu()
        ]
        values += [value.detach().cpu() for value in self.named_values().values()]
        return stack(values)

    def set_hidden_parameters(self, params: Tensor) -> None:
        """Set the ``[n_names, d_size, x_size]`` hidden parameters.

        Raises:
            TileError: for a wrong shape or a chopper that is not an outer product of signs; the
                tile is left as it was.
        """
        names = self.get_hidden_parameter_names()
        expected = (len(names), self.d_size, self.x_size)
        if tuple(params.shape) != expected:
            raise TileError(f"hidden parameters have shape {list(params.shape)}: pass {expected}")
        values = dict(zip(names, params.detach()))
        signs = self.oriented(values["chopper"].to(self.read.weights))
        in_sign, out_sign = signs[:, 0] * signs[0, 0], signs[0]
        if not bool((signs == in_sign.unsqueeze(1) * out_sign).all() and (signs.abs() == 1).all()):
            raise TileError("chopper is not valid: pass an outer product of -1 and +1")
        start = 0
        for _, array in self._device_arrays():
            stop = start + len(array.hidden_parameter_names())
            array.set_hidden_parameters(params[start:stop].detach())
            start = stop
        for name, value in self.named_values().items():
            if name != "chopper":
                value.copy_(values[name])
        self.chopper.in_sign.copy_(in_sign)
        self.chopper.out_sign.copy_(out_sign)
        self._store_and_refresh()

    # -- state ------------------------------------------------------------------------------------

    def dump_extra(self) -> Dict[str, Any]:
        """Return the complete state as nested dicts of CPU tensors and Python values."""
        state: Dict[str, Any] = {
            name: {key: _to_cpu(value) for key, value in stage.state_dict().items()}
            for name, stage in self._stages().items()
        }
        state.update({name: array.state() for name, array in self._named_arrays().items()})
        state.update(
            schedule=self.schedule.state(),
            fast_lr=self.fast_lr.state(),
            learning_rate=self.learning_rate,
        )
        return state

    def load_extra(self, extra: Dict[str, Any], strict: bool = False) -> None:
        """Set the state that :meth:`dump_extra` returned.

        Raises:
            TileError: if it is the state of another kind of tile; the tile is left as it was.
        """
        expected = sorted(self.dump_extra())
        if sorted(extra) != expected:
            raise TileError(
                f"the state has {sorted(extra)}, this tile needs {expected}: load a state of a "
                "TrackingTile with the same gamma and reference_device"
            )
        for name, array in self._named_arrays().items():
            array.load_state(extra[name])
        for name, stage in self._stages().items():
            stage.load_state_dict(extra[name])
        self.schedule.load_state(extra["schedule"])
        self.fast_lr.load_state(extra["fast_lr"])
        self.learning_rate = float(extra["learning_rate"])
        self._store_and_refresh()

    def _stages(self) -> Dict[str, Any]:
        return {"chopper": self.chopper, "estimator": self.estimator, "buffer": self.buffer}

    def _named_arrays(self) -> Dict[str, Crossbar]:
        arrays = {"fast": self.fast, "slow": self.slow}
        if self.read is not self.slow:
            arrays["read"] = self.read
        if self.reference_array is not None:
            arrays["reference"] = self.reference_array.crossbar
        return arrays

    def cuda(self, device: torch_device) -> None:
        """Move all arrays and stages to a GPU."""
        for array in self._named_arrays().values():
            array.cuda(device)
        for stage in self._stages().values():
            stage.to(device)
        if self.effective is not None:
            self.effective = EffectiveWeight(
                self.read.weights,
                self.effective.gamma,
                self.effective.transfer_columns,
                self.effective.has_reference,
            )
            self._store_and_refresh()


def _to_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    return value
