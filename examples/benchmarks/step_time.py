"""The time of a training step: E-RIDER against aihwkit's own tiles.

All competitors live in one process and take their steps in turn, so that whatever else the machine
does hits all of them alike. What counts are the medians of the ratios of measurements of the same
round, given with their quartiles. All have the same devices, converters, pulse lengths and
``fast_lr``. The first step after construction is timed apart. Each thread count, network and batch
size has a process of its own. Vectors are random and dense, images as sparse as MNIST's.

    python examples/benchmarks/step_time.py --networks fcn lenet5 --threads 1 2 --out step_time.json
    python examples/benchmarks/step_time.py --table step_time.json
    python examples/benchmarks/step_time.py --device cuda --networks fcn lenet5

``--device cuda`` needs an aihwkit that was built with ``USE_CUDA=ON``.

A run that was stopped continues where it was; the file of another revision, machine or setting is
refused. ``--table`` prints files as markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.child import in_child, run
from bench.names import COMPETITORS
from bench.tables import step_times
from common.machine import machine
from common.results import Results

BATCH_SIZES: Dict[str, List[int]] = {
    "fcn": [1, 10, 128],
    "lenet5": [1, 8, 128],
    "linear-1024": [1, 10, 128],
    "linear-4096": [1, 10, 128],
    "lstm": [1, 10, 128],
}
"""Network -> batch sizes. Tables 1 and 2 of the paper have 8 (LeNet-5) and 10."""


def work(**task: Any) -> Dict[str, Any]:
    """Measure one network at one batch size in this process."""
    from bench.cell import measure

    return measure(**task)


def table(paths: List[Path]) -> str:
    """Return the files as markdown, each under what it was made with."""
    parts = []
    for path in paths:
        content = json.loads(path.read_text())
        versions, settings = content["versions"], content["settings"]
        parts.append(
            f"aihwkit {versions['aihwkit']}, torch {versions['torch']}, {settings['cpu']} with "
            f"{settings['cores']} cores, revision {settings['revision']}:\n\n"
            + step_times(content["results"].values())
        )
    return "\n\n".join(parts)


def gpu(device: str) -> Dict[str, Any]:
    """Return the name of the GPU, if one is used."""
    if device == "cpu":
        return {}
    import torch

    return {"gpu": torch.cuda.get_device_name()}


def parse_arguments(arguments: Optional[List[str]] = None) -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--networks",
        nargs="+",
        default=list(BATCH_SIZES),
        help=f"of {', '.join(BATCH_SIZES)}, linear-N, tiled-N or stack-KxN",
    )
    parser.add_argument("--batch-sizes", type=int, nargs="+", help="default: three per network")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--competitors", nargs="+", default=COMPETITORS, choices=COMPETITORS)
    parser.add_argument("--rounds", type=int, default=100, help="most rounds")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for the rounds of each")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--fast-lr", type=float, default=0.1)
    parser.add_argument(
        "--every-vector", action="store_true", help="transfer after every vector, not every batch"
    )
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    parser.add_argument("--table", type=Path, nargs="+", help="print these JSON files and end")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, print the tables and write the numbers."""
    args = parse_arguments()
    if args.table:
        print(table(args.table))
        return
    task = {
        "rounds": args.rounds,
        "budget": args.budget,
        "fast_lr": args.fast_lr,
        "competitors": list(args.competitors),
        "device": args.device,
        "every_vector": args.every_vector,
    }
    results = Results(args.out, {**machine(), **gpu(args.device), **task})
    for network in args.networks:
        for batch_size in args.batch_sizes or BATCH_SIZES.get(network, [1, 10, 128]):
            for threads in args.threads:
                key = f"{network}, batch {batch_size}, threads {threads}"
                if key not in results.numbers:
                    cell = in_child({"network": network, "batch_size": batch_size, **task}, threads)
                    results.add(key, {"threads": threads, **cell})
                print(step_times([results.numbers[key]]), end="\n\n", flush=True)


if __name__ == "__main__":
    run(main, work)
