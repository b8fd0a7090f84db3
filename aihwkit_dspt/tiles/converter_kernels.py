"""The converters of a batched product, each in one pass over its values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aihwkit_dspt.tiles.compiled import compiled

Values = NDArray[np.float32]
Rows = NDArray[np.int64]

TINY = np.finfo(np.float32).tiny
MAGNITUDE = np.int32(0x7FFFFFFF)
"""All bits of a float but its sign. Magnitudes in order are integers in order, nan at the top, and
the largest integer takes no branch."""


@compiled
def convert_inputs(
    vectors: Values, inputs: Values, scales: Values, threshold: float, step: float, bound: float
) -> None:
    r"""Divide each vector by its largest magnitude :math:`s` and round it to steps.

    .. math:: x \leftarrow \mathrm{round}(x\, s^{-1} / \mathrm{step})

    Args:
        vectors: ``[n, in_size]`` inputs.
        inputs: ``[n, in_size]``, written: the converted inputs, in steps.
        scales: ``[n, 1]``, written: :math:`s`, 0 for vectors of zeros.
        threshold: largest :math:`s`, 0 for no limit.
        step: step of the converter, 0 for no rounding.
        bound: largest magnitude that leaves the converter, in steps.
    """
    for index in range(vectors.shape[0]):
        largest = np.zeros(1, np.int32)
        bits = vectors[index].view(np.int32)
        highest = np.int32(0)
        for cell in range(bits.shape[0]):
            highest = max(highest, bits[cell] & MAGNITUDE)
        largest[0] = highest
        scale = largest.view(np.float32)[0]
        if threshold > 0.0 and scale > np.float32(threshold):
            scale = np.float32(threshold)
        scales[index, 0] = scale
        _convert(vectors[index], scale, inputs[index], step, bound)


@compiled
def convert_again(
    vectors: Values, rows: Rows, scales: Values, inputs: Values, step: float, bound: float
) -> None:
    """Convert some vectors with twice their scale, as bound management does.

    Args:
        vectors: ``[n, in_size]`` inputs.
        rows: ``[n_rows]`` which of them.
        scales: ``[n, 1]`` scales; those of the rows are doubled.
        inputs: ``[n_rows, in_size]``, written: the converted inputs, in steps.
        step: see :func:`convert_inputs`.
        bound: see :func:`convert_inputs`.
    """
    for index in range(rows.shape[0]):
        scales[rows[index], 0] *= np.float32(2.0)
        _convert(vectors[rows[index]], scales[rows[index], 0], inputs[index], step, bound)


@compiled
def _convert(vector: Values, scale: np.float32, inputs: Values, step: float, bound: float) -> None:
    size = np.float32(step)
    limit = np.float32(bound)
    inverse = np.float32(1.0) / (TINY if scale < TINY else scale)
    for cell in range(vector.shape[0]):
        value = vector[cell] * inverse
        if step > 0.0:
            value = np.rint(value / size)
        if value > limit:
            value = limit
        elif value < -limit:
            value = -limit
        inputs[cell] = value


@compiled
def convert_outputs(
    output: Values, scales: Values, limit: float, bound: float, factor: float, rounds: bool
) -> bool:
    r"""Round outputs, clip them to the bound and rescale them, in place.

    .. math:: y \leftarrow s\, \mathrm{factor}\; \mathrm{clip}(\mathrm{round}(y), \pm bound)

    Args:
        output: ``[n, out_size]`` outputs, in steps.
        scales: ``[n, 1]`` scales :math:`s`.
        limit: if an output exceeds it, all stay as rounded; ``inf`` to clip in any case.
        bound: largest output, in steps.
        factor: value of a step.
        rounds: whether outputs are rounded.

    Returns:
        whether an output exceeded the limit.
    """
    most = np.float32(limit)
    exceeds = False
    for index in range(output.shape[0]):
        for cell in range(output.shape[1]):
            value = output[index, cell]
            if rounds:
                value = np.rint(value)
                output[index, cell] = value
            exceeds |= value > most or value < -most
    if not exceeds:
        rescale_outputs(output, scales, bound, factor)
    return exceeds


@compiled
def rescale_outputs(output: Values, scales: Values, bound: float, factor: float) -> None:
    """Clip rounded outputs to the bound and rescale them; see :func:`convert_outputs`."""
    largest, unit = np.float32(bound), np.float32(factor)
    for index in range(output.shape[0]):
        scale = scales[index, 0] * unit
        for cell in range(output.shape[1]):
            value = output[index, cell]
            if value > largest:
                value = largest
            elif value < -largest:
                value = -largest
            output[index, cell] = value * scale


@compiled
def rows_beyond(output: Values, limit: float) -> Rows:
    """Return the ``[n_rows]`` rows of ``[n, out_size]`` outputs with one beyond the limit."""
    most = np.float32(limit)
    rows = np.empty(output.shape[0], np.int64)
    n_rows = 0
    for index in range(output.shape[0]):
        beyond = False
        for cell in range(output.shape[1]):
            beyond |= output[index, cell] > most or output[index, cell] < -most
        if beyond:
            rows[n_rows] = index
            n_rows += 1
    return rows[:n_rows]


@compiled
def replace_outputs(output: Values, rows: Rows, again: Values, limit: float, rounds: bool) -> Rows:
    """Put outputs that were read again in their place, rounded.

    Args:
        output: ``[n, out_size]`` outputs, written.
        rows: ``[n_rows]`` which rows.
        again: ``[n_rows, out_size]`` their new values.
        limit: see :func:`convert_outputs`.
        rounds: whether outputs are rounded.

    Returns:
        the rows with an output that still exceeds the limit.
    """
    most = np.float32(limit)
    left = np.empty_like(rows)
    n_left = 0
    for index in range(rows.shape[0]):
        beyond = False
        for cell in range(again.shape[1]):
            value = again[index, cell]
            if rounds:
                value = np.rint(value)
            output[rows[index], cell] = value
            beyond |= value > most or value < -most
        if beyond:
            left[n_left] = rows[index]
            n_left += 1
    return left[:n_left]


@compiled
def all_within(values: Values, bound: float) -> bool:
    """Return whether all magnitudes are smaller than a bound; not where one is not a number.

    Args:
        values: ``[n]`` values.
        bound: the bound.
    """
    limit = np.float32(bound)
    within = True
    for cell in range(values.shape[0]):
        within &= -limit < values[cell] < limit
    return within
