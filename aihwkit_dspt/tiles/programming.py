"""Setting the mixed weight and the references of a pipeline from outside."""

from __future__ import annotations

from typing import Sequence, Union

from aihwkit.exceptions import TileError
from torch import Tensor

from aihwkit_dspt.configs.checks import require_whole
from aihwkit_dspt.configs.enums import ReferenceType
from aihwkit_dspt.configs.tensor_checks import require_numbers
from aihwkit_dspt.tiles.link import Link
from aihwkit_dspt.tiles.pipeline import Pipeline


def program_weight(pipeline: Pipeline, weight: Tensor, is_first: bool) -> None:
    r"""Program the arrays so that the mixed weight is ``[d_size, x_size]`` values.

    All arrays but the slowest are programmed onto their references, so that the residuals are
    zero, and the slowest to the weight (as far as the bounds of the cells allow; with
    ``spread_remainder`` its sums over inputs are kept). What was learned about symmetric points and
    the chopper phases is kept; the transfer buffers, which belong to the old weight, are emptied
    and line counting starts anew.

    Args:
        pipeline: the pipeline.
        weight: the values.
        is_first: whether no weight has been set before. Values that are not finite count as zero
            then: aihwkit's mapped convolutions set uninitialised memory once, before they
            initialise.

    Raises:
        TileError: for a wrong shape, or values that are not finite; the tile is left as it was.
    """
    weight = weight.detach().to(pipeline.mixed_array.weights)
    if weight.shape != pipeline.sizes():
        raise TileError(f"weight has shape {list(weight.shape)}: pass {list(pipeline.sizes())}")
    if is_first:
        weight = weight.nan_to_num(0.0, 0.0, 0.0)
    elif not bool(weight.isfinite().all()):
        raise TileError("weight has values that are not finite: pass finite weights")
    for link in pipeline.links:
        link.source.program(pipeline.oriented(link.reference.values))
        link.restart()
    pipeline.slow.program(weight - pipeline.residual(), pipeline.config.spread_remainder)
    pipeline.refresh_weights()


def program_reference(pipeline: Pipeline, reference: object, array: int) -> None:
    r"""Program the reference :math:`\tilde Q` (and the estimate) to calibrated values.

    Args:
        pipeline: the pipeline.
        reference: ``[d_size, x_size]`` symmetric points, in weight units.
        array: number of the array that they belong to, as in ``unit_cell_devices``: 0 is the
            fastest; the slowest has no reference.

    Raises:
        ArgumentError: if no array of this number has a reference.
        TileError: for a wrong shape, values that are not finite or a compound with
            ``reference=ReferenceType.ZERO``; the tile is left as it was.
    """
    _sync(pipeline, pipeline.link_of(array), _checked(pipeline, reference))
    pipeline.refresh_weights()


def calibrate(pipeline: Pipeline, symmetric_points: Union[Tensor, Sequence[Tensor]]) -> None:
    """Set the references to points at which arrays were left, keeping the mixed weight.

    Args:
        pipeline: the pipeline.
        symmetric_points: ``[d_size, x_size]`` weights after calibration: of the fast array, or one
            tensor for each array but the slowest, the fastest first.

    Raises:
        ArgumentError: if there are more tensors than references.
        TileError: see :func:`program_reference`.
    """
    is_one = isinstance(symmetric_points, Tensor)
    given = [symmetric_points] if is_one else list(symmetric_points)
    require_whole("number of symmetric_points", len(given), 1, len(pipeline.links))
    checked = [_checked(pipeline, points) for points in given]
    weights = pipeline.mixed_array.weights.clone()
    for link, points in zip(pipeline.fastest_first, checked):
        _sync(pipeline, link, points)
        link.source.place(points)
        link.buffer.hidden.zero_()
    pipeline.slow.program(weights - pipeline.residual(), pipeline.config.spread_remainder)
    pipeline.refresh_weights()


def _checked(pipeline: Pipeline, reference: object) -> Tensor:
    """Return values of a reference as a tensor like the weights, see :func:`program_reference`."""
    if pipeline.config.reference is ReferenceType.ZERO:
        raise TileError(
            "reference=ReferenceType.ZERO has no reference to set: build the tile with "
            "reference=ReferenceType.STATIC"
        )
    checked = require_numbers("reference", reference, pipeline.sizes(), TileError)
    return checked.to(pipeline.mixed_array.weights)


def _sync(pipeline: Pipeline, link: Link, reference: Tensor) -> None:
    link.estimator.set_points(pipeline.oriented(reference))
    link.sync(link.everything)
