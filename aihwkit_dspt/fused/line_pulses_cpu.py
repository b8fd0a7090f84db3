"""Pulses on lines of an array, each with a train of its own, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.pulses_cpu import Singles, noisy, pulsed, pulsed_at_once
from aihwkit_dspt.fused.random_bits import advance, stream

Numbers = NDArray[np.int64]


@compiled
def hits(state: Any, n_slots: int, chance: Any) -> Any:
    """Return the next state, and how many of some slots have a pulse with some probability."""
    limit, n_hits = uint64(min(chance, np.float32(1.0)) * 4294967296.0), 0
    for _ in range(0, n_slots - 1, 2):
        state, bits = advance(state)
        n_hits += int((bits & uint64(0xFFFFFFFF)) < limit) + int((bits >> uint64(32)) < limit)
    if n_slots & 1:
        state, bits = advance(state)
        n_hits += int((bits & uint64(0xFFFFFFFF)) < limit)
    return state, n_hits


@compiled
def pulse_lines(
    weights: Singles,
    visible: Singles,
    kind: int,
    cells: Singles,
    shared: Singles,
    at_once: bool,
    first: int,
    columns: bool,
    values: Singles,
    lengths: Numbers,
    line_scale: Singles,
    cell_scale: Singles,
    write_noise: float,
    seed: int,
    normals: Singles,
) -> None:
    """Send a train on each of some lines, and let its cells take the coincidences with it.

    The input of a line is one, and all of its cells meet its pulses; a cell has as many
    coincidences as pulses of its own fall on these. All of them have one direction.

    Args:
        weights: ``[d_size, x_size]`` weights, changed.
        visible: weights with write noise, written where there are pulses; the same ones without it.
        kind: see :class:`~aihwkit_dspt.pulses.cells.Steps`.
        cells: ``[d_size, x_size, 8]`` numbers of the cells.
        shared: ``[8]`` numbers of all cells.
        at_once: whether cells may take some pulses at once.
        first: number of the first line.
        columns: whether lines are columns, else rows.
        values: ``[n_lines, out_size]`` pulses that are asked for; positive ones increase.
        lengths: ``[n_lines]`` slots of the trains.
        line_scale: ``[n_lines]`` probability of a pulse of the line.
        cell_scale: ``[n_lines]`` probability of a pulse of a cell per unit of its value.
        write_noise: standard deviation of the write noise, in weight units.
        seed: seed of the random numbers.
        normals: normal numbers.
    """
    n_lines, out_size = values.shape
    slots = np.zeros(n_lines, np.int64)
    state = stream(seed, -1)
    for line in range(n_lines):
        if line_scale[line] > 0.0:
            state, slots[line] = hits(state, lengths[line], line_scale[line])
    # In the order of the memory of the array.
    n_outer, n_inner = (out_size, n_lines) if columns else (n_lines, out_size)
    for outer in range(n_outer):
        is_seeded = False  # most cells of a single line take no pulses
        for inner in range(n_inner):
            line, place = (inner, outer) if columns else (outer, inner)
            row, column = (place, first + line) if columns else (first + line, place)
            chance = abs(values[line, place]) * cell_scale[line]
            if not chance > 0.0:
                continue
            if not is_seeded:
                state, is_seeded = stream(seed, outer), True
            state, n_pulses = hits(state, slots[line], chance)
            if n_pulses == 0:
                continue
            cell, weight = cells[row, column], weights[row, column]
            is_up, done, variance = values[line, place] > 0.0, False, np.float32(0.0)
            if at_once:
                n_up = n_pulses if is_up else 0
                n_down = n_pulses - n_up
                done, weight, variance = pulsed_at_once(
                    cell, shared, weight, variance, n_up, n_down
                )
            if variance > np.float32(0.0):
                weight, state = noisy(weight, np.sqrt(variance), state, normals)
            if not done:
                for _ in range(n_pulses):
                    state, bits = advance(state)
                    weight = pulsed(kind, cell, shared, weight, is_up, bits, normals)
            weights[row, column] = weight
            if write_noise > 0.0:
                shown, state = noisy(weight, np.float32(write_noise), state, normals)
                visible[row, column] = shown
