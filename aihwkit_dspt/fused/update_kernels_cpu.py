"""A whole update where few cells take pulses, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, uint64
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from aihwkit_dspt.fused.addresses import single_at
from aihwkit_dspt.fused.coincidences_cpu import draw_active, pulse_coincidences
from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.line_kernels_cpu import read_and_transfer
from aihwkit_dspt.fused.line_pulses_cpu import pulse_lines
from aihwkit_dspt.fused.random_bits import N_NORMALS, advance, normal, stream

Singles = NDArray[np.float32]
Doubles = NDArray[np.float64]
Numbers = NDArray[np.int64]
Flags = NDArray[np.int8]


@compiled
def store_and_mix(
    stored: Singles,
    mixed: Singles,
    slow: Singles,
    fast: Singles,
    reference: Singles,
    factors: Singles,
    columns: bool,
    lines: Numbers,
) -> None:
    r"""Write the part :math:`W - \gamma\, c \circ \tilde Q` and the mixed weight of lines.

    With the roundings of :func:`~aihwkit_dspt.fused.line_kernels_cpu.store_lines` and ``mix``.

    Args:
        stored: ``[d_size, x_size]`` part, written.
        mixed: ``[d_size, x_size]`` mixed weight, written.
        slow: ``[d_size, x_size]`` slow weights.
        fast: ``[d_size, x_size]`` fast weights.
        reference: ``[in_size, out_size]`` reference.
        factors: ``[in_size]`` :math:`\gamma` times the chopper sign of lines.
        columns: whether lines are columns.
        lines: ``[n]`` the lines.
    """
    # In the order of the memory of the arrays.
    n_outer, n_inner = (len(stored), len(lines)) if columns else (len(lines), stored.shape[1])
    for outer in range(n_outer):
        for inner in range(n_inner):
            line, cell = (lines[inner], outer) if columns else (lines[outer], inner)
            row, column = (cell, line) if columns else (line, cell)
            kept = slow[row, column] - reference[line, cell] * factors[line]
            stored[row, column] = kept
            mixed[row, column] = kept + fast[row, column] * factors[line]


@compiled
def store_and_mix_pulsed(
    stored: Singles,
    mixed: Singles,
    slow: Singles,
    fast: Singles,
    reference: Singles,
    factor: Any,
    columns: bool,
    line: int,
    steps: Singles,
) -> None:
    """Do :func:`store_and_mix` in the cells of a line that were sent pulses, which are few.

    Args:
        stored: see there.
        mixed: see there.
        slow: see there.
        fast: see there.
        reference: see there.
        factor: that of the line.
        columns: see there.
        line: the line.
        steps: ``[out_size]`` pulse numbers.
    """
    for cell in range(steps.shape[0]):
        if steps[cell] != np.float32(0.0):
            row, column = (cell, line) if columns else (line, cell)
            kept = slow[row, column] - reference[line, cell] * factor
            stored[row, column] = kept
            mixed[row, column] = kept + fast[row, column] * factor


@compiled
def update_and_mix(  # noqa: PLR0912, PLR0915
    places: Numbers, numbers: Doubles, trains: Singles, sweeps: Doubles, flips: Flags
) -> None:
    r"""Send the pulses of a batch and do the events of single lines within and after it, in order.

    The mixed weight follows in the cells that change.

    Args:
        places: ``(d_size, x_size, transfer_columns, mixes, is_chopped, n_vectors, n_events, first,
            every, first_line, fast_kind, slow_kind, slow_at_once, fast_at_once, n_trains, seed)``:
            the shape of the arrays, whether lines are columns, whether there is a mixed weight and
            whether signs ever flip, vectors and events, vectors up to the first event and between
            events (0: all are after the first ones), the first line, what pulses do
            (:class:`~aihwkit_dspt.pulses.cells.Steps`) and whether cells may take some at once, and
            the seed of the random numbers; then the addresses of inputs and errors, of the weights
            of the fast array below and with write noise, of its cells and the numbers that they
            share, of the same four of the slow array, of the stored part and the mixed weight, of
            the ``[3, n_trains]`` trains of an event whose most pulses of a cell are 0, 1, ...
            (slots, probability of a pulse of the line, and of a cell per unit of its value), of
            normal numbers, and of what
            :func:`~aihwkit_dspt.fused.line_kernels_cpu.read_and_transfer` takes from the buffer to
            ``out_sign``.
        numbers: :math:`\gamma`, the write noise of both arrays, the pulses that were sent to the
            slow array (increased), the five of the read, and the eight of BUFFER and ESTIMATE.
        trains: see :func:`~aihwkit_dspt.fused.rates_cpu.plan_trains`.
        sweeps: ``[n_sweeps, 2]`` for each sweep that has events the increment of the buffer, in
            pulses per weight unit, and whether pulses are sent to the slow array.
        flips: ``[n_events]`` whether the sign of a line flips (1), its reference follows (2), or
            both (3).
    """
    d_size, x_size, columns, mixes = places[0], places[1], places[2] > 0, places[3] > 0
    in_size, out_size = (x_size, d_size) if columns else (d_size, x_size)
    n_vectors, n_events, first_line, n_trains = places[5], places[6], places[9], places[14]
    shape, at = (d_size, x_size), places[16:]
    x_values = carray(single_at(at[0]), (n_vectors, x_size))
    d_values = carray(single_at(at[1]), (n_vectors, d_size))
    fast, visible = carray(single_at(at[2]), shape), carray(single_at(at[3]), shape)
    fast_cells = carray(single_at(at[4]), (d_size, x_size, 8))
    fast_shared = carray(single_at(at[5]), (8,))
    slow, slow_visible = carray(single_at(at[6]), shape), carray(single_at(at[7]), shape)
    slow_cells = carray(single_at(at[8]), (d_size, x_size, 8))
    slow_shared = carray(single_at(at[9]), (8,))
    stored, mixed = carray(single_at(at[10]), shape), carray(single_at(at[11]), shape)
    of_lines = carray(single_at(at[12]), (3, n_trains))
    normals = carray(single_at(at[13]), (N_NORMALS,))
    hidden = carray(single_at(at[14]), (in_size, out_size))
    sp_estimate = carray(single_at(at[15]), (in_size, out_size))
    n_reads = carray(single_at(at[16]), (in_size,))
    reference = carray(single_at(at[17]), (in_size, out_size))
    in_sign, out_sign = (
        carray(single_at(at[18]), (in_size,)),
        carray(single_at(at[19]), (out_size,)),
    )
    strides = visible.strides[::-1] if columns else visible.strides
    matrix = as_strided(visible, (in_size, out_size), strides)
    law, options, is_chopped = numbers[4:9], numbers[9:17], places[4] > 0
    factors = in_sign * np.float32(numbers[0])
    fast_noise, state = np.float32(numbers[1]), stream(places[15], 0)
    most = max(d_size, x_size)
    found = np.empty((2, 3, most), np.uint64)
    read, steps = np.empty((1, out_size), np.float32), np.empty((1, out_size), np.float32)
    length = np.empty(1, np.int64)
    changed, is_changed, n_changed = np.empty(n_events, np.int64), np.zeros(in_size, np.int8), 0
    vector = 0
    for event in range(n_events + 1):
        stop = n_vectors if event == n_events else places[7] + event * places[8]
        while vector < stop:
            n_slots = int(trains[vector, 0])
            if n_slots > 0:
                state, n_columns = draw_active(
                    x_values[vector], trains[vector, 1], n_slots, in_sign, is_chopped and columns,
                    state, found[0, 0], found[0, 1], found[0, 2],
                )  # fmt: skip
                if n_columns > 0:
                    state, n_rows = draw_active(
                        d_values[vector], trains[vector, 2], n_slots, in_sign,
                        is_chopped and not columns, state, found[1, 0], found[1, 1], found[1, 2],
                    )  # fmt: skip
                    state = pulse_coincidences(
                        fast, visible, stored, mixed, mixes, columns, factors, places[10],
                        fast_cells, fast_shared, places[13] > 0, fast_noise, found[1, 0],
                        found[1, 1], found[1, 2], n_rows, found[0, 0], found[0, 1], found[0, 2],
                        n_columns, state, normals,
                    )  # fmt: skip
            vector += 1
        if event == n_events:
            break
        line, sweep = (first_line + event) % in_size, (first_line + event) // in_size
        if law[1] > 0.0:
            bits = uint64(0)
            for cell in range(out_size):
                if cell & 3 == 0:
                    state, bits = advance(state)
                read[0, cell] = normal(bits, normals)
                bits = bits << uint64(16)
        n_pulses = read_and_transfer(
            matrix, line, read, hidden, sp_estimate, n_reads, reference, in_sign, out_sign, steps,
            sweeps[sweep, 0], law, options,
        )  # fmt: skip
        if sweeps[sweep, 1] > 0.0 and n_pulses > 0.0:
            train = int(np.abs(steps).max())
            length[0] = int(of_lines[0, train])
            state, bits = advance(state)
            pulse_lines(
                slow, slow_visible, places[11], slow_cells, slow_shared, places[12] > 0, line,
                columns, steps, length, of_lines[1, train : train + 1],
                of_lines[2, train : train + 1], numbers[2], bits, normals,
            )  # fmt: skip
            numbers[3] += n_pulses
            if mixes:
                store_and_mix_pulsed(
                    stored, mixed, slow_visible, visible, reference, factors[line], columns, line,
                    steps[0],
                )  # fmt: skip
        if flips[event] & 1:
            in_sign[line] = -in_sign[line]
            factors[line] = -factors[line]
        if flips[event] & 2:
            reference[line] = sp_estimate[line]
        if flips[event] > 0 and is_changed[line] == 0:
            changed[n_changed], is_changed[line] = line, 1
            n_changed += 1
    if mixes and n_changed > 0:
        store_and_mix(
            stored, mixed, slow_visible, visible, reference, factors, columns, changed[:n_changed]
        )
