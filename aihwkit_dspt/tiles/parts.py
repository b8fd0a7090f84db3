"""The arrays and stages of a tracking tile, built from its configuration."""

from __future__ import annotations

from copy import deepcopy
from typing import Dict, List, Optional, Tuple

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.enums import RPUDataType
from aihwkit.simulator.rpu_base import devices
from torch import Tensor, tensor
from torch import device as torch_device
from torch.nn import Module

from aihwkit_dspt.configs.built import mark_built
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.enums import ReadMode, ReferenceSync, ReferenceType, TransferScope
from aihwkit_dspt.configs.parameter_checks import check_io, check_update
from aihwkit_dspt.stages.estimators import LowPassFilter
from aihwkit_dspt.stages.event import TransferEvent
from aihwkit_dspt.stages.listener import Listener
from aihwkit_dspt.stages.mixer import MixedWeight
from aihwkit_dspt.stages.reference import AnalogReference, Reference
from aihwkit_dspt.stages.schedule import TransferSchedule
from aihwkit_dspt.stages.transfer import TransferStages
from aihwkit_dspt.tiles.compiled_line_reader import CompiledLineReader
from aihwkit_dspt.tiles.construction import (
    chopper_seed,
    draw_seeded_devices,
    reference_seed,
    require_reads,
    transfer_read_parameters,
)
from aihwkit_dspt.tiles.counters import OperationCounters
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.learning_rates import FastLearningRate, TransferLearningRate
from aihwkit_dspt.tiles.line_reader import LineReader
from aihwkit_dspt.tiles.lines import LineAccess
from aihwkit_dspt.tiles.read_stage import ReadStage
from aihwkit_dspt.tiles.reference_array import ReferenceArray


