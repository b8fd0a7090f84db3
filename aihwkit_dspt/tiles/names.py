"""Names of arrays, links and what they hold: in states, hidden parameters and results.

Two arrays are the rule, and their names have no number: ``fast``, ``slow``, ``reference``,
``chopper``, ... In a longer chain the fastest array, the link that reads it and the slowest array
keep these names. What belongs to an array between, or to the link that reads it, has ``array_`` and
the number of the array in ``unit_cell_devices`` (0 is the fastest) in front: ``array_1_weights``,
``array_1_reference``, ``array_1_chopper``, ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterator, List, Tuple

from torch import Tensor
from torch.nn import Module

from aihwkit_dspt.stages.schedule import TransferSchedule
from aihwkit_dspt.stages.settling import Settling
from aihwkit_dspt.tiles.crossbar import Crossbar

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.link import Link
    from aihwkit_dspt.tiles.pipeline import Pipeline


def link_prefix(number: int) -> str:
    """Return what comes before the names of all that belongs to a link.

    Args:
        number: number of the array that it reads, as in ``unit_cell_devices``.
    """
    return "" if number == 0 else f"array_{number}_"


def row_name(tile: str, number: int) -> str:
    """Return what a result about an array that is read is called: the tile's name, and its number.

    Args:
        tile: name of the tile in the model, empty for a tile alone.
        number: number of the array, as in ``unit_cell_devices``.
    """
    return ".".join(part for part in (tile, link_prefix(number)[:-1]) if part)


def array_names(n_arrays: int) -> List[str]:
    """Return the names of the arrays in the order of ``unit_cell_devices``."""
    return ["fast", *(f"array_{number}" for number in range(1, n_arrays - 1)), "slow"]


def weight_names(n_arrays: int) -> List[str]:
    """Return the names of their weights in the same order."""
    return [f"{name}_weights" for name in array_names(n_arrays)]


def named_links(pipeline: Pipeline) -> Iterator[Tuple[str, Link]]:
    """Yield what comes before the names of a link, and the link; the fastest first."""
    for number, link in enumerate(pipeline.fastest_first):
        yield link_prefix(number), link


def named_arrays(pipeline: Pipeline) -> Dict[str, Crossbar]:
    """Return all arrays by name, the one for forward and backward included."""
    names = array_names(len(pipeline.arrays))
    names += [f"{prefix}reference_array" for prefix, _ in named_links(pipeline)]
    arrays = dict(zip(names, pipeline.device_arrays()))
    if pipeline.mixed_array is not pipeline.slow:
        arrays["mixed_array"] = pipeline.mixed_array
    return arrays


def named_stages(pipeline: Pipeline) -> Dict[str, Module]:
    """Return the stages that hold tensors, by name."""
    return {
        f"{prefix}{name}": stage
        for prefix, link in named_links(pipeline)
        for name, stage in link.named_stages().items()
    }


def named_schedules(pipeline: Pipeline) -> Dict[str, TransferSchedule]:
    """Return the schedules by name."""
    return {f"{prefix}schedule": link.schedule for prefix, link in named_links(pipeline)}


def named_settlings(pipeline: Pipeline) -> Dict[str, Settling]:
    """Return what says how much is transferred in the first sweeps, by name."""
    return {f"{prefix}settling": link.settling for prefix, link in named_links(pipeline)}


def named_values(pipeline: Pipeline) -> Dict[str, Tensor]:
    """Return the quantities of the method by name, as ``[d_size, x_size]`` views."""
    # Those of two arrays come first and in this order, whatever comes between.
    values: Dict[str, Tensor] = {}
    values["fast_weights"], values["slow_weights"] = pipeline.fast.weights, pipeline.slow.weights
    for prefix, link in named_links(pipeline):
        if prefix:
            values[f"{prefix}weights"] = link.source.weights
        for name, held in link.named_values().items():
            values[f"{prefix}{name}"] = pipeline.oriented(held)
        values[f"{prefix}chopper"] = pipeline.chopper_signs(link)
    return values
