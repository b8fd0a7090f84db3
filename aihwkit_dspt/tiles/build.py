"""From a configuration to arrays, links and the pipeline."""

from __future__ import annotations

from copy import deepcopy
from typing import Optional, Tuple

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.enums import RPUDataType
from aihwkit.simulator.rpu_base import devices

from aihwkit_dspt.configs.built import mark_built
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.enums import ReadMode, ReferenceSync, ReferenceType, TransferScope
from aihwkit_dspt.configs.parameter_checks import check_io, check_update
from aihwkit_dspt.reads.array import ArrayReads
from aihwkit_dspt.reads.line import LineReads
from aihwkit_dspt.stages.estimators import LowPassFilter
from aihwkit_dspt.stages.reference import AnalogReference, Reference
from aihwkit_dspt.stages.schedule import TransferSchedule
from aihwkit_dspt.stages.timing import TransferTiming
from aihwkit_dspt.tiles.construction import (
    chopper_seed,
    draw_seeded_devices,
    reference_seed,
    require_reads,
    transfer_read_parameters,
)
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.learning_rates import FastLearningRate, TransferLearningRate
from aihwkit_dspt.tiles.lines import LineAccess
from aihwkit_dspt.tiles.link import Link
from aihwkit_dspt.tiles.pipeline import Pipeline
from aihwkit_dspt.tiles.reference_array import ReferenceArray

Sizes = Tuple[int, int]
"""``(x_size, d_size)``: columns, the bias column included, and rows."""


def build_pipeline(
    x_size: int, d_size: int, rpu_config: UnitCellRPUConfig, data_type: RPUDataType
) -> Pipeline:
    """Return the pipeline of a configuration.

    Args:
        x_size: number of columns, the bias column included.
        d_size: number of rows.
        rpu_config: configuration with a
            :class:`~aihwkit_dspt.TrackingTransferCompound` as device.
        data_type: data type of the simulation.

    Raises:
        ConfigError: if the compound, or how it is read or pulsed, is not valid.
    """
    config = _checked(rpu_config, data_type)
    sizes = x_size, d_size
    model_io = rpu_config.forward, rpu_config.backward
    read_io = transfer_read_parameters(config)
    fast_device, slow_device = config.unit_cell_devices
    fast = Crossbar(*sizes, fast_device, read_io, read_io, rpu_config.update, data_type)
    slow = Crossbar(*sizes, slow_device, *model_io, config.transfer_update, data_type)
    draw_seeded_devices(config, fast, slow, data_type)
    zeros = fast.weights.new_zeros(d_size, x_size)
    fast.program(zeros)
    slow.program(zeros)
    # Forward and backward go through an array of their own that holds the mixed weight, or
    # through the slow array where there is nothing to mix.
    mixed_array = slow
    if config.gamma > 0.0:
        mixed_array = Crossbar(*sizes, IdealDevice(), *model_io, data_type=data_type)
    lines = LineAccess(sizes[0 if config.transfer_columns else 1], config.transfer_columns)
    line_reads = LineReads(fast, lines, read_io, config.read_mode)
    reference_array: Optional[ReferenceArray] = None
    if config.reference_device is not None:
        seed = reference_seed(config)
        reference_array = ReferenceArray(*sizes, config.reference_device, lines, data_type, seed)
    link = _link(config, fast, slow, lines, line_reads, reference_array)
    fast_lr = FastLearningRate(config, fast.granularity, rpu_config.update.desired_bl)
    reads = ArrayReads(mixed_array, *model_io, config.read_mode)
    return Pipeline(config, [slow, fast], [link], fast_lr, mixed_array, reads, reference_array)


def _checked(rpu_config: UnitCellRPUConfig, data_type: RPUDataType) -> TrackingTransferCompound:
    """Return a copy of the compound, of which everything is valid."""
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
    return config


def _link(
    config: TrackingTransferCompound,
    source: Crossbar,
    target: Crossbar,
    lines: LineAccess,
    line_reads: LineReads,
    reference_array: Optional[ReferenceArray],
) -> Link:
    """Return the link between two arrays, with new stages."""
    data_type = source.shared.dtype
    sizes = source.x_size, source.d_size
    in_size, out_size = sizes if config.transfer_columns else sizes[::-1]
    tracks = config.reference is ReferenceType.DYNAMIC
    syncs_every_read = config.reference_sync is ReferenceSync.EVERY_READ
    # Line by line things are timed as in aihwkit's C++ compound, the whole array as the paper's
    # algorithms are printed.
    whole_array = config.transfer_scope is TransferScope.ARRAY
    timing = TransferTiming.printed()
    if tracks and not whole_array:
        timing = TransferTiming.agad(config.chop_period(), syncs_every_read)
    schedule = TransferSchedule(
        in_size,
        config.transfer_every,
        config.units_in_mbatch,
        source.n_states if config.transfer_every < 0.0 else 0.0,
        whole_array,
    )
    chopper = config.chopper(
        in_size,
        out_size,
        config.in_chop_prob,
        config.out_chop_prob,
        config.in_chop_random,
        config.chop_period(),
        timing.ends_phases,
        chopper_seed(config),
        data_type,
    )
    # Nothing is estimated where the reference is given.
    estimator = config.estimator if tracks else LowPassFilter
    reference = Reference(in_size, out_size, data_type)
    if reference_array is not None:
        reference = AnalogReference(in_size, out_size, data_type, reference_array)
    buffer = config.buffer(
        in_size,
        out_size,
        config.transfer_update.desired_bl,
        config.momentum,
        config.forget_buffer,
        config.buffer_cap,
        config.no_buffer,
        data_type,
    )
    granularities = source.granularity, target.granularity
    return Link(
        source,
        target,
        lines=lines,
        line_reads=line_reads,
        schedule=schedule,
        chopper=chopper,
        buffer=buffer,
        estimator=estimator(
            in_size, out_size, config.estimator_eta() if tracks else 0.0, data_type
        ),
        reference=reference,
        rate=TransferLearningRate(config, *granularities, schedule.events_per_sweep),
        timing=timing,
        tracks=tracks,
        syncs_every_read=syncs_every_read,
        fuses=config.read_mode is not ReadMode.TORCH,
    )