class TileParts:
    """Owns the arrays and stages; what happens between them says the simulator tile.

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
        # A copy: changing the configuration afterwards must not change tiles that are built.
        config = deepcopy(rpu_config.device)
        if not isinstance(config, TrackingTransferCompound):
            raise ConfigError(
                f"device={type(config).__name__} is not valid: pass a TrackingTransferCompound"
            )
        config.check()
        mark_built(config)
        if data_type is not RPUDataType.FLOAT and not hasattr(devices, data_type.value):
            raise ConfigError(
                f"runtime.data_type={data_type} is not valid: this aihwkit was built without it; "
                "pass RPUDataType.FLOAT"
            )
        if len(config.unit_cell_devices) != 2:
            raise ConfigError("unit_cell_devices=[] is not valid: pass two devices, [fast, slow]")
        check_update("update", rpu_config.update)
        for name in ("forward", "backward"):
            check_io(name, getattr(rpu_config, name))
            require_reads(name, getattr(rpu_config, name), data_type)
        require_reads("transfer_forward", transfer_read_parameters(config), data_type)
        self.x_size = x_size
        self.d_size = d_size
        self.device_config = config
        self.data_type = data_type
        self.learning_rate = 0.1
        self.counters = OperationCounters()
        # What an interrupted call leaves, see TrackingPipeline.settle.
        self.unfinished = False
        self.event: Optional[TransferEvent] = None
        self.listeners: List[Listener] = []
        self._build_arrays(rpu_config)
        self._build_stages(rpu_config)
        self.mixed = self._mixed_weight()

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
        self.read_stage = ReadStage(self.read, *model_io, config.read_mode)

    def _build_stages(self, rpu_config: UnitCellRPUConfig) -> None:
        config, dtype = self.device_config, self.data_type.as_torch()
        sizes = self.x_size, self.d_size
        in_size, out_size = sizes if config.transfer_columns else sizes[::-1]
        self.everything = slice(0, in_size)
        self.dynamic = config.reference is ReferenceType.DYNAMIC
        # Line by line things are timed as in aihwkit's C++ compound, the whole array as the
        # paper's algorithms are printed.
        whole_array = config.transfer_scope is TransferScope.ARRAY
        self.timed_as_agad = self.dynamic and not whole_array
        self.syncs_every_read = config.reference_sync is ReferenceSync.EVERY_READ
        read_io = transfer_read_parameters(config)
        columns = config.transfer_columns
        reader = LineReader.build(out_size, columns, read_io, self.data_type)
        compiled = None
        if config.read_mode is ReadMode.AUTO:
            compiled = CompiledLineReader.build(reader, columns, read_io, self.data_type)
        self.lines = LineAccess(in_size, columns, compiled or reader)
        self.schedule = TransferSchedule(
            in_size,
            config.transfer_every,
            config.units_in_mbatch,
            self.fast.n_states if config.transfer_every < 0.0 else 0.0,
            whole_array,
        )
        self.chopper = config.chopper(
            in_size,
            out_size,
            config.in_chop_prob,
            config.out_chop_prob,
            config.in_chop_random,
            config.chop_period(),
            self.timed_as_agad,
            chopper_seed(config),
            dtype,
        )
        # Nothing is estimated where the reference is given.
        estimator = config.estimator if self.dynamic else LowPassFilter
        eta = config.estimator_eta() if self.dynamic else 0.0
        self.estimator = estimator(in_size, out_size, eta, dtype)
        self.reference = Reference(in_size, out_size, dtype)
        self.reference_array: Optional[ReferenceArray] = None
        if config.reference_device is not None:
            self.reference_array = ReferenceArray(
                *sizes, config.reference_device, self.lines, self.data_type, reference_seed(config)
            )
            self.reference = AnalogReference(in_size, out_size, dtype, self.reference_array)
        self.buffer = config.buffer(
            in_size,
            out_size,
            config.transfer_update.desired_bl,
            config.momentum,
            config.forget_buffer,
            config.buffer_cap,
            config.no_buffer,
            dtype,
        )
        self.transfer_stages = TransferStages(
            self.chopper,
            self.buffer,
            self.estimator,
            self.reference,
            self.dynamic,
            config.read_mode is not ReadMode.TORCH,
        )
        granularities = self.fast.granularity, self.slow.granularity
        self.fast_lr = FastLearningRate(config, granularities[0], rpu_config.update.desired_bl)
        self.transfer_lr = TransferLearningRate(
            config, *granularities, self.schedule.events_per_sweep
        )
        self.follow_granularities()

    def follow_granularities(self) -> None:
        """Take over the granularities of the arrays, which follow their hidden parameters.

        As in aihwkit's C++ compounds: gradient pulses are made for the average granularity of both
        devices, everything else uses that of the one device.
        """
        granularities = self.fast.granularity, self.slow.granularity
        dtype = self.data_type.as_torch()
        average = (tensor(granularities[0], dtype=dtype) + granularities[1]) / 2
        self.fast.set_pulse_granularity(float(average))
        self.write_lr = self.device_config.step * granularities[1]
        self.fast_lr.set_granularity(granularities[0])
        self.transfer_lr.set_granularities(*granularities)

    def _mixed_weight(self) -> Optional[MixedWeight]:
        if self.read is self.slow:
            return None
        return MixedWeight(
            self.read.weights,
            self.device_config.gamma,
            self.device_config.transfer_columns,
            self.device_config.reference is not ReferenceType.ZERO,
        )

    # -- the parts by name ----------------------------------------------------------------------

    def device_arrays(self) -> List[Crossbar]:
        """Return the arrays of physical devices: fast, slow and (if analog) the reference."""
        arrays = [self.fast, self.slow]
        if self.reference_array is not None:
            arrays.append(self.reference_array.crossbar)
        return arrays

    def named_arrays(self) -> Dict[str, Crossbar]:
        """Return all arrays by name, the one for forward and backward included."""
        arrays = dict(zip(("fast", "slow", "reference_array"), self.device_arrays()))
        if self.read is not self.slow:
            arrays["read"] = self.read
        return arrays

    def named_stages(self) -> Dict[str, Module]:
        """Return the stages that hold tensors, by name."""
        return {
            "chopper": self.chopper,
            "estimator": self.estimator,
            "reference": self.reference,
            "buffer": self.buffer,
        }

    def oriented(self, values: Tensor) -> Tensor:
        """Return ``[in_size, out_size]`` values of lines as ``[d_size, x_size]``, or back."""
        return values.t() if self.device_config.transfer_columns else values

    def chopper_signs(self) -> Tensor:
        """Return the ``[d_size, x_size]`` chopper signs."""
        signs = self.chopper.signs(self.everything)
        return self.oriented(signs.expand_as(self.buffer.hidden))

    def named_values(self) -> Dict[str, Tensor]:
        """Return the quantities of the method by name, as ``[d_size, x_size]`` views."""
        return {
            "fast_weights": self.fast.weights,
            "slow_weights": self.slow.weights,
            "transfer_buffer": self.oriented(self.buffer.hidden),
            "sp_estimate": self.oriented(self.estimator.sp_estimate),
            "reference": self.oriented(self.reference.values),
            "chopper": self.chopper_signs(),
        }

    def sizes(self) -> Tuple[int, int]:
        """Return ``(d_size, x_size)``, the shape of the arrays."""
        return self.d_size, self.x_size

    def copy_arrays(self, other: TileParts) -> None:
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
        if self.lines.reader is not None:
            self.lines.reader = self.lines.reader.cuda(device)
        self.mixed = self._mixed_weight()
