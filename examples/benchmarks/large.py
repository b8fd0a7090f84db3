"""The time of a training step of larger networks: digital, C++ AGAD and E-RIDER.

    python examples/benchmarks/large.py --out large.json
    python examples/benchmarks/large.py --device cuda --networks gpt-4x256 resnet-64 --batch-size 64

All competitors live in one process and take their steps in turn; ratios are medians over rounds,
with quartiles. AGAD is aihwkit's preset configuration and E-RIDER that of ``build_config``, each
with its own defaults, on the same devices. The digital network has the same layers and torch's SGD.
*One pass* is what it takes to read and write every array of E-RIDER's model once: no simulator of
these arrays can be faster than that and the digital step together.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict, List, Optional

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.child import in_child, run
from bench.tables import spread
from common.machine import machine
from common.markdown import markdown
from common.results import Results

NETWORKS = {"gpt-4x128": 8, "resnet-16": 16}
"""Network -> sequences or images of a batch."""

DEVICES = ("HfO2", "SB-1200")

DIGITAL, AGAD, ERIDER, PASS = "digital", "C++ AGAD", "E-RIDER", "one pass"


def one_pass(model: Any) -> Callable[[], None]:
    """Return a function that reads and writes all arrays of a model once."""
    arrays = []
    for tile in model.analog_tiles():
        pipeline = tile.tile.pipeline
        used = {id(array): array for array in [*pipeline.arrays, pipeline.mixed_array]}
        arrays += [array.weights.clone() for array in used.values()]

    def write() -> None:
        for values in arrays:
            values.mul_(1.0)

    return write


def work(
    network: str,
    batch_size: int,
    device: str,
    place: str,
    rounds: int,
    budget: float,
    lr: float,
    clock: str,
) -> Dict[str, Any]:
    """Measure one network on one kind of device in this process."""
    import torch
    from aihwkit.simulator.configs import build_config as aihwkit_config
    from bench.timing import ratio, take_turns
    from bench.workloads import Training, workload
    from common.device_choice import device as make_device

    from aihwkit_dspt import build_config

    configs: Dict[str, Callable[[], Any]] = {
        DIGITAL: lambda: None,
        AGAD: lambda: aihwkit_config("agad", make_device(device, 0.0)),
        ERIDER: lambda: build_config("e-rider", make_device(device, 0.0)),
    }
    task = workload(network)
    trainings = {}
    for name, config in configs.items():
        torch.manual_seed(1)
        trainings[name] = Training(task, config(), batch_size, lr, place)
    steps = {name: training.__call__ for name, training in trainings.items()}
    wall, cpu, repeat = take_turns(steps, rounds, budget)
    # Apart: the steps of a measurement follow from the fastest of those that take turns.
    passes = take_turns({PASS: one_pass(trainings[ERIDER].model)}, len(wall[AGAD]), budget)
    found = {**cpu, **passes[1]} if clock == "cpu" else {**wall, **passes[0]}
    numbers = {
        name: {
            "median_ms": 1e3 * median(times),
            **ratio(times, found[AGAD], "over_agad"),
            **ratio(times, found[DIGITAL], "over_digital"),
        }
        for name, times in found.items()
    }
    return {
        "network": network,
        "batch_size": batch_size,
        "device": device,
        "rounds": len(wall[AGAD]),
        "steps_per_measurement": repeat,
        "competitors": numbers,
    }


def table(cells: List[Dict[str, Any]]) -> str:
    """Return one row for each competitor of each cell."""
    rows = [
        [
            cell["network"],
            str(cell["batch_size"]),
            cell["device"],
            name,
            f"{numbers['median_ms']:.2f}",
            spread(numbers, "over_agad"),
            spread(numbers, "over_digital"),
        ]
        for cell in cells
        for name, numbers in cell["competitors"].items()
    ]
    header = ["network", "batch", "device", "competitor", "ms per step"]
    return markdown([*header, f"over {AGAD}", f"over {DIGITAL}"], rows)


def parse_arguments(arguments: Optional[List[str]] = None) -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), help="gpt-KxN, resnet-N")
    parser.add_argument("--batch-size", type=int, help="default: 8 sequences, 16 images")
    parser.add_argument("--devices", nargs="+", default=DEVICES, help="as in race.py")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--rounds", type=int, default=30, help="most rounds")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for the rounds of each")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument(
        "--clock",
        default="wall",
        choices=("wall", "cpu"),
        help="time on the wall or processor time",
    )
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, print the tables and write the numbers."""
    args = parse_arguments()
    task = {
        "place": args.device,
        "rounds": args.rounds,
        "budget": args.budget,
        "lr": args.lr,
        "clock": args.clock,
    }
    gpu = {}
    if args.device == "cuda":
        import torch

        gpu = {"gpu": torch.cuda.get_device_name()}
    results = Results(args.out, {**machine(), **gpu, **task})
    for network in args.networks:
        batch_size = args.batch_size or (8 if network.startswith("gpt") else 16)
        for device in args.devices:
            key = f"{network}, batch {batch_size}, {device}"
            if key not in results.numbers:
                cell = {"network": network, "batch_size": batch_size, "device": device, **task}
                results.add(key, in_child(cell))
            print(table([results.numbers[key]]), end="\n\n", flush=True)


if __name__ == "__main__":
    run(main, work)
