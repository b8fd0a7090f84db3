"""Pulses on lines of an array, each with a train of its own, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int32, uint64
from numpy.typing import NDArray

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.pulses_cpu import Singles, noisy, pulsed, pulsed_at_once
from aihwkit_dspt.fused.random_bits import advance, count_ones, stream
from aihwkit_dspt.fused.trains_cpu import DIGITS, MOST_SLOTS, draw_slots

Words = NDArray[np.uint64]
Numbers = NDArray[np.int64]

TOP = np.float32(2.0**DIGITS)

FEWEST_BESIDE = 8
"""From so many cells side by side on, of which one in so many may have pulses, these are drawn side
by side, too, in less time than one by one."""


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
def find_chances(
    values: Singles, place: int, across: bool, cell_scale: Singles, limits: Numbers
) -> int:
    """Write the limits below which random bits make a pulse, of cells that lie side by side.

    Args:
        values: see :func:`pulse_lines`.
        place: the cell of all lines, or the line.
        across: whether it is the cell.
        cell_scale: see there.
        limits: ``[n]``, written; see :func:`~aihwkit_dspt.fused.trains_cpu.find_limits`.

    Returns:
        how many of them may have a pulse.
    """
    n_active = 0
    for inner in range(limits.shape[0]):
        value = values[inner, place] if across else values[place, inner]
        chance = min(abs(value) * cell_scale[inner if across else place], np.float32(1.0))
        limits[inner] = int32((chance if chance > 0.0 else np.float32(0.0)) * TOP)
        n_active += int(limits[inner] > 0)
    return n_active


@compiled
def draw_hits(first: Words, second: Words, limits: Numbers, slots: Numbers, hit: Numbers) -> None:
    """Draw how many of their slots have a pulse, of cells side by side.

    Args:
        first: ``[n]`` states of generators, see :func:`~aihwkit_dspt.fused.trains_cpu.draw_slots`.
        second: ``[n]`` see there.
        limits: ``[n]`` see there.
        slots: ``[n]`` slots of each.
        hit: ``[n]``, written.
    """
    found = np.empty(len(hit), np.uint64)
    hit[:] = 0
    most = slots.max()
    for begin in range(0, most, MOST_SLOTS):
        draw_slots(first, second, limits, min(MOST_SLOTS, most - begin), found)
        for place in range(hit.shape[0]):
            n_own = min(max(slots[place] - begin, 0), MOST_SLOTS)
            hit[place] += count_ones(found[place] & ((uint64(1) << uint64(n_own)) - uint64(1)))


@compiled
def pulse_lines(  # noqa: PLR0912, PLR0915
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
    limits, hit = np.empty(n_inner, np.int64), np.empty(n_inner, np.int64)
    of_cells = np.empty(n_inner, np.int64)
    first_states, second_states = np.empty(n_inner, np.uint64), np.empty(n_inner, np.uint64)
    if n_inner >= FEWEST_BESIDE:
        of_cells[:] = slots[0]
        if columns:
            of_cells[:] = slots
        for inner in range(n_inner):
            first_states[inner] = stream(seed, -2 * inner - 2)
            second_states[inner] = stream(seed, -2 * inner - 3) | uint64(1)
    for outer in range(n_outer):
        is_seeded = False  # most cells of a single line take no pulses
        are_many = False
        if n_inner >= FEWEST_BESIDE:
            # Those of cells that lie side by side are drawn so, if not most have none.
            n_active = find_chances(values, outer, columns, cell_scale, limits)
            are_many = n_active * FEWEST_BESIDE >= n_inner
            if are_many:
                if not columns:
                    of_cells[:] = slots[outer]
                draw_hits(first_states, second_states, limits, of_cells, hit)
        for inner in range(n_inner):
            line, place = (inner, outer) if columns else (outer, inner)
            row, column = (place, first + line) if columns else (first + line, place)
            chance = abs(values[line, place]) * cell_scale[line]
            if not chance > 0.0 or (are_many and hit[inner] == 0):
                continue
            if not is_seeded:
                state, is_seeded = stream(seed, outer), True
            n_pulses = hit[inner]
            if not are_many:
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
