"""Time of zero-shifting on a 512x512 soft-bounds array: closed form, and pulse by pulse.

Prints the numbers and writes them as JSON::

    OMP_NUM_THREADS=1 python examples/benchmarks/zero_shift.py [results/zero_shift.json]

The pulses are compared with bare calls of aihwkit's C++ ``update`` with a batch that was built
before, alternating in one process; the cost is the median of the ratios of neighbours. Calls are
long, because each also checks the array, looks for its symmetric points and copies it, once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import aihwkit
import torch
from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.tiles.analog import AnalogTile

from aihwkit_dspt.zero_shifting import zero_shift

SIZE = 512
N_CLOSED_FORM = 8_192_000
N_PULSES = {"cyclic": 2048, "stochastic": 768}
N_REPEATS = 5


def make_tile(dw_min: float) -> AnalogTile:
    """Return the array of Fig. 1, with weights at zero."""
    device = SoftBoundsDevice(
        dw_min=dw_min, w_min=-1.0, w_max=1.0, mult_noise=False, construction_seed=1
    )
    tile = AnalogTile(SIZE, SIZE, SingleRPUConfig(device=device))
    tile.tile.set_weights(torch.zeros(SIZE, SIZE))
    return tile


def seconds(function: Any, *arguments: Any, **options: Any) -> float:
    """Return the processor time of a call, which others on the machine do not change much."""
    start = process_time()
    function(*arguments, **options)
    return process_time() - start


def bare_batch(schedule: str) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return inputs and errors of some pulses on all cells, and their number."""
    if schedule == "cyclic":
        n_pulses = 64
        d_input = torch.ones(n_pulses, SIZE)
        d_input[::2] = -1.0
        return torch.ones(n_pulses, SIZE), d_input, n_pulses
    signs = torch.randint(0, 2, (SIZE, SIZE)) * 2.0 - 1.0
    return signs, torch.eye(SIZE), 1


def bare_pulses(cpp: Any, batch: tuple[torch.Tensor, torch.Tensor, int], n_pulses: int) -> None:
    """Send pulses by nothing but the C++ update."""
    x_input, d_input, n_batch = batch
    for _ in range(n_pulses // n_batch):
        cpp.update(x_input, d_input, False, False, False, False)


def per_pulse(schedule: str) -> dict[str, float]:
    """Return the time of a pulse, bare and by zero_shift, and the median ratio."""
    tile, n_pulses = make_tile(1e-3), N_PULSES[schedule]
    tile.tile.set_learning_rate(1e-3)
    batch = bare_batch(schedule)
    bare_pulses(tile.tile, batch, 64)
    bare, full, ratios = [], [], []
    for _ in range(N_REPEATS):
        bare.append(seconds(bare_pulses, tile.tile, batch, n_pulses) / n_pulses)
        full.append(seconds(zero_shift, tile, n_pulses, schedule) / n_pulses)
        ratios.append(full[-1] / bare[-1])
    return {
        "n_pulses_per_call": n_pulses,
        "bare_ms_per_pulse": 1e3 * median(bare),
        "zero_shift_ms_per_pulse": 1e3 * median(full),
        "median_ratio": median(ratios),
    }


def closed_form(schedule: str) -> dict[str, float]:
    """Return the time of the closed form at the smallest and largest step of Fig. 1b."""
    result = {}
    for dw_min in (1.6e-6, 1e-3):
        tile = make_tile(dw_min)
        times = [
            seconds(zero_shift, tile, N_CLOSED_FORM, schedule, "closed-form", store=False)
            for _ in range(3)
        ]
        result[f"seconds_at_dw_min_{dw_min:g}"] = median(times)
    return result


def main(path: str | None = None) -> None:
    """Measure, print and write."""
    torch.set_num_threads(1)
    result = {
        "aihwkit": aihwkit.__version__,
        "torch": torch.__version__,
        "array": [SIZE, SIZE],
        "closed_form_n_pulses": N_CLOSED_FORM,
        "closed_form": {schedule: closed_form(schedule) for schedule in N_PULSES},
        "pulses": {schedule: per_pulse(schedule) for schedule in N_PULSES},
    }
    text = json.dumps(result, indent=2)
    print(text)
    target = Path(path or "results/zero_shift.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:2])
