"""Pulses of a batch: the compiled pass beside aihwkit's tile, for arrays, devices and batches.

Both send the same vectors to arrays with the same cells and take turns in one process. Inputs are
uniform in [0, 1] and errors normal; the learning rate makes the mean vector fill its pulse train,
as automatic scaling does, so that inputs are dense and pulses many.

    python examples/benchmarks/pulses.py --out pulses.json
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.presets.devices import ReRamArrayHfO2PresetDevice
from bench.timing import ratio, take_turns
from common.machine import load, machine
from common.markdown import markdown
from common.report import write_json

from aihwkit_dspt.pulses.batched import BatchedPulses
from aihwkit_dspt.tiles.crossbar import Crossbar

DEVICES: Dict[str, Callable[[], Any]] = {
    "HfO2": ReRamArrayHfO2PresetDevice,
    "soft bounds, 20 states": lambda: SoftBoundsDevice(dw_min=2 / 20),
    "soft bounds, 1,200 states": lambda: SoftBoundsDevice(dw_min=2 / 1200),
}
LENGTHS = {"HfO2": 5, "soft bounds, 20 states": 5, "soft bounds, 1,200 states": 30}
"""Device -> ``desired_bl``, that of E-RIDER's defaults."""

SIZES = ((128, 128), (256, 784), (512, 512))
"""Rows and columns."""

BATCHES = (1, 8, 64, 512)


def measure(name: str, d_size: int, x_size: int, n_vectors: int, rounds: int) -> Dict[str, Any]:
    """Return the times of both for one array and batch."""
    torch.manual_seed(1)
    update = UpdateParameters(desired_bl=LENGTHS[name])
    tile = Crossbar(x_size, d_size, DEVICES[name](), update=update)
    batched = Crossbar(x_size, d_size, DEVICES[name](), update=update)
    batched.copy_from(tile)
    batched.batched = BatchedPulses(batched, update, True)
    x, d = torch.rand(n_vectors, x_size), torch.randn(n_vectors, d_size)
    product = float(x.amax(1).mean() * d.abs().amax(1).mean())
    rate = LENGTHS[name] * tile.granularity / product
    steps = {
        "tile": partial(tile.pulse, x, d, rate),
        "batched": partial(batched.pulse, x, d, rate),
    }
    _, cpu, _ = take_turns(steps, rounds, budget=20.0)
    return {
        "device": name,
        "size": [d_size, x_size],
        "vectors": n_vectors,
        "tile_ms": 1e3 * median(cpu["tile"]),
        "batched_ms": 1e3 * median(cpu["batched"]),
        **ratio(cpu["batched"], cpu["tile"]),
    }


def main() -> None:
    """Measure, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--devices", nargs="+", choices=DEVICES, default=list(DEVICES))
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--size", type=int, help="one square array instead of the usual ones")
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args()
    torch.set_num_threads(1)
    before = load()
    sizes = ((args.size, args.size),) if args.size else SIZES
    cells = [
        measure(name, *size, n_vectors, args.rounds)
        for name in args.devices
        for size in sizes
        for n_vectors in args.batches
    ]
    rows = [
        [
            cell["device"],
            " x ".join(map(str, cell["size"])),
            str(cell["vectors"]),
            f"{cell['tile_ms']:.2f}",
            f"{cell['batched_ms']:.2f}",
            f"{cell['ratio']:.2f}",
        ]
        for cell in cells
    ]
    print(markdown(["device", "array", "vectors", "tile, ms", "batched, ms", "ratio"], rows))
    if args.out:
        write_json(args.out, {**machine(), "load_before": before, "cells": cells})


if __name__ == "__main__":
    main()
