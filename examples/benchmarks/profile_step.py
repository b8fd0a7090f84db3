"""Where the microseconds of a training step go.

1. A tree of timers around the methods of the step, without a profiler; "own" is the time of a row
   less that of the rows below it. Labels with "C++" are calls of aihwkit's C++ tiles.
2. The torch operations by ``torch.profiler``, which slows each of them by about as much as a short
   one takes: an upper limit. Copies have a row of their own.
3. By kind: C++ tiles (from 1), torch operations (from 2) and what is left for Python, compiled
   updates, the way into torch and C++, and autograd's engine: a lower limit.

    python examples/benchmarks/profile_step.py --out profile.json
    python examples/benchmarks/profile_step.py --competitor "C++ AGAD"
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.call_tree import CallTree
from bench.child import in_child, run
from bench.names import COMPETITORS, OURS
from common.machine import load, machine
from common.markdown import markdown
from common.report import write_json

if TYPE_CHECKING:
    from bench.workloads import Training

STEP = "step"
COPIES = ("aten::copy_", "aten::cat", "aten::clone", "aten::_to_copy", "aten::contiguous")
PIPELINE = {"transfer": "update: what events send and flip (SLOW, CHOP)"}
"""Methods of the pipeline of a tracking tile -> label."""


def watched(training: Training) -> List[Tuple[Any, str, str]]:
    """Return the methods of a step that get a timer: class, name, label."""
    import torch
    from aihwkit.simulator.rpu_base import tiles
    from aihwkit.simulator.tiles.module import TileModule

    modules = [item for item in training.model.modules() if isinstance(item, TileModule)]
    passes = ("forward", "backward", "update")
    methods = [
        (type(training.model), "forward", "model forward"),
        (torch.Tensor, "backward", "backward pass"),
        (type(training.optimizer), "zero_grad", "zero_grad"),
        (type(training.optimizer), "step", "optimizer step"),
    ]
    for owner in {type(item) for item in modules}:
        methods += [(owner, name, f"tile and its periphery: {name}") for name in passes]
    for owner in {type(item.tile) for item in modules}:
        if isinstance(owner, type(tiles.AnalogTile)):
            continue  # one of the C++ tiles, which come next
        methods += [(owner, name, f"simulator tile: {name}") for name in passes]
    pipelines = [item.tile.pipeline for item in modules if hasattr(item.tile, "pipeline")]
    for owner in {type(pipeline) for pipeline in pipelines}:
        methods += [(owner, name, text) for name, text in PIPELINE.items()]
    for owner in {type(form) for pipeline in pipelines for form in pipeline.forms}:
        methods.append((owner, "update", f"update: {owner.NAME}"))
    for owner in {type(pipeline.mixer) for pipeline in pipelines if pipeline.mixer is not None}:
        methods.append((owner, "refresh", "update: mixed weight"))
    for owner in (tiles.FloatingPointTile, tiles.AnalogTile):
        methods += [(owner, name, f"C++ {name}") for name in passes if name in vars(owner)]
    return methods


def timed_tree(training: Training, steps: int) -> CallTree:
    """Return the times of the parts of some steps."""
    tree = CallTree()
    with tree.watching(watched(training)):
        for index in range(2 * steps):
            if index == steps:
                tree.reset()  # the first half warmed up
            with tree.section(STEP):
                training()
    return tree


def torch_operations(training: Training, steps: int) -> Dict[str, Tuple[float, float]]:
    """Return the microseconds and the calls of each torch operation in a step."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            training()
    return {
        event.key: (event.self_cpu_time_total / steps, event.count / steps)
        for event in profiler.key_averages()
        if event.key.startswith("aten::")
    }


