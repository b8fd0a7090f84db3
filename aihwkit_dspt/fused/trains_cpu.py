"""Pulse trains of all lines of an array, as bits, on the CPU.

A function returns one array at most: Numba runs Python code for each array that it returns, and an
interrupt (Ctrl-C) in the first of several comes out as a ``SystemError``.
"""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
from numba import int32, int64, types, uint64
from numba.extending import intrinsic
from numpy.typing import NDArray

from aihwkit_dspt.fused.compiled import compiled, compiled_sums
from aihwkit_dspt.fused.random_bits import stream

Singles = NDArray[np.float32]
Words = NDArray[np.uint64]
Doubles = NDArray[np.float64]

DIGITS = 30
"""Random bits of a slot: so many fit a signed number of 32 bits, which processors convert fast."""

LOWEST = (1 << DIGITS) - 1

MOST_SLOTS = 32
"""Slots that are drawn in one call."""


@compiled
def find_limits(values: Singles, scale: Any, limits: Any) -> None:
    """Write the limits below which random bits make a pulse, for ``[size]`` inputs of a vector."""
    for line in range(values.shape[0]):
        chance = min(abs(values[line]) * scale, np.float32(1.0))
        chance = chance if chance > np.float32(0.0) else np.float32(0.0)  # also what is no number
        limits[line] = int32(chance * np.float32(2.0**DIGITS))


@compiled
def draw_slots(first: Words, second: Words, limits: Any, n_slots: int, found: Words) -> None:
    """Draw some slots of all lines, in a loop over lines that processors do several at once.

    Args:
        first: ``[size]`` first part of the states of generators (xorshift128+), advanced.
        second: ``[size]`` second part, advanced.
        limits: ``[size]`` see :func:`find_limits`.
        n_slots: number of slots, at most :data:`MOST_SLOTS`.
        found: ``[size]``, written: a bit for each slot, the first one lowest.
    """
    found[:] = uint64(0)
    for slot in range(0, n_slots, 2):
        place = uint64(slot)
        has_two = uint64(slot + 1 < n_slots)
        for line in range(limits.shape[0]):
            old, state = first[line], second[line]
            first[line] = state
            old ^= old << uint64(23)
            old ^= (old >> uint64(18)) ^ state ^ (state >> uint64(5))
            second[line] = old
            bits, limit = old + state, limits[line]
            one = uint64(int64(bits >> uint64(64 - DIGITS)) < limit)
            two = uint64(int64(bits & uint64(LOWEST)) < limit) & has_two
            found[line] |= (one | (two << uint64(1))) << place


@compiled
def draw_trains(
    values: Singles, scales: Singles, lengths: Any, seed: int, pulses: Words, signs: Words
) -> None:
    """Draw the pulses of lines: a bit for each slot, the slots of all vectors in a row.

    Args:
        values: ``[n_vectors, size]`` inputs of the lines.
        scales: ``[n_vectors]`` probability of a pulse per unit of input.
        lengths: ``[n_vectors]`` slots of each vector.
        seed: seed of the random numbers.
        pulses: ``[size, n_words]``, written: whether there is a pulse.
        signs: ``[size, n_words]``, written: whether its input is negative.
    """
    n_vectors, size = values.shape
    first, second = np.empty(size, np.uint64), np.empty(size, np.uint64)
    for line in range(size):
        first[line] = stream(seed, 2 * line)
        second[line] = stream(seed, 2 * line + 1) | uint64(1)  # a state of zeros would stay
    limits, found = np.empty(size, np.int64), np.empty(size, np.uint64)
    word_pulses, word_signs = np.zeros(size, np.uint64), np.zeros(size, np.uint64)
    place = 0
    for vector in range(n_vectors):
        if lengths[vector] > 0:
            find_limits(values[vector], scales[vector], limits)
        for begin in range(0, lengths[vector], MOST_SLOTS):
            n_slots = min(MOST_SLOTS, lengths[vector] - begin)
            draw_slots(first, second, limits, n_slots, found)
            word, shift = place >> 6, place & 63
            for line in range(size):
                bits = found[line] << uint64(shift)
                word_pulses[line] |= bits
                word_signs[line] |= bits if values[vector, line] < 0.0 else uint64(0)
            place += n_slots
            if place >> 6 == word:
                continue
            for line in range(size):
                pulses[line, word], signs[line, word] = word_pulses[line], word_signs[line]
                bits = found[line] >> uint64(64 - shift) if shift > 0 else uint64(0)
                word_pulses[line] = bits
                word_signs[line] = bits if values[vector, line] < 0.0 else uint64(0)
    if place & 63:
        pulses[:, place >> 6], signs[:, place >> 6] = word_pulses, word_signs


