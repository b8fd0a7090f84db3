"""From a configuration to arrays, links and the pipeline."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, List, Optional

from aihwkit.exceptions import ConfigError, TileError
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.enums import RPUDataType
from aihwkit.simulator.rpu_base import devices
from torch import device as torch_device

from aihwkit_dspt.configs.built import mark_built
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.declared import check_declared
from aihwkit_dspt.configs.enums import (
    ReadMode,
    ReferenceSync,
    ReferenceType,
    TransferScope,
    TransferStart,
)
from aihwkit_dspt.configs.link_settings import of_link, residual_scales
from aihwkit_dspt.configs.parameter_checks import check_io, check_mapping, check_update
from aihwkit_dspt.loadable import allow_classes
from aihwkit_dspt.plain import plain
from aihwkit_dspt.pulses.choose import batch_pulses
from aihwkit_dspt.reads.array import ArrayReads
from aihwkit_dspt.reads.line import LineReads
from aihwkit_dspt.reads.one_hot import line_noise
from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.estimators import LowPassFilter
from aihwkit_dspt.stages.own import new_stage
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

if TYPE_CHECKING:
    from aihwkit.simulator.configs.devices import PulsedDevice


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
        TileError: if there would be no cells.
        ConfigError: if the compound, or how it is read or pulsed, is not valid.
    """
    if min(x_size, d_size) < 1:
        raise TileError(
            f"a tile with {x_size} inputs and {d_size} outputs has no cells: leave the layer "
            "digital, or pass sizes of 1 and more"
        )
    config = _checked(rpu_config, data_type)
    new_array = partial(Crossbar, x_size, d_size, data_type=data_type)

    def pulsed_array(device: PulsedDevice, *settings: object) -> Crossbar:
        array = new_array(device, *settings)
        array.find_faults()  # takes much memory, so before there are more arrays
        return array

    model_io = rpu_config.forward, rpu_config.backward
    read_io = transfer_read_parameters(config)
    fastest, *between, slowest = config.unit_cell_devices
    pulses = config.transfer_update
    fast = pulsed_array(fastest, read_io, read_io, rpu_config.update)
    batch_pulses(fast, config.pulse_mode, "update", rpu_config.update)
    slow = pulsed_array(slowest, *model_io, pulses)
    others = [pulsed_array(device, read_io, read_io, pulses) for device in between]
    arrays = [fast, *others, slow]
    for array in arrays[1:]:
        batch_pulses(array, config.pulse_mode, "transfer_update", pulses)
    draw_seeded_devices(config, arrays, data_type)
    zeros = fast.weights.new_zeros(d_size, x_size)
    for array in arrays:
        array.program(zeros)
    # Forward and backward go through an array of their own that holds the mixed weight, or
    # through the slow array where there is nothing to mix.
    mixed_array = slow
    if any(residual_scales(config)):
        mixed_array = new_array(IdealDevice(), *model_io)
    with torch_device("cpu"):  # stages ask for no device; torch's default may be another
        links = _links(config, arrays, data_type)
    fast_lr = FastLearningRate(config, fast.granularity, rpu_config.update.desired_bl)
    reads = ArrayReads(mixed_array, *model_io, config.read_mode)
    return Pipeline(config, arrays[::-1], links[::-1], fast_lr, mixed_array, reads)


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
    check_mapping(plain(rpu_config.mapping))
    for name in ("runtime", "pre_post"):
        check_declared(name, plain(getattr(rpu_config, name)))
    if data_type is not RPUDataType.FLOAT and not hasattr(devices, data_type.value):
        raise ConfigError(
            f"runtime.data_type={data_type} is not valid: this aihwkit was built without it; "
            "pass RPUDataType.FLOAT"
        )
    if not config.unit_cell_devices:
        raise ConfigError(
            "unit_cell_devices=[] is not valid: pass two devices, [fast, slow], or more"
        )
    check_update("update", rpu_config.update)
    for name in ("forward", "backward"):
        check_io(name, getattr(rpu_config, name))
        require_reads(name, getattr(rpu_config, name), data_type)
    require_reads("transfer_forward", transfer_read_parameters(config), data_type)
    allow_classes(rpu_config)
    return config


