"""What the monitor costs: training steps of the paper's Table 2 network with and without it.

One E-RIDER model takes a few steps in turn with and without the monitor, so that whatever else the
machine does hits both alike. A round is as many steps of each as there are between two records.
What counts is the median of the ratios of the rounds, of processor time on one thread. The time of
a record alone is printed beside it.

    python examples/benchmarks/monitor.py --out monitor.json
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from pathlib import Path
from statistics import median, quantiles
from typing import Callable, Dict, List

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from aihwkit.simulator.parameters.mapping import MappingParameter
from bench.workloads import Training, workload
from common.methods import erider, hfo2
from common.report import write_json

from aihwkit_dspt import SymmetricPointMonitor

STEPS = 20
"""Steps between switching the monitor on and off; fewer, and the switching shows."""


def measure(
    step: Callable[[], None], monitor: SymmetricPointMonitor, rounds: int
) -> Dict[str, List[float]]:
    """Return the seconds of a step without and with the monitor, and those of a record."""
    times: Dict[str, List[float]] = {"without": [], "with": [], "record": []}

    def few() -> float:
        # Processor time, of one thread: other processes interrupt a step, and that is not its cost.
        start = time.process_time()
        for _ in range(STEPS):
            step()
        return time.process_time() - start

    monitor.record()  # computes the symmetric points, once
    few()
    for _ in range(rounds):
        spent = {False: 0.0, True: 0.0}
        for index in range(monitor.every // STEPS):
            # The first of the two may have it easier, so they take turns in that, too.
            for watched in (False, True) if index % 2 else (True, False):
                if watched:
                    with monitor:
                        spent[watched] += few()
                else:
                    spent[watched] += few()
        times["without"].append(spent[False] / monitor.every)
        times["with"].append(spent[True] / monitor.every)
        start = time.process_time()
        monitor.record()
        times["record"].append(time.process_time() - start)
    return times


def main() -> None:
    """Measure, print and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--every", type=int, default=100, help=f"a multiple of {STEPS}")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.manual_seed(1)
    torch.set_num_threads(1)

    config = erider(hfo2(0.4, 0.4), MappingParameter(), 5, gamma=0.1)
    training = Training(workload("fcn"), config, args.batch_size, lr=0.05)
    monitor = SymmetricPointMonitor(training.model, every=args.every)
    times = measure(training, monitor, args.rounds)
    ratios = [mine / base for mine, base in zip(times["with"], times["without"])]
    low, _, high = quantiles(ratios, n=4)
    result = {
        "every": args.every,
        "step_ms": 1e3 * median(times["without"]),
        "record_ms": 1e3 * median(times["record"]),
        "ratio": median(ratios),
        "ratio_quartiles": [low, high],
    }
    share = result["record_ms"] / args.every / result["step_ms"]
    print(f"step {result['step_ms']:.3f} ms, record {result['record_ms']:.2f} ms")
    print(f"a record every {args.every} steps is {100 * share:.2f} % of a step")
    print(
        f"measured: steps take {100 * (result['ratio'] - 1):+.2f} % "
        f"(quartiles {100 * (low - 1):+.2f} to {100 * (high - 1):+.2f} %)"
    )
    if args.out:
        write_json(args.out, {"result": result})


if __name__ == "__main__":
    main()
