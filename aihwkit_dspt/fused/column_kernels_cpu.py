"""Converters of a read for vectors in the second dimension, as layers pass images on the CPU."""

from __future__ import annotations

import numpy as np

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.read_kernels_cpu import MAGNITUDE, TINY, Values

BESIDE = 128
"""Vectors side by side whose entries stay in the cache of a core while they are passed twice."""


@compiled
def convert_input_columns(
    vectors: Values, inputs: Values, scales: Values, threshold: float, step: float, bound: float
) -> None:
    """Divide each vector by its largest size and round it to steps, in the second dimension.

    See :func:`~aihwkit_dspt.fused.read_kernels_cpu.convert_inputs`.

    Args:
        vectors: ``[n, in_size, m]`` inputs.
        inputs: ``[n, in_size, m]``, written: the converted inputs, in steps.
        scales: ``[n, 1, m]``, written: the scales, 0 for vectors of zeros.
        threshold: see there.
        step: see there.
        bound: see there.
    """
    bits = vectors.view(np.int32)
    highest = np.empty(BESIDE, np.int32)
    largest, inverse = highest.view(np.float32), np.empty(BESIDE, np.float32)
    size, limit, most = np.float32(step), np.float32(bound), np.float32(threshold)
    for index in range(vectors.shape[0]):
        for start in range(0, vectors.shape[2], BESIDE):
            stop = min(start + BESIDE, vectors.shape[2])
            highest[:] = 0
            for cell in range(vectors.shape[1]):
                part = bits[index, cell, start:stop]
                for place in range(stop - start):
                    highest[place] = max(highest[place], part[place] & MAGNITUDE)
            for place in range(stop - start):
                scale = largest[place]
                if threshold > 0.0 and scale > most:
                    scale = most
                scales[index, 0, start + place] = scale
                inverse[place] = np.float32(1.0) / (TINY if scale < TINY else scale)
            for cell in range(vectors.shape[1]):
                values, found = vectors[index, cell, start:stop], inputs[index, cell, start:stop]
                for place in range(stop - start):
                    value = values[place] * inverse[place]
                    if step > 0.0:
                        value = np.rint(value / size)
                    value = limit if value > limit else value
                    found[place] = -limit if value < -limit else value


@compiled
def convert_output_columns(
    output: Values, scales: Values, limit: float, bound: float, factor: float, rounds: bool
) -> bool:
    """Do :func:`~aihwkit_dspt.fused.read_kernels_cpu.convert_outputs` in the same layout.

    Args:
        output: ``[n, out_size, m]`` outputs, in steps.
        scales: ``[n, 1, m]`` scales.
        limit: see there.
        bound: see there.
        factor: see there.
        rounds: see there.

    Returns:
        whether an output exceeded the limit.
    """
    most, largest, unit = np.float32(limit), np.float32(bound), np.float32(factor)
    exceeds = False
    for index in range(output.shape[0]):
        for cell in range(output.shape[1]):
            values = output[index, cell]
            for place in range(values.shape[0]):
                value = values[place]
                if rounds:
                    value = np.rint(value)
                    values[place] = value
                exceeds |= value > most or value < -most
    if exceeds:
        return True
    for index in range(output.shape[0]):
        own = scales[index, 0]
        for cell in range(output.shape[1]):
            values = output[index, cell]
            for place in range(values.shape[0]):
                value = values[place]
                value = largest if value > largest else value
                value = -largest if value < -largest else value
                values[place] = value * (own[place] * unit)
    return False
