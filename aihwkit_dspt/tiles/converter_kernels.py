"""The converters of a batched product, each in one pass over its values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aihwkit_dspt.tiles.compiled import compiled

Values = NDArray[np.float32]

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
    size = np.float32(step)
    limit = np.float32(bound)
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
        inverse = np.float32(1.0) / (TINY if scale < TINY else scale)
        for cell in range(bits.shape[0]):
            value = vectors[index, cell] * inverse
            if step > 0.0:
                value = np.rint(value / size)
            if value > limit:
                value = limit
            elif value < -limit:
                value = -limit
            inputs[index, cell] = value


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
    most, largest, unit = np.float32(limit), np.float32(bound), np.float32(factor)
    exceeds = False
    for index in range(output.shape[0]):
        for cell in range(output.shape[1]):
            value = output[index, cell]
            if rounds:
                value = np.rint(value)
                output[index, cell] = value
            exceeds |= value > most or value < -most
    if exceeds:
        return True
    for index in range(output.shape[0]):
        scale = scales[index, 0] * unit
        for cell in range(output.shape[1]):
            value = output[index, cell]
            if value > largest:
                value = largest
            elif value < -largest:
                value = -largest
            output[index, cell] = value * scale
    return False


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
