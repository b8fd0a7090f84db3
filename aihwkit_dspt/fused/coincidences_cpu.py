"""Gradient pulses of one vector where few cells take any, on the CPU."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
from numba import int64, uint64

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.pulses_cpu import Singles, Words, noisy, pulsed, pulsed_at_once
from aihwkit_dspt.fused.random_bits import advance, count_ones
from aihwkit_dspt.fused.trains_cpu import DIGITS, LOWEST

ALL = 0xFFFFFFFFFFFFFFFF

LONGEST = 64
"""Slots of a train that fit a word."""


@compiled
def draw_active(
    values: Singles,
    scale: Any,
    n_slots: int,
    signs: Singles,
    is_chopped: bool,
    state: Any,
    lines: Words,
    words: Words,
    negative: Words,
) -> Tuple[Any, int]:
    """Draw the pulses of a vector and find the lines that have any.

    Args:
        values: ``[size]`` inputs of lines.
        scale: probability of a pulse per unit of input.
        n_slots: slots of the train, at most :data:`LONGEST`.
        signs: ``[size]`` chopper signs of the lines.
        is_chopped: whether these act.
        state: state of the random numbers.
        lines: ``[size]``, written: the lines with pulses.
        words: ``[size]``, written: a bit for each slot, the first one lowest.
        negative: ``[size]``, written: 1 where the input is negative, signs included.

    Returns:
        the next state and the number of lines with pulses.
    """
    n_found, used = 0, uint64(ALL) >> uint64(64 - n_slots)
    for line in range(values.shape[0]):
        value = values[line]
        chance = min(abs(value) * scale, np.float32(1.0))
        if not chance > np.float32(0.0):  # also what is no number
            continue
        limit, word = int64(chance * np.float32(2.0**DIGITS)), uint64(0)
        for slot in range(0, n_slots, 2):
            state, bits = advance(state)
            one = uint64(int64(bits >> uint64(64 - DIGITS)) < limit)
            two = uint64(int64(bits & uint64(LOWEST)) < limit)
            word |= (one | (two << uint64(1))) << uint64(slot)
        word &= used
        is_negative = uint64(value < np.float32(0.0))
        if is_chopped:
            is_negative ^= uint64(signs[line] < np.float32(0.0))
        lines[n_found], words[n_found], negative[n_found] = uint64(line), word, is_negative
        n_found += int(word != uint64(0))
    return state, n_found


@compiled
def pulse_coincidences(
    weights: Singles,
    visible: Singles,
    stored: Singles,
    mixed: Singles,
    mixes: bool,
    columns: bool,
    factors: Singles,
    kind: int,
    cells: Singles,
    shared: Singles,
    at_once: bool,
    write_noise: Any,
    rows: Words,
    row_words: Words,
    row_negative: Words,
    n_rows: int,
    columns_found: Words,
    column_words: Words,
    column_negative: Words,
    n_columns: int,
    state: Any,
    normals: Singles,
) -> Any:
    r"""Let the cells at which pulses of rows and columns meet take these, some at once if they may.

    Args:
        weights: ``[d_size, x_size]`` weights, changed.
        visible: ``[d_size, x_size]`` weights with write noise, written where there are pulses; the
            same ones without it.
        stored: ``[d_size, x_size]`` part of the mixed weight without the fast array.
        mixed: ``[d_size, x_size]`` mixed weight, written where there are pulses.
        mixes: whether there is a mixed weight.
        columns: whether lines are columns.
        factors: ``[in_size]`` :math:`\gamma` times the chopper sign of lines.
        kind: see :class:`~aihwkit_dspt.pulses.cells.Steps`.
        cells: ``[d_size, x_size, 8]`` numbers of the cells.
        shared: ``[8]`` numbers of all cells.
        at_once: whether cells may take some pulses at once.
        write_noise: standard deviation of the write noise, in weight units.
        rows: ``[d_size]`` rows with pulses.
        row_words: ``[d_size]`` their pulses.
        row_negative: ``[d_size]`` whether their inputs are negative.
        n_rows: number of rows with pulses.
        columns_found: as ``rows``, for columns, and so on.
        column_words: see there.
        column_negative: see there.
        n_columns: see there.
        state: state of the random numbers.
        normals: normal numbers.

    Returns:
        the next state.
    """
    for place in range(n_rows):
        row, word, sign = rows[place], row_words[place], row_negative[place]
        for other in range(n_columns):
            both = word & column_words[other]
            if both == uint64(0):
                continue
            column, is_up = columns_found[other], sign != column_negative[other]
            cell, weight = cells[row, column], weights[row, column]
            if at_once and both & (both - uint64(1)) != uint64(0):
                # All of a vector have one direction.
                n_pulses = count_ones(both)
                n_up = n_pulses if is_up else 0
                done, weight, variance = pulsed_at_once(
                    cell, shared, weight, np.float32(0.0), n_up, n_pulses - n_up
                )
                if done:
                    weight, state = noisy(weight, np.sqrt(variance), state, normals)
                    both = uint64(0)
            while both != uint64(0):
                both &= both - uint64(1)
                state, bits = advance(state)
                weight = pulsed(kind, cell, shared, weight, is_up, bits, normals)
            weights[row, column] = weight
            if write_noise > np.float32(0.0):
                weight, state = noisy(weight, write_noise, state, normals)
                visible[row, column] = weight
            if mixes:
                factor = factors[column] if columns else factors[row]
                mixed[row, column] = stored[row, column] + weight * factor
    return state