@intrinsic  # type: ignore[untyped-decorator]
def _as_number(_: Any, bits: Any) -> Any:
    """Return the single-precision number of the lowest 32 bits."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lowest = builder.trunc(arguments[0], context.get_value_type(types.int32))
        return builder.bitcast(lowest, context.get_value_type(signature.return_type))

    return types.float32(types.int64), code


@compiled_sums
def size_of(values: Singles) -> Tuple[Any, Any]:
    """Return the largest and the summed size of the entries of a vector.

    In the order of their bits numbers without a sign are in order, and what is no number is the
    largest: so processors take several at once.
    """
    most, total = 0, np.float32(0.0)
    bits = values.view(np.int32)
    for place in range(values.shape[0]):
        most = max(most, bits[place] & 0x7FFFFFFF)
        total += abs(values[place])
    return _as_number(most), total


@compiled
def sizes_of(x_values: Singles, d_values: Singles) -> Singles:
    """Return the largest sizes of vectors, and the products of their summed sizes.

    ``[n_vectors, 3]``: the largest size of an input and of an error, and the sum of the sizes of
    the inputs times that of the errors.

    Args:
        x_values: ``[n_vectors, x_size]`` inputs.
        d_values: ``[n_vectors, d_size]`` errors.
    """
    found = np.empty((len(x_values), 3), np.float32)
    for vector in range(len(x_values)):
        x_most, x_sum = size_of(x_values[vector])
        d_most, d_sum = size_of(d_values[vector])
        found[vector, 0], found[vector, 1], found[vector, 2] = x_most, d_most, x_sum * d_sum
    return found


@compiled
def train_of(x_max: Any, d_max: Any, speed: Any, law: Doubles) -> Tuple[int, Any, Any]:
    """Return slots and scales of a vector; see :class:`~aihwkit_dspt.pulses.trains.TrainLaw`.

    Args:
        x_max: largest size of the column inputs.
        d_max: largest size of the row inputs.
        speed: learning rate.
        law: the numbers of the law, see there.
    """
    number = np.float32
    most, size, whole = number(law[0]), number(law[5]), speed / number(law[5])
    manages_lengths = law[2] > 0.0
    length, x_scale, d_scale = int(law[0]), number(1.0), number(1.0)
    if not (law[1] > 0.0 or manages_lengths) and whole > most:
        length = max(int(np.ceil(whole)), 1)
    else:
        x_scale = d_scale = np.sqrt(whole / most)
    if not law[3] > 0.0:
        return length, x_scale, d_scale
    x_value, d_value = x_max, number(law[4]) * d_max
    wanted = speed * x_value * d_value / size
    limited = d_value * (most / max(wanted, most))
    # Vectors of zeros and of what is no number, or too large for one, have no pulses.
    if not (x_value > number(0.0) and limited > number(0.0)) or np.isnan(wanted):
        length, x_value, limited = 0, number(1.0), number(1.0)
        wanted = speed / size
    if manages_lengths:
        if length > 0:
            length = int(min(np.ceil(wanted), most))
        slots = number(max(length, 1))
        x_scale = d_scale = np.sqrt(speed / (size * slots))
    return length, x_scale * np.sqrt(limited / x_value), d_scale * np.sqrt(x_value / limited)


@compiled
def trains_of(
    x_max: Singles,
    d_max: Singles,
    rates: Singles,
    law: Doubles,
    lengths: NDArray[np.int64],
    x_scale: Singles,
    d_scale: Singles,
) -> None:
    """Find the trains of vectors; see :class:`~aihwkit_dspt.pulses.trains.TrainLaw`.

    Args:
        x_max: ``[n_vectors]`` largest size of the column inputs.
        d_max: ``[n_vectors]`` largest size of the row inputs.
        rates: ``[n_vectors]`` learning rates, or one for all.
        law: see :func:`train_of`.
        lengths: ``[n_vectors]``, written: see :class:`~aihwkit_dspt.pulses.trains.Trains`.
        x_scale: ``[n_vectors]``, written.
        d_scale: ``[n_vectors]``, written.
    """
    for vector in range(len(x_max)):
        rate = rates[min(vector, len(rates) - 1)]
        lengths[vector], x_scale[vector], d_scale[vector] = train_of(
            x_max[vector], d_max[vector], rate, law
        )


@compiled
def flip(pulses: Words, signs: Words, of_lines: Singles) -> None:
    """Turn the signs of the pulses of lines that have a chopper sign below zero.

    Args:
        pulses: ``[size, n_words]`` pulses.
        signs: ``[size, n_words]`` whether their inputs are negative, changed.
        of_lines: ``[size]`` chopper signs, or none.
    """
    for line in range(len(of_lines)):
        if of_lines[line] < np.float32(0.0):
            for word in range(pulses.shape[1]):
                signs[line, word] ^= pulses[line, word]


@compiled
def draw_batch(
    x_values: Singles, d_values: Singles, sizes: Singles, x_signs: Singles, d_signs: Singles,
    seeds: NDArray[np.int64], rates: Singles, law: Doubles,
) -> Words:  # fmt: skip
    """Return the slots of all vectors up to each, and pulses and signs of columns and rows.

    All in one array, one after the other: ``[n_vectors]`` ends, ``[x_size, n_words]`` pulses and
    signs of columns, ``[d_size, n_words]`` pulses and signs of rows.

    Args:
        x_values: ``[n_vectors, x_size]`` inputs of columns.
        d_values: ``[n_vectors, d_size]`` inputs of rows.
        sizes: ``[n_vectors, 3]`` see :func:`sizes_of`.
        x_signs: ``[x_size]`` chopper signs that the inputs take, or none.
        d_signs: ``[d_size]`` chopper signs that the errors take, or none.
        seeds: ``[2]`` seeds, of columns and rows.
        rates: see :func:`trains_of`.
        law: see :func:`train_of`.
    """
    n_vectors, x_size, d_size = len(x_values), x_values.shape[1], d_values.shape[1]
    lengths = np.empty(n_vectors, np.int64)
    x_scale, d_scale = np.empty(n_vectors, np.float32), np.empty(n_vectors, np.float32)
    trains_of(sizes[:, 0], sizes[:, 1], rates, law, lengths, x_scale, d_scale)
    n_words = (lengths.sum() + 63) >> 6
    found = np.empty(n_vectors + 2 * (x_size + d_size) * n_words, np.uint64)
    total = uint64(0)
    for vector in range(n_vectors):
        total += uint64(lengths[vector])
        found[vector] = total
    of_columns, start = x_size * n_words, n_vectors
    of_rows, middle = d_size * n_words, n_vectors + 2 * of_columns
    pulses = found[start : start + of_columns].reshape((x_size, n_words))
    signs = found[start + of_columns : middle].reshape((x_size, n_words))
    draw_trains(x_values, x_scale, lengths, seeds[0], pulses, signs)
    flip(pulses, signs, x_signs)
    pulses = found[middle : middle + of_rows].reshape((d_size, n_words))
    signs = found[middle + of_rows :].reshape((d_size, n_words))
    draw_trains(d_values, d_scale, lengths, seeds[1], pulses, signs)
    flip(pulses, signs, d_signs)
    return found
