"""Pulses of all vectors of a batch on cells with fine linear steps, on the CPU."""

from __future__ import annotations

import numpy as np
from numba import int64, uint64

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.pulses_cpu import (
    TOLERANCE,
    WORDS_AT_ONCE,
    Singles,
    Words,
    active_lines,
    noisy,
    pulsed_at_once,
    pulsed_by_word,
)
from aihwkit_dspt.fused.random_bits import count_ones, stream

SMALLEST = np.float32(1e-6)
"""Part of a step by which a pulse changes it, below which more words are not worth while."""


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
    # In one function: a call hands over each array as seven numbers, which costs more than a word.
    # Indices are unsigned: Numba takes signed ones for counts from the end where they are negative.
    n_words = x_pulses.shape[1]
    columns, rows = np.empty(len(x_pulses), np.uint64), np.empty(len(d_pulses), np.uint64)
    for first in range(0, n_words, WORDS_AT_ONCE):
        start, stop = uint64(first), uint64(min(first + WORDS_AT_ONCE, n_words))
        n_columns = active_lines(x_pulses, start, stop, columns)
        n_rows = active_lines(d_pulses, start, stop, rows)
        for row in rows[:n_rows]:
            state = stream(seed, row * uint64(n_words) + start)
            for column in columns[:n_columns]:
                cell, weight = cells[row, column], weights[row, column]
                variance = np.float32(0.0)
                most = int64(TOLERANCE / max(abs(cell[1]), abs(cell[3]), SMALLEST))
                begin, n_all = start, 0
                while begin < stop:
                    # Words as long as their pulses do not change the steps too much.
                    n_pulses, n_unlike, end = 0, 0, begin
                    while end < stop:
                        both = x_pulses[column, end] & d_pulses[row, end]
                        more = count_ones(both)
                        if n_pulses + more > most and n_pulses > 0:
                            break
                        n_pulses += more
                        n_unlike += count_ones(both & (x_signs[column, end] ^ d_signs[row, end]))
                        end += uint64(1)
                    if n_pulses == 0:
                        break
                    n_all += n_pulses
                    done, weight, variance = pulsed_at_once(
                        cell, shared, weight, variance, n_unlike, n_pulses - n_unlike
                    )
                    if not done and variance > np.float32(0.0):
                        weight, state = noisy(weight, np.sqrt(variance), state, normals)
                        variance = np.float32(0.0)
                    for word in range(end if done else begin, end):
                        both = x_pulses[column, word] & d_pulses[row, word]
                        unlike = x_signs[column, word] ^ d_signs[row, word]
                        weight, state = pulsed_by_word(
                            0, cell, shared, weight, both, unlike, state, normals
                        )
                    begin = end
                if n_all == 0:
                    continue
                if variance > np.float32(0.0):
                    weight, state = noisy(weight, np.sqrt(variance), state, normals)
                weights[row, column] = weight
                if write_noise > 0.0:
                    shown, state = noisy(weight, np.float32(write_noise), state, normals)
                    visible[row, column] = shown
