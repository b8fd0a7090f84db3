"""What a tile tells about its pipeline."""

from __future__ import annotations

from math import inf
from typing import Any

from torch import Tensor, cat

from aihwkit_dspt.tiles.pipeline import Pipeline


def described(pipeline: Pipeline, bias: bool, indexed: bool) -> str:
    """Return the devices, the method, and what carries out reads and pulses.

    Args:
        pipeline: the pipeline.
        bias: whether the vectors of forward and backward have an analog bias.
        indexed: whether an index matrix makes them.
    """
    config, link = pipeline.config, pipeline.link
    names = " -> ".join(type(device).__name__ for device in config.unit_cell_devices)
    return (
        f"{names}, reference={config.reference.value}, gamma={config.gamma}, "
        f"{pipeline.reads.describe(bias, indexed)}, "
        f"line={link.line_reads.executor_name(link.schedule.lines_per_event)}, "
        f"pulses={_pulses(pipeline)}"
    )


def _pulses(pipeline: Pipeline) -> str:
    """Return what sends pulses now, and for how many of a cell if that depends on them."""
    array = pipeline.fast
    tile, batched = "cuda" if array.is_cuda else "cpp", array.batched
    if batched is None or array.is_cuda:
        return tile
    limited = [form for form in pipeline.forms if form.most_pulses < inf]
    most = "".join(f"{each.NAME}: up to {each.most_pulses:.1f} per cell, " for each in limited)
    if batched.takes_all:
        return f"[{most}{batched.NAME}]" if most else batched.NAME
    return f"[{most}{tile}, {batched.NAME}: {batched.fewest_pulses:.1f}+ per cell]"


def meta_parameters(pipeline: Pipeline) -> Any:
    """Return aihwkit's meta parameters as they were configured: forward, backward and update."""
    parameters = pipeline.mixed_array.cpp.get_meta_parameters()
    parameters.update = pipeline.fast.cpp.get_meta_parameters().update
    return parameters


def pulse_counters(pipeline: Pipeline) -> Tensor:
    """Return the pulses of the fast, the slow and (if analog) the reference array.

    As aihwkit's compounds: ``[2 * n_arrays, d_size, x_size]`` up and down pulses of the arrays that
    have counted, which only devices with ``count_pulses=True`` do, on a GPU; else empty.
    """
    counters = [array.tile.get_pulse_counters() for array in pipeline.device_arrays()]
    counted = [counter for counter in counters if counter.numel() > 0]
    return cat(counted) if counted else counters[0]