def _links(
    config: TrackingTransferCompound, arrays: List[Crossbar], data_type: RPUDataType
) -> List[Link]:
    """Return the links between arrays, for both the fastest first."""
    fast = arrays[0]
    columns = config.transfer_columns
    in_size, out_size = (fast.x_size, fast.d_size) if columns else (fast.d_size, fast.x_size)
    lines = LineAccess(in_size, columns)
    # Of a whole array nothing is left to be read after an event.
    growth = 1.0 if config.transfer_scope is TransferScope.ARRAY else float(out_size)
    seeds = [chopper_seed(config, number) for number in range(len(arrays) - 1)]
    links: List[Link] = []
    slower: Optional[Link] = None
    for number in reversed(range(len(arrays) - 1)):
        reference_array: Optional[ReferenceArray] = None
        if config.reference_device is not None:
            reference_array = ReferenceArray(
                fast.x_size,
                fast.d_size,
                config.reference_device,
                lines,
                data_type,
                reference_seed(config, number),
            )
        slower = _link(
            of_link(config, number, growth),
            seeds[number],
            arrays[number],
            arrays[number + 1],
            slower.chopper if slower is not None else None,
            lines,
            reference_array,
        )
        links.insert(0, slower)
    return links


def _link(
    config: TrackingTransferCompound,
    seed: int,
    source: Crossbar,
    target: Crossbar,
    target_chopper: Optional[Chopper],
    lines: LineAccess,
    reference_array: Optional[ReferenceArray],
) -> Link:
    """Return the link between two arrays, with new stages."""
    data_type = source.shared.dtype
    sizes = source.d_size, source.x_size
    out_size, in_size = sizes if config.transfer_columns else sizes[::-1]
    read_io = transfer_read_parameters(config)
    line_reads = LineReads(source, lines, read_io, config.read_mode)
    tracks = config.reference is ReferenceType.DYNAMIC
    syncs_every_read = config.reference_sync is ReferenceSync.EVERY_READ
    whole_array = config.transfer_scope is TransferScope.ARRAY
    timing = _timing(config)
    schedule = TransferSchedule(
        in_size,
        config.transfer_every,
        config.units_in_mbatch,
        source.n_states if config.transfer_every < 0.0 else 0.0,
        whole_array,
        config.sweep_every,
    )
    chopper = new_stage(
        *("chopper", config.chopper, "in_sign", [in_size]),
        *(in_size, out_size, config.in_chop_prob, config.out_chop_prob, config.in_chop_random),
        *(timing, seed, data_type),
    )
    # Nothing is estimated where the reference is given.
    kind = config.estimator if tracks else LowPassFilter
    estimator = new_stage(
        *("estimator", kind, "sp_estimate", [in_size, out_size]),
        *(in_size, out_size, config.estimator_eta() if tracks else 0.0, data_type),
    )
    estimator.read_noise = line_noise(read_io, not config.transfer_columns)
    estimator.chop_period = 2.0 / config.in_chop_prob if config.in_chop_prob else 0.0
    reference = Reference(in_size, out_size, data_type)
    if reference_array is not None:
        reference = AnalogReference(in_size, out_size, data_type, reference_array)
    buffer = new_stage(
        *("buffer", config.buffer, "hidden", [in_size, out_size]),
        *(in_size, out_size, config.transfer_update.desired_bl, config.momentum),
        *(config.forget_buffer, config.buffer_cap, config.no_buffer, data_type),
    )
    granularities = source.granularity, target.granularity
    return Link(
        source,
        target,
        target_chopper=target_chopper,
        lines=lines,
        line_reads=line_reads,
        schedule=schedule,
        chopper=chopper,
        buffer=buffer,
        estimator=estimator,
        reference=reference,
        reference_array=reference_array,
        rate=TransferLearningRate(config, *granularities, schedule.events_per_sweep),
        residual_scale=residual_scales(config)[0],
        timing=timing,
        tracks=tracks,
        syncs_every_read=syncs_every_read,
        fuses=config.read_mode is not ReadMode.TORCH,
    )


def _timing(config: TrackingTransferCompound) -> TransferTiming:
    """Return what a link does in which sweep, see ``start`` and ``anneal_sweeps``."""
    return replace(_start(config), anneal_sweeps=config.anneal_sweeps)


def _start(config: TrackingTransferCompound) -> TransferTiming:
    period = config.chop_period()
    if config.start is TransferStart.FIRST_SWEEP:
        return TransferTiming.from_first_sweep(period)
    # Line by line things are timed as in aihwkit's C++ compound, the whole array as the paper's
    # algorithms are printed.
    tracks = config.reference is ReferenceType.DYNAMIC
    if tracks and config.transfer_scope is TransferScope.LINE:
        syncs_every_read = config.reference_sync is ReferenceSync.EVERY_READ
        return TransferTiming.agad(period, syncs_every_read)
    return TransferTiming.printed(period)
