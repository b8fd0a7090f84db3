"""Pulses of all vectors of a batch, cell by cell, on the CPU."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from aihwkit_dspt.fused.compiled import compiled, compiled_inside
from aihwkit_dspt.fused.random_bits import advance, normal, stream
from aihwkit_dspt.pulses.cells import LARGEST_CHANGE

Singles = NDArray[np.float32]
Words = NDArray[np.uint64]

WORDS_AT_ONCE = 32
"""Words of trains of all columns that stay in the cache of a core while the rows take them."""

TOLERANCE = np.float32(LARGEST_CHANGE)
"""Part of the step by which pulses that are taken at once may change it, in any cell."""

SPREADS = np.float32(5.0)
"""Standard deviations of the noise of pulses that are kept from the bounds."""


@compiled_inside
def step_of(kind: int, cell: Singles, shared: Singles, weight: Any, is_up: bool) -> Tuple[Any, Any]:
    """Return mean and standard deviation of a pulse; see :func:`~aihwkit_dspt.pulses.cells_of`."""
    if kind == 0:
        if is_up:
            mean, noise = cell[0] + cell[1] * weight, cell[4]
        else:
            mean, noise = cell[2] + cell[3] * weight, cell[5]
        return mean, noise * abs(mean) if shared[0] > 0.0 else noise
    one, zero = np.float32(1.0), np.float32(0.0)
    if kind == 1:
        height = cell[2] * weight + shared[4]
        if is_up:
            mean = cell[0] * max(one - shared[0] * np.exp(shared[2] * height), zero)
        else:
            mean = cell[1] * max(one - shared[1] * np.exp(-shared[3] * height), zero)
        return mean, shared[5] * abs(mean) + shared[6] + shared[7] * abs(weight)
    if is_up:
        mean = cell[0] * ((cell[7] - weight) * cell[4]) ** cell[2]
    else:
        mean = cell[1] * ((weight - cell[6]) * cell[4]) ** cell[3]
    return mean, shared[0] * abs(mean)


@compiled_inside
def pulsed(
    kind: int,
    cell: Singles,
    shared: Singles,
    weight: Any,
    is_up: bool,
    bits: Any,
    normals: Singles,
) -> Any:
    """Return the weight of a cell after one pulse, whose noise comes from 64 random bits."""
    if kind > 0 and not cell[7] > cell[6]:
        return weight  # a cell without range
    mean, noise = step_of(kind, cell, shared, weight, is_up)
    change = mean + noise * normal(bits, normals)
    weight = weight + change if is_up else weight - change
    # As aihwkit compares: what is no number (a power beyond the bounds) becomes the lower bound.
    weight = weight if weight > cell[6] else cell[6]
    return weight if weight < cell[7] else cell[7]


@compiled_inside
def after_pulses(
    up_0: Any, up_1: Any, down_0: Any, down_1: Any, up_noise: Any, down_noise: Any, low: Any,
    high: Any, is_part: bool, weight: Any, variance: Any, ups: Any, downs: Any,
) -> Tuple[bool, Any, Any]:  # fmt: skip
    r"""Return whether linear pulses may be taken at once, and mean and variance after them.

    Pulses up and down are mixed, so that the weight follows :math:`dw/dt = f(w)` with
    :math:`f = n_\uparrow (u_0 + u_1 w) - n_\downarrow (d_0 + d_1 w)` for :math:`t` from 0 to 1.
    Noise and random order spread it by :math:`n_\uparrow \sigma_\uparrow^2 + n_\downarrow
    \sigma_\downarrow^2 + \frac{n_\uparrow n_\downarrow}{n} (q_+ + q_-)^2 f'^2 / 12`, and a spread
    from before shrinks or grows as :math:`f` says. They may be, if no bound is within their reach
    and the steps do not change too much. The variance is that of a normal number which is still to
    be added to the mean.

    There is no branch in it, so that processors do several cells at once.
    """
    one, zero = np.float32(1.0), np.float32(0.0)
    up, down = up_0 + up_1 * weight, down_0 + down_1 * weight
    up_noise = up_noise * abs(up) if is_part else up_noise
    down_noise = down_noise * abs(down) if is_part else down_noise
    slope, n_pulses = ups * up_1 - downs * down_1, ups + downs
    # Pulses in a random order: the earlier ones have been forgotten to a part.
    order = ups * downs / max(n_pulses, one) * ((up + down) * slope) ** 2 / np.float32(12.0)
    gain = one + slope * (np.float32(0.5) + slope * np.float32(1.0 / 6.0))
    kept = one + slope * gain
    spread = ups * up_noise * up_noise + downs * down_noise * down_noise + order
    spread += variance * kept * kept
    room_up = high - weight - ups * max(up, zero)
    room_down = weight - low - downs * max(down, zero)
    room = min(room_up, room_down)
    fits = (
        (n_pulses * max(abs(up_1), abs(down_1)) <= TOLERANCE)
        & (room > zero)
        & (room * room > SPREADS * SPREADS * spread)
    )
    return fits, weight + (ups * up - downs * down) * gain, spread


@compiled_inside
def pulsed_at_once(
    cell: Singles, shared: Singles, weight: Any, variance: Any, n_up: Any, n_down: Any
) -> Tuple[bool, Any, Any]:
    """Return whether linear pulses are taken at once, and mean and variance then; else as before.

    See :func:`after_pulses`.
    """
    fits, mean, spread = after_pulses(
        cell[0], cell[1], cell[2], cell[3], cell[4], cell[5], cell[6], cell[7],
        shared[0] > np.float32(0.0), weight, variance, np.float32(n_up), np.float32(n_down),
    )  # fmt: skip
    return (True, mean, spread) if fits else (False, weight, variance)


@compiled_inside
def pulsed_by_word(
    kind: int,
    cell: Singles,
    shared: Singles,
    weight: Any,
    both: Any,
    unlike: Any,
    state: Any,
    normals: Singles,
) -> Tuple[Any, Any]:
    """Return the weight of a cell after the pulses of a word, one by one, and the next state.

    A product of inputs above zero decreases the weight, as in SGD: pulses of unlike signs go up.
    """
    while both != uint64(0):
        one = both & (~both + uint64(1))
        state, bits = advance(state)
        is_up = (unlike & one) != uint64(0)
        weight = pulsed(kind, cell, shared, weight, is_up, bits, normals)
        both ^= one
    return weight, state


@compiled_inside
def noisy(weight: Any, noise: Any, state: Any, normals: Singles) -> Tuple[Any, Any]:
    """Return a weight with normal noise of a standard deviation, and the next state."""
    state, bits = advance(state)
    return weight + noise * normal(bits, normals), state


@compiled
def active_lines(pulses: Words, first: Any, last: Any, found: Words) -> int:
    """Find the lines with a pulse in some words; return their number."""
    n_found = 0
    for line in range(pulses.shape[0]):
        any_pulse = uint64(0)
        for word in range(first, last):
            any_pulse |= pulses[line, word]
        found[n_found] = uint64(line)
        n_found += int(any_pulse != uint64(0))
    return n_found


@compiled
def pulse_cells(
    weights: Singles,
    visible: Singles,
    kind: int,
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
    """Let all cells take their coincidences one after the other.

    Args:
        weights: ``[d_size, x_size]`` weights, changed.
        visible: ``[d_size, x_size]`` weights with write noise, written where there are pulses; the
            same ones without it.
        kind: see :class:`~aihwkit_dspt.pulses.cells.Steps`.
        cells: ``[d_size, x_size, 8]`` numbers of the cells.
        shared: ``[8]`` numbers of all cells.
        x_pulses: ``[x_size, n_words]`` pulses of columns.
        x_signs: ``[x_size, n_words]`` whether their inputs are negative.
        d_pulses: ``[d_size, n_words]`` pulses of rows.
        d_signs: ``[d_size, n_words]`` whether their inputs are negative.
        write_noise: standard deviation of the write noise, in weight units.
        seed: seed of the noise.
        normals: normal numbers.
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
                is_pulsed = False
                for word in range(start, stop):
                    both = x_pulses[column, word] & d_pulses[row, word]
                    if both == uint64(0):
                        continue
                    is_pulsed = True
                    unlike = x_signs[column, word] ^ d_signs[row, word]
                    weight, state = pulsed_by_word(
                        kind, cell, shared, weight, both, unlike, state, normals
                    )
                if not is_pulsed:
                    continue
                weights[row, column] = weight
                if write_noise > 0.0:
                    shown, state = noisy(weight, np.float32(write_noise), state, normals)
                    visible[row, column] = shown