def work(
    competitor: str, network: str, batch_size: int, steps: int, fast_lr: float
) -> Dict[str, Any]:
    """Profile in this process."""
    import torch
    from bench.competitors import rpu_config
    from bench.timing import take_turns
    from bench.workloads import Training, workload

    torch.manual_seed(1)
    training = Training(workload(network), rpu_config(competitor, fast_lr), batch_size, fast_lr)
    before = load()
    wall, _, _ = take_turns({STEP: training.__call__}, rounds=max(steps // 10, 1), budget=30.0)
    tree = timed_tree(training, steps)
    operations = torch_operations(training, steps)
    microseconds = 1e6 / steps
    paths = sorted(tree.own, key=lambda path: [_order(tree, path, n) for n in range(len(path))])
    return {
        "step_us": 1e6 * sorted(wall[STEP])[len(wall[STEP]) // 2],
        "tree": [
            {
                "path": list(path),
                "calls": tree.calls[path] / steps,
                "total_us": tree.total(path) * microseconds,
                "own_us": tree.own[path] * microseconds,
            }
            for path in paths
        ],
        "torch": operations,
        "load": [before, load()],
    }


def _order(tree: CallTree, path: Tuple[str, ...], depth: int) -> float:
    """Sort siblings by their time, the longest first, and children after their parent."""
    return -tree.total(path[: depth + 1])


def tree_table(result: Dict[str, Any]) -> str:
    """Return the tree as markdown."""
    rows = [
        [
            "· " * (len(row["path"]) - 1) + row["path"][-1],
            f"{row['calls']:g}",
            f"{row['total_us']:.0f}",
            f"{row['own_us']:.0f}",
        ]
        for row in result["tree"]
    ]
    return markdown(["", "calls", "µs", "own µs"], rows)


def kinds(result: Dict[str, Any]) -> Dict[str, float]:
    """Return microseconds of a step by kind; they add up to the step with timers."""
    cpp: Dict[str, float] = {}
    for row in result["tree"]:
        label = row["path"][-1]
        if label.startswith("C++"):
            cpp[label] = cpp.get(label, 0.0) + row["own_us"]
    copies = sum(result["torch"].get(name, (0.0, 0.0))[0] for name in COPIES)
    others = sum(spent for spent, _ in result["torch"].values()) - copies
    total = result["tree"][0]["total_us"]
    known = {**cpp, "torch: copies": copies, "torch: other operations": others}
    return {
        **known,
        "Python, compiled updates, dispatch, autograd's engine": total - sum(known.values()),
    }


def kinds_table(result: Dict[str, Any]) -> str:
    """Return the kinds with their share of the step as markdown."""
    parts = kinds(result)
    total = sum(parts.values())
    rows = [[name, f"{value:.0f}", f"{100 * value / total:.0f} %"] for name, value in parts.items()]
    return markdown(["", "µs", "share"], rows)


def torch_table(result: Dict[str, Any], most: int = 12) -> str:
    """Return the torch operations that take longest as markdown."""
    operations = sorted(result["torch"].items(), key=lambda item: -item[1][0])[:most]
    rows = [[name, f"{count:g}", f"{spent:.1f}"] for name, (spent, count) in operations]
    return markdown(["operation", "calls", "own µs"], rows)


def main() -> None:
    """Profile, print the tables and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--network", default="fcn")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--competitor", default=OURS, choices=COMPETITORS)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--fast-lr", type=float, default=0.1)
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args()
    task = {
        "competitor": args.competitor,
        "network": args.network,
        "batch_size": args.batch_size,
        "steps": args.steps,
        "fast_lr": args.fast_lr,
    }
    result = in_child(task, args.threads)
    print(f"{args.competitor}, {args.network}, batch {args.batch_size}, load {result['load']}")
    print(f"a step without timers: {result['step_us']:.0f} µs (median)\n")
    print("\n\n".join(part(result) for part in (kinds_table, tree_table, torch_table)))
    if args.out:
        settings = {**machine(), **task, "threads": args.threads}
        write_json(args.out, {"settings": settings, "result": {**result, "kinds": kinds(result)}})


if __name__ == "__main__":
    run(main, work)
