"""Pulses of all vectors of a batch on cells with fine linear steps, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32, uint64
from numpy.typing import NDArray

from aihwkit_dspt.fused.compiled import compiled, compiled_inside
from aihwkit_dspt.fused.pulses_cpu import (
    TOLERANCE,
    Singles,
    Words,
    active_lines,
    after_pulses,
    noisy,
    pulsed_at_once,
    pulsed_by_word,
)
from aihwkit_dspt.fused.random_bits import count_ones, stream
from aihwkit_dspt.pulses.cells import NUMBERS

WORDS = 64
"""Words of all columns that stay in the cache of a core while the rows take them."""

SMALLEST = np.float32(1e-6)
"""Part of a step by which a pulse changes it, below which more words are not worth while."""

OTHERS = 16
"""Of so many cells one may have to take the pulses of fewer words at once than the others do."""

Counts = NDArray[np.int32]


@compiled_inside
def most_at_once(up_slope: Any, down_slope: Any) -> Any:
    """Return the most pulses that a cell may take at once."""
    return int32(TOLERANCE / max(abs(up_slope), abs(down_slope), SMALLEST))


@compiled
def count_words(
    pulses: Words, signs: Words, own: Words, own_signs: Words, word: Any, taken: Counts,
    most: Counts,
) -> int:  # fmt: skip
    """Count the pulses of all cells of a row in two words, side by side.

    Args:
        pulses: ``[n_words, n_columns]`` pulses of columns.
        signs: ``[n_words, n_columns]`` whether their inputs are negative.
        own: ``[n_words]`` pulses of the row.
        own_signs: ``[n_words]`` whether its inputs are negative.
        word: the first one.
        taken: ``[2, n_columns]``, increased: pulses, and those up.
        most: ``[n_columns]`` most pulses that may be taken at once.

    Returns:
        how many cells would have more than these after as many pulses again.
    """
    n_beyond, other = int32(0), word + uint64(1)
    own_0, own_1 = own[word], own[other]
    sign_0, sign_1 = own_signs[word], own_signs[other]
    for place in range(most.shape[0]):
        both_0, both_1 = pulses[word, place] & own_0, pulses[other, place] & own_1
        up_0 = both_0 & (signs[word, place] ^ sign_0)
        up_1 = both_1 & (signs[other, place] ^ sign_1)
        n_all = int32(count_ones(both_0) + count_ones(both_1))
        n_taken = int32(taken[0, place] + n_all)
        taken[0, place] = n_taken
        taken[1, place] += int32(count_ones(up_0) + count_ones(up_1))
        n_beyond += int32(n_taken + n_all > most[place])
    return int(n_beyond)


@compiled
def take_at_once(
    row: Singles, is_part: bool, taken: Counts, weights: Singles, variances: Singles, left: Counts
) -> int:
    """Let the cells of a row take their pulses at once that may; the others are left.

    Args:
        row: ``[8, n_columns]`` numbers of the cells.
        is_part: whether their noise is a part of the step.
        taken: ``[2, n_columns]`` pulses, and those up.
        weights: ``[n_columns]`` weights, changed.
        variances: ``[n_columns]`` variances of noise that is still to be added, changed.
        left: ``[n_columns]``, written: 1 for a cell that has not taken its pulses.

    Returns:
        the number of cells that are left.
    """
    n_left = 0
    for place in range(weights.shape[0]):
        n_all, n_up = taken[0, place], taken[1, place]
        weight, variance = weights[place], variances[place]
        done, mean, spread = after_pulses(
            row[0, place], row[1, place], row[2, place], row[3, place], row[4, place],
            row[5, place], row[6, place], row[7, place], is_part, weight, variance,
            np.float32(n_up), np.float32(int32(n_all - n_up)),
        )  # fmt: skip
        is_left = int32(n_all > 0) & int32(not done)
        left[place] = is_left
        n_left += is_left
        weights[place] = weight if is_left else mean
        variances[place] = variance if is_left else spread
    return n_left


@compiled
def take_by_words(
    row: Singles, taken: Counts, shared: Singles, pulses: Words, signs: Words, own: Words,
    own_signs: Words, weights: Singles, variances: Singles, left: Counts, state: Any,
    normals: Singles,
) -> Any:  # fmt: skip
    """Let the cells of a row that are left take the pulses of fewer words at once, or one by one.

    Most of them may take those of one half of the words, and then those of the other.

    Args:
        row: see :func:`take_at_once`.
        taken: see there.
        shared: ``[8]`` numbers of all cells.
        pulses: ``[n_words, n_columns]`` pulses of columns.
        signs: ``[n_words, n_columns]`` whether their inputs are negative.
        own: ``[n_words]`` pulses of the row.
        own_signs: ``[n_words]`` whether its inputs are negative.
        weights: see :func:`take_at_once`.
        variances: see there.
        left: see there.
        state: state of the random numbers.
        normals: normal numbers.

    Returns:
        the next state.
    """
    half = (len(own) + 1) // 2
    for place in range(weights.shape[0]):
        if left[place] == 0:
            continue
        cell, weight, variance = row[:, place], weights[place], variances[place]
        most, begin = most_at_once(cell[1], cell[3]), 0
        n_all, n_up = 0, 0
        for word in range(half):
            both = pulses[word, place] & own[word]
            n_all += count_ones(both)
            n_up += count_ones(both & (signs[word, place] ^ own_signs[word]))
        others = int(taken[0, place]) - n_all
        if n_all <= most and others <= most:
            done, mean, spread = pulsed_at_once(cell, shared, weight, variance, n_up, n_all - n_up)
            if done:
                n_up = int(taken[1, place]) - n_up
                done, mean, spread = pulsed_at_once(cell, shared, mean, spread, n_up, others - n_up)
            if done:
                weights[place], variances[place] = mean, spread
                continue
        while begin < len(own):
            # Words as long as their pulses do not change the steps too much.
            n_pulses, n_unlike, end = 0, 0, begin
            while end < len(own):
                both = pulses[end, place] & own[end]
                more = count_ones(both)
                if n_pulses + more > most and n_pulses > 0:
                    break
                n_pulses += more
                n_unlike += count_ones(both & (signs[end, place] ^ own_signs[end]))
                end += 1
            if n_pulses == 0:
                break
            done, weight, variance = pulsed_at_once(
                cell, shared, weight, variance, n_unlike, n_pulses - n_unlike
            )
            if not done and variance > np.float32(0.0):
                weight, state = noisy(weight, np.sqrt(variance), state, normals)
                variance = np.float32(0.0)
            for word in range(end if done else begin, end):
                both = pulses[word, place] & own[word]
                unlike = signs[word, place] ^ own_signs[word]
                weight, state = pulsed_by_word(
                    0, cell, shared, weight, both, unlike, state, normals
                )
            begin = end
        weights[place], variances[place] = weight, variance
    return state


@compiled
def gather(lines: Words, found: Words, start: Any, stop: Any) -> Words:
    """Return ``[n_words, n]`` words of some of ``[size, n_words]`` lines, side by side.

    There is a last one of zeros, so that they can be taken in pairs.
    """
    words = np.zeros((stop - start + uint64(1), len(found)), np.uint64)
    for place in range(len(found)):
        for word in range(start, stop):
            words[word - start, place] = lines[found[place], word]
    return words


@compiled
def pulse_fine_cells(
    weights: Singles,
    visible: Singles,
    cells: Singles,
    shared: Singles,
    x_pulses: Words,
    x_signs: Words,
    d_pulses: Words,
    d_signs: Words,
    write_noise: float,
    seed: int,
    normals: Singles,
) -> None:
    """Let all cells take their coincidences, those of some words at once where they may.

    The steps of the cells are linear. See :func:`~aihwkit_dspt.fused.pulses_cpu.pulse_cells` for
    the arguments.
    """
    # A row at a time, its columns side by side: processors do several of them at once.
    n_words = x_pulses.shape[1]
    columns, rows = np.empty(len(x_pulses), np.uint64), np.empty(len(d_pulses), np.uint64)
    is_part = shared[0] > np.float32(0.0)
    for first in range(0, n_words, WORDS):
        start, stop = uint64(first), uint64(min(first + WORDS, n_words))
        n_columns = active_lines(x_pulses, start, stop, columns)
        n_rows = active_lines(d_pulses, start, stop, rows)
        if n_columns == 0 or n_rows == 0:
            continue
        found = columns[:n_columns]
        pulses, signs = gather(x_pulses, found, start, stop), gather(x_signs, found, start, stop)
        size = stop - start
        own, own_signs = np.zeros(size + uint64(1), np.uint64), np.empty(size + 1, np.uint64)
        row_cells = np.empty((NUMBERS, n_columns), np.float32)
        held, variances = np.empty(n_columns, np.float32), np.empty(n_columns, np.float32)
        taken, most = np.empty((2, n_columns), np.int32), np.empty(n_columns, np.int32)
        left, is_pulsed = np.empty(n_columns, np.int32), np.empty(n_columns, np.int32)
        for row in rows[:n_rows]:
            state = stream(seed, row * uint64(n_words) + start)
            for place in range(n_columns):
                column = columns[place]
                for number in range(NUMBERS):
                    row_cells[number, place] = cells[row, column, number]
                held[place] = weights[row, column]
                most[place] = most_at_once(row_cells[1, place], row_cells[3, place])
            variances[:], taken[:], is_pulsed[:] = np.float32(0.0), 0, 0
            own[:size], own_signs[:size] = d_pulses[row, start:stop], d_signs[row, start:stop]
            begin, word = uint64(0), uint64(0)
            while word < size:
                n_beyond = count_words(pulses, signs, own, own_signs, word, taken, most)
                word += uint64(2)
                # Words as long as the pulses of most cells do not change the steps too much.
                if word < size and n_beyond * OTHERS <= n_columns:
                    continue
                if take_at_once(row_cells, is_part, taken, held, variances, left) > 0:
                    state = take_by_words(
                        row_cells, taken, shared, pulses[begin:word], signs[begin:word],
                        own[begin:word], own_signs[begin:word], held, variances, left, state,
                        normals,
                    )  # fmt: skip
                is_pulsed |= taken[0]
                taken[:], begin = 0, word
            for place in range(n_columns):
                if is_pulsed[place] == 0:
                    continue
                weight, column = held[place], columns[place]
                if variances[place] > np.float32(0.0):
                    weight, state = noisy(weight, np.sqrt(variances[place]), state, normals)
                weights[row, column] = weight
                if write_noise > 0.0:
                    shown, state = noisy(weight, np.float32(write_noise), state, normals)
                    visible[row, column] = shown
