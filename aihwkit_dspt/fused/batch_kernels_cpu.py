"""Gradient pulses of a batch with the transfer events within it, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.line_kernels_cpu import read_and_transfer
from aihwkit_dspt.fused.line_pulses_cpu import pulse_lines
from aihwkit_dspt.fused.pulses_cpu import Singles, Words, noisy, pulsed_at_once, pulsed_by_word
from aihwkit_dspt.fused.random_bits import advance, count_ones, normal, stream

Numbers = NDArray[np.int64]
Doubles = NDArray[np.float64]
Flags = NDArray[np.int8]

ALL = 0xFFFFFFFFFFFFFFFF


@compiled
def pulse_part(  # noqa: PLR0912
    weights: Singles,
    visible: Singles,
    kind: int,
    cells: Singles,
    shared: Singles,
    at_once: bool,
    pulses: Words,
    signs: Words,
    others: Words,
    other_signs: Words,
    first: int,
    last: int,
    is_flipped: bool,
    write_noise: float,
    scratch: Words,
    state: Any,
    normals: Singles,
) -> Any:
    """Let the cells of a line take their coincidences in some slots of the trains.

    Args:
        weights: ``[out_size]`` weights of the line, changed.
        visible: ``[out_size]`` weights with write noise, written where there are pulses; the same
            ones without it.
        kind: see :class:`~aihwkit_dspt.pulses.cells.Steps`.
        cells: ``[out_size, 8]`` numbers of its cells.
        shared: ``[8]`` numbers of all cells.
        at_once: whether cells may take some pulses at once.
        pulses: ``[n_words]`` pulses of the line.
        signs: ``[n_words]`` whether its inputs are negative.
        others: ``[out_size, n_words]`` pulses of the lines across.
        other_signs: ``[out_size, n_words]`` whether their inputs are negative.
        first: first slot.
        last: slot after the last one.
        is_flipped: whether the chopper sign of the line is negative.
        write_noise: standard deviation of the write noise, in weight units.
        scratch: ``[3, n_words]``, overwritten.
        state: state of the random numbers.
        normals: normal numbers.

    Returns:
        the next state.
    """
    mine, like, places = scratch[0], scratch[1], scratch[2]
    n_words = 0
    for word in range(first >> 6, (last + 63) >> 6):
        left = pulses[word]
        if word == first >> 6:
            left &= uint64(ALL) << uint64(first & 63)
        if word == (last - 1) >> 6:
            left &= uint64(ALL) >> uint64(63 - ((last - 1) & 63))
        if left != uint64(0):
            mine[n_words], places[n_words] = left, word
            like[n_words] = ~signs[word] if is_flipped else signs[word]
            n_words += 1
    if n_words == 0:
        return state
    word_0, place_0, is_one = mine[0], places[0], n_words == 1
    for cell in range(len(others)):
        if is_one and word_0 & others[cell, place_0] == uint64(0):
            continue  # the usual cell in a small batch
        is_pulsed, weight, variance = False, np.float32(0.0), np.float32(0.0)
        for word in range(n_words):
            left = mine[word] & others[cell, places[word]]
            if left == uint64(0):
                continue
            if not is_pulsed:
                is_pulsed, weight = True, weights[cell]
            unlike = left & (like[word] ^ other_signs[cell, places[word]])
            done = False
            if at_once:
                n_up, n_pulses = count_ones(unlike), count_ones(left)
                done, weight, variance = pulsed_at_once(
                    cells[cell], shared, weight, variance, n_up, n_pulses - n_up
                )
                if not done and variance > np.float32(0.0):
                    weight, state = noisy(weight, np.sqrt(variance), state, normals)
                    variance = np.float32(0.0)
            if not done:
                weight, state = pulsed_by_word(
                    kind, cells[cell], shared, weight, left, unlike, state, normals
                )
        if variance > np.float32(0.0):
            weight, state = noisy(weight, np.sqrt(variance), state, normals)
        if is_pulsed:
            weights[cell] = weight
        if is_pulsed and write_noise > 0.0:
            visible[cell], state = noisy(weight, np.float32(write_noise), state, normals)
    return state


@compiled
def pulse_and_transfer(
    fast: Singles,
    fast_visible: Singles,
    fast_kind: int,
    fast_cells: Singles,
    fast_shared: Singles,
    fast_at_once: bool,
    pulses: Words,
    signs: Words,
    others: Words,
    other_signs: Words,
    fast_noise: float,
    ends: Numbers,
    schedule: Numbers,
    sweeps: Doubles,
    flips: Flags,
    in_sign: Singles,
    out_sign: Singles,
    hidden: Singles,
    sp_estimate: Singles,
    n_reads: Singles,
    reference: Singles,
    law: Doubles,
    options: Doubles,
    slow: Singles,
    slow_visible: Singles,
    slow_kind: int,
    slow_cells: Singles,
    slow_shared: Singles,
    slow_at_once: bool,
    slow_noise: float,
    columns: bool,
    lengths: Numbers,
    line_scales: Singles,
    cell_scales: Singles,
    sent: Doubles,
    seed: int,
    normals: Singles,
) -> None:
    """Send the pulses of a batch and do the transfer events of single lines within it, in order.

    Cells of different lines have nothing to do with each other, so a line takes its pulses when it
    is read, and the rest of them in the end.

    Args:
        fast: ``[in_size, out_size]`` weights of the fast array, changed.
        fast_visible: its weights with write noise.
        fast_kind: see :func:`pulse_part`, as for all up to ``fast_noise``.
        fast_cells: ``[in_size, out_size, 8]`` numbers of its cells.
        fast_shared: numbers of all cells.
        fast_at_once: whether cells may take some pulses at once.
        pulses: ``[in_size, n_words]`` pulses of lines, without chopper signs.
        signs: ``[in_size, n_words]`` whether their inputs are negative.
        others: ``[out_size, n_words]`` pulses of the lines across.
        other_signs: ``[out_size, n_words]`` whether their inputs are negative.
        fast_noise: standard deviation of its write noise, in weight units.
        ends: ``[n_vectors]`` slots of all vectors up to each.
        schedule: ``[4]`` number of events, vectors up to the first one, vectors between events, and
            the first line.
        sweeps: ``[n_sweeps, 2]`` for each sweep that has events the increment of the buffer, in
            pulses per weight unit, and whether pulses are sent to the slow array.
        flips: ``[n_events]`` whether the sign of a line flips (1), its reference follows (2), or
            both (3).
        in_sign: ``[in_size]`` chopper signs of lines, changed.
        out_sign: ``[out_size]`` chopper signs along a line.
        hidden: see :func:`~aihwkit_dspt.fused.line_kernels_cpu.read_and_transfer`.
        sp_estimate: Q.
        n_reads: reads of lines so far.
        reference: the reference, changed where it follows a flip.
        law: the read.
        options: BUFFER and ESTIMATE.
        slow: ``[d_size, x_size]`` weights of the slow array, changed.
        slow_visible: its weights with write noise.
        slow_kind: see :func:`~aihwkit_dspt.fused.line_pulses_cpu.pulse_lines`.
        slow_cells: ``[d_size, x_size, 8]`` numbers of its cells.
        slow_shared: numbers of all cells.
        slow_at_once: whether cells may take some pulses at once.
        slow_noise: standard deviation of its write noise, in weight units.
        columns: whether lines are columns.
        lengths: ``[n]`` slots of the trains of an event whose most pulses of a cell are 0, 1, ...
        line_scales: ``[n]`` probability of a pulse of the line there.
        cell_scales: ``[n]`` probability of a pulse of a cell per unit of its value there.
        sent: ``[1]``, increased by the pulses that are sent to the slow array.
        seed: seed of the random numbers.
        normals: normal numbers.
    """
    in_size, out_size = fast.shape
    taken = np.zeros(in_size, np.int64)
    read, steps = np.empty((1, out_size), np.float32), np.empty((1, out_size), np.float32)
    scratch = np.empty((3, pulses.shape[1]), np.uint64)
    state = stream(seed, 0)
    n_events, first, every, first_line = schedule[0], schedule[1], schedule[2], schedule[3]
    for event in range(n_events):
        end, line = ends[first + event * every - 1], (first_line + event) % in_size
        beta, writes = sweeps[(first_line + event) // in_size]
        state = pulse_part(
            fast[line], fast_visible[line], fast_kind, fast_cells[line], fast_shared, fast_at_once,
            pulses[line], signs[line], others, other_signs, taken[line], end, in_sign[line] < 0.0,
            fast_noise, scratch, state, normals,
        )  # fmt: skip
        taken[line] = end
        if law[1] > 0.0:
            for cell in range(out_size):
                state, bits = advance(state)
                read[0, cell] = normal(bits, normals)
        n_pulses = read_and_transfer(
            fast_visible, line, read, hidden, sp_estimate, n_reads, reference, in_sign, out_sign,
            steps, beta, law, options,
        )  # fmt: skip
        if writes > 0.0 and n_pulses > 0.0:
            most = int(np.abs(steps).max())
            state, bits = advance(state)
            pulse_lines(
                slow, slow_visible, slow_kind, slow_cells, slow_shared, slow_at_once, line, columns,
                steps, lengths[most : most + 1], line_scales[most : most + 1],
                cell_scales[most : most + 1], slow_noise, bits, normals,
            )  # fmt: skip
            sent[0] += n_pulses
        if flips[event] & 1:
            in_sign[line] = -in_sign[line]
        if flips[event] & 2:
            reference[line] = sp_estimate[line]
    for line in range(in_size):
        state = pulse_part(
            fast[line], fast_visible[line], fast_kind, fast_cells[line], fast_shared, fast_at_once,
            pulses[line], signs[line], others, other_signs, taken[line], ends[-1],
            in_sign[line] < 0.0, fast_noise, scratch, state, normals,
        )  # fmt: skip
