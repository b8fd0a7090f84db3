"""What a batched read does to its values: converters in one pass, products of a few vectors.

All in one file: Numba does not notice that a function in another file has changed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aihwkit_dspt.fused.compiled import compiled, compiled_sums

Values = NDArray[np.float32]
Rows = NDArray[np.int64]

TINY = np.finfo(np.float32).tiny
ZERO = np.float32(0.0)
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
    """Convert ``[n_rows]`` rows of the vectors with twice their scale, as bound management does.

    The scales of these rows are doubled. See :func:`convert_inputs`.
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
    """Put ``[n_rows, out_size]`` outputs that were read again in their rows, rounded.

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


# -- products of a few vectors --------------------------------------------------------------------


@compiled
def read_few(
    vectors: Values,
    weights: Values,
    by_columns: bool,
    output: Values,
    scales: Values,
    threshold: float,
    step: float,
    in_bound: float,
    gain: float,
    noise: float,
    limit: float,
    bound: float,
    factor: float,
    rounds: bool,
) -> bool:
    """Do :func:`convert_inputs`, :func:`multiply_few` and :func:`convert_outputs` in one call."""
    inputs = np.empty_like(vectors)
    convert_inputs(vectors, inputs, scales, threshold, step, in_bound)
    multiply_few(inputs, weights, by_columns, output, gain, noise)
    return convert_outputs(output, scales, limit, bound, factor, rounds)


@compiled
def multiply_few(
    inputs: Values, weights: Values, by_columns: bool, output: Values, gain: float, noise: float
) -> None:
    r"""Multiply a few vectors with an array, in one pass over the array.

    .. math:: Y \leftarrow \mathrm{noise}\; Y + \mathrm{gain}\; X W^T
              \quad\text{or}\quad \mathrm{noise}\; Y + \mathrm{gain}\; X W

    A library's matrix product rearranges its operands first, which pays for many vectors.

    Args:
        inputs: ``[n, x_size]`` vectors by columns, ``[n, d_size]`` by rows.
        weights: ``[d_size, x_size]`` weights, in order in memory.
        by_columns: whether the vectors are inputs of columns (the first formula).
        output: ``[n, d_size]`` or ``[n, x_size]``, written: normal random numbers, then outputs.
        gain: factor of the products.
        noise: standard deviation of the noise; with 0 what the output held does not matter.
    """
    for vector in range(output.shape[0]):
        for cell in range(output.shape[1]):
            output[vector, cell] = output[vector, cell] * np.float32(noise) if noise > 0.0 else ZERO
    if by_columns:
        _add_by_columns(inputs, weights, output, np.float32(gain))
    else:
        _add_by_rows(inputs, weights, output, np.float32(gain))


@compiled_sums
def _add_by_columns(inputs: Values, weights: Values, output: Values, gain: np.float32) -> None:
    last_row, last_vector = weights.shape[0] - 1, inputs.shape[0] - 1
    # Four rows and two vectors at once: eight sums for six numbers from memory.
    for row in range(0, last_row + 1, 4):
        w_0, w_1 = weights[row], weights[min(row + 1, last_row)]
        w_2, w_3 = weights[min(row + 2, last_row)], weights[min(row + 3, last_row)]
        n_rows = min(4, last_row + 1 - row)
        for vector in range(0, last_vector + 1, 2):
            x_0, x_1 = inputs[vector], inputs[min(vector + 1, last_vector)]
            s_0, s_1, s_2, s_3 = ZERO, ZERO, ZERO, ZERO
            t_0, t_1, t_2, t_3 = ZERO, ZERO, ZERO, ZERO
            for cell in range(inputs.shape[1]):
                s_0 += w_0[cell] * x_0[cell]
                s_1 += w_1[cell] * x_0[cell]
                s_2 += w_2[cell] * x_0[cell]
                s_3 += w_3[cell] * x_0[cell]
                t_0 += w_0[cell] * x_1[cell]
                t_1 += w_1[cell] * x_1[cell]
                t_2 += w_2[cell] * x_1[cell]
                t_3 += w_3[cell] * x_1[cell]
            for index, total in enumerate((s_0, s_1, s_2, s_3)):
                if index < n_rows:
                    output[vector, row + index] += gain * total
            for index, total in enumerate((t_0, t_1, t_2, t_3)):
                if index < n_rows and vector < last_vector:
                    output[vector + 1, row + index] += gain * total


@compiled_sums
def _add_by_rows(inputs: Values, weights: Values, output: Values, gain: np.float32) -> None:
    last_row, last_vector = weights.shape[0] - 1, inputs.shape[0] - 1
    factors = np.zeros((inputs.shape[0] + 1, 4), np.float32)
    spare = np.zeros(weights.shape[1], np.float32)  # beside the last of an odd number of vectors
    for row in range(0, last_row + 1, 4):
        w_0, w_1 = weights[row], weights[min(row + 1, last_row)]
        w_2, w_3 = weights[min(row + 2, last_row)], weights[min(row + 3, last_row)]
        for vector in range(last_vector + 1):
            for index in range(4):
                inside = row + index <= last_row
                factors[vector, index] = gain * inputs[vector, row + index] if inside else ZERO
        for vector in range(0, last_vector + 1, 2):
            f, g = factors[vector], factors[vector + 1]
            y, z = output[vector], output[vector + 1] if vector < last_vector else spare
            for cell in range(weights.shape[1]):
                y[cell] += f[0] * w_0[cell] + f[1] * w_1[cell] + f[2] * w_2[cell] + f[3] * w_3[cell]
                z[cell] += g[0] * w_0[cell] + g[1] * w_1[cell] + g[2] * w_2[cell] + g[3] * w_3[cell]


@compiled
def all_within(values: Values, bound: float) -> bool:
    """Return whether all magnitudes are smaller than a bound; not where one is not a number."""
    limit = np.float32(bound)
    within = True
    for cell in range(values.shape[0]):
        within &= -limit < values[cell] < limit
    return within
