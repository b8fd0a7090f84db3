"""Coincidences of gradient pulses: estimated anywhere, counted by aihwkit on a GPU."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

from torch import nn

from aihwkit_dspt.configs.checks import require_flag
from aihwkit_dspt.tiles.of_model import tracking_tiles

CALL_ESTIMATE = "call estimate_coincidences(model) before the training"
NOT_ESTIMATED = "estimate_coincidences() works on tracking tiles only"
NOT_ON_A_GPU = "aihwkit counts these on a GPU only, for devices with count_pulses=True"


def estimate_coincidences(model: nn.Module, enable: bool = True) -> None:
    r"""Estimate the coincidences of gradient pulses from now on, or stop that.

    Stochastic pulse trains change a cell where both of its lines have a pulse. Per update the
    expected number is

    .. math:: \sum_{ij} |x_j d_i|\, \lambda / \Delta w_{min}

    as long as no pulse probability is clipped at 1, with the learning rate :math:`\lambda` of the
    fast array. The sum takes some microseconds per update, so it is off by default. On a GPU a
    device with ``count_pulses=True`` has the exact number
    (:attr:`~aihwkit_dspt.OperationCounts.coincidences`).

    Args:
        model: a model with tracking tiles, or one tile. Tiles of other kinds estimate nothing.
        enable: whether to estimate.

    Raises:
        ArgumentError: if ``model`` is not a module or ``enable`` not a flag.
        TileError: if the model has no tracking tile.
    """
    require_flag("enable", enable)
    for tile in tracking_tiles(model).values():
        tile.tile.pipeline.counters.estimates_coincidences = enable


def counted_pulses(cpp_tile: Any, devices: Sequence[object], is_cuda: bool) -> List[Optional[int]]:
    """Return the pulses that aihwkit's counters have seen in all cells, for each device.

    aihwkit's CUDA devices with ``count_pulses=True`` count the coincidences of each cell,
    ``get_pulse_counters()`` returns ``[2 * n_devices, d_size, x_size]`` up and down pulses. Its CPU
    devices do not count and return nothing: ``None`` here. Source:
    ``PulsedRPUDeviceCuda::getPulseCounters`` and ``VectorRPUDeviceCuda`` of aihwkit.
    """
    counts: List[Optional[int]] = [None] * len(devices)
    counting = [place for place, device in enumerate(devices) if getattr(device, "count_pulses", 0)]
    if not is_cuda or not counting:
        return counts
    # A device without a pulse so far has no counter and takes no place. Gradient pulses go to the
    # first array before anything goes to the next one, so those that are missing come last.
    counters = cpp_tile.get_pulse_counters()
    pairs = [int(pair.sum()) for pair in counters.split(2)] if counters.numel() > 0 else []
    for number, place in enumerate(counting):
        counts[place] = pairs[number] if number < len(pairs) else 0
    return counts
