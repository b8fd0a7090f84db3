"""What a training step does on a GPU: kernels, waits of the host and copies over the bus.

    python examples/benchmarks/gpu_step.py --out gpu_step.json

By ``torch.profiler``, mean of some steps. A wait is a call that ends when the GPU has caught up: a
synchronisation of stream, device or event, or a copy from the GPU to the host's memory. With bound
management, aihwkit's CUDA tile asks after every product whether an output was at the bound and
waits for the answer; so the same is shown without bound management.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Dict, List

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.child import in_child, run
from bench.names import BASELINE, OURS
from common.machine import machine
from common.markdown import markdown
from common.report import write_json

WARM_UP = 30
BOUNDS = ("ITERATIVE", "NONE")


def work(
    network: str, batch_size: int, name: str, bounds: str, steps: int, fast_lr: float
) -> Dict[str, Any]:
    """Return counts per step of one competitor."""
    import torch
    from aihwkit.simulator.parameters.enums import BoundManagementType
    from bench.competitors import rpu_config
    from bench.workloads import Training, workload
    from torch.profiler import ProfilerActivity, profile

    torch.manual_seed(1)
    config = rpu_config(name, fast_lr)
    for read in (config.forward, config.backward):
        read.bound_management = BoundManagementType[bounds]
    training = Training(workload(network), config, batch_size, fast_lr, "cuda")
    for _ in range(WARM_UP):
        training()
    torch.cuda.synchronize()
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with profile(activities=activities) as profiler:
        for _ in range(steps):
            training()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    return {"device": torch.cuda.get_device_name(), **counts(events, steps)}


def counts(events: List[Dict[str, Any]], steps: int) -> Dict[str, Any]:
    """Return the numbers of a trace of some steps, each per step."""
    kinds: Dict[str, List[Dict[str, Any]]] = {}
    for event in events:
        kinds.setdefault(event.get("cat", ""), []).append(event)
    copies = kinds.get("gpu_memcpy", [])
    # The profiler itself waits for the GPU once, when it ends.
    waits = [e for e in kinds.get("cuda_runtime", []) if "Synchronize" in e["name"]]
    result: Dict[str, Any] = {
        "kernels": len(kinds.get("kernel", [])) / steps,
        "synchronisations": max(len(waits) - 1, 0) / steps,
    }
    for way in ("DtoH", "HtoD", "DtoD"):
        found = [event for event in copies if way in event["name"]]
        size = sum(event.get("args", {}).get("bytes", 0) for event in found)
        result.update({f"{way} copies": len(found) / steps, f"{way} bytes": size / steps})
    return result


def main() -> None:
    """Measure, print and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--network", default="fcn")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--fast-lr", type=float, default=0.1)
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args()
    task = {"network": args.network, "batch_size": args.batch_size, "steps": args.steps}
    found = {
        f"{name}, {bounds}": in_child(
            {**task, "name": name, "bounds": bounds, "fast_lr": args.fast_lr}
        )
        for name in (BASELINE, OURS)
        for bounds in BOUNDS
    }
    columns = [key for key in next(iter(found.values())) if key != "device"]
    rows = [[name, *(f"{cell[key]:.2f}" for key in columns)] for name, cell in found.items()]
    print(f"{args.network}, batch {args.batch_size}, {next(iter(found.values()))['device']}")
    print(markdown(["per step", *columns], rows))
    if args.out:
        write_json(args.out, {"settings": {**machine(), **task}, "result": found})


if __name__ == "__main__":
    run(main, work)
