"""Peak memory of building one large layer and training it for a few steps.

Each competitor has a process of its own, as the peak of the resident memory belongs to a process.
What a process has after importing torch, aihwkit and this package, and nothing else, is subtracted.
"While building" includes the conversion from the layer in torch. Inputs want a gradient.

    python examples/benchmarks/memory.py --out memory.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict, Optional

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.child import in_child, run
from bench.names import BASELINE, COMPETITORS
from common.machine import machine, memory_mb
from common.markdown import markdown
from common.results import Results

IMPORTS = "imports alone"


def work(
    competitor: Optional[str], network: str, batch_size: int, steps: int, fast_lr: float
) -> Dict[str, Any]:
    """Return the memory of this process in MB, after training if there is a competitor."""
    from bench.competitors import rpu_config
    from bench.workloads import Training, workload

    result = {"imports_mb": memory_mb("VmHWM")}
    if competitor is not None:
        training = Training(workload(network), rpu_config(competitor, fast_lr), batch_size, fast_lr)
        result["built_peak_mb"] = memory_mb("VmHWM")
        for _ in range(steps):
            training()
        result["resident_mb"] = memory_mb("VmRSS")
    return {"peak_mb": memory_mb("VmHWM"), **result}


def table(numbers: Dict[str, Dict[str, Any]], cells: int) -> str:
    """Return the numbers beyond the imports as markdown."""
    base = numbers[IMPORTS]["peak_mb"]
    rows = []
    for name, result in numbers.items():
        if name != IMPORTS:
            beyond = [result[key] - base for key in ("built_peak_mb", "peak_mb", "resident_mb")]
            ratio = beyond[1] / (numbers[BASELINE]["peak_mb"] - base)
            floats = f"{beyond[1] * 2**20 / 4 / cells:.1f}"
            rows.append([name, *(f"{value:.0f}" for value in beyond), floats, f"{ratio:.2f}"])
    header = ["competitor", "peak while building, MB", "peak, MB", "after the last step, MB"]
    return markdown([*header, "peak, floats per cell", f"peak over {BASELINE}"], rows)


def main() -> None:
    """Measure, print the table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--size", type=int, default=4096, help="rows and columns of the layer")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--fast-lr", type=float, default=0.1)
    parser.add_argument("--competitors", nargs="+", default=COMPETITORS, choices=COMPETITORS)
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args()
    task = {
        "network": f"linear-{args.size}",
        "batch_size": args.batch_size,
        "steps": args.steps,
        "fast_lr": args.fast_lr,
    }
    results = Results(args.out, {**machine(), **task})
    for name in dict.fromkeys([IMPORTS, BASELINE, *args.competitors]):
        if name not in results.numbers:
            competitor = None if name == IMPORTS else name
            results.add(name, in_child({"competitor": competitor, **task}))
    print(f"beyond the {results.numbers[IMPORTS]['peak_mb']:.0f} MB of the imports:\n")
    print(table(results.numbers, args.size**2))


if __name__ == "__main__":
    run(main, work)
