"""What a step of E-RIDER takes beyond what cannot be avoided, on one large layer.

The floor is the sum of

* the gradient pulses on the fast array by aihwkit's C++, with the step's inputs, errors and
  learning rate,
* the matrix product with the weight, forward and (if the inputs want a gradient) backward, each one
  ``torch.addmm`` that adds the output noise, between the scaling, rounding and clipping of the
  converters; forward again for the vectors that iterative bound management has to repeat,
* one fused multiply-add over the weight, ``stored + gamma * P``.

Everything takes turns in one process, on the arrays of the very tile that is trained. The overhead
is ``step / floor - 1``, the median over the rounds with quartiles.

    python examples/benchmarks/floor.py --out floor.json
"""

from __future__ import annotations

import argparse
import sys
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Callable, Dict

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.child import in_child, run
from bench.names import OURS
from common.machine import load, machine
from common.markdown import markdown
from common.report import write_json

if TYPE_CHECKING:
    from bench.workloads import Training
    from torch import Tensor

STEP = "E-RIDER step"


def product(x: Tensor, weight: Tensor, io: Any, manage_bounds: bool) -> Callable[[], None]:
    """Return a function that multiplies ``[n, in]`` inputs with a ``[out, in]`` weight.

    Args:
        x: the inputs.
        weight: the weight.
        io: converters and output noise of the product.
        manage_bounds: whether vectors whose outputs exceed the bound are multiplied again, halved.
    """
    noise = x.new_empty(len(x), len(weight))
    inp_res, out_res = 2.0 * io.inp_bound * io.inp_res, 2.0 * io.out_bound * io.out_res

    def multiply() -> None:
        rows, scale = x, x.abs().amax(1, keepdim=True)
        while len(rows) > 0:
            driven = (rows / scale).div_(inp_res).round_().mul_(inp_res)
            out = noise[: len(rows)].normal_(0.0, io.out_noise)
            out.addmm_(driven, weight.t())
            out.div_(out_res).round_().mul_(out_res)
            failed = out.abs().amax(1) > 1.001 * io.out_bound
            out.clamp_(-io.out_bound, io.out_bound).mul_(scale)
            rows, scale = rows[failed & manage_bounds], 2.0 * scale[failed & manage_bounds]

    return multiply


def floor_parts(training: Training, input_gradient: bool) -> Dict[str, Callable[[], None]]:
    """Return what a step cannot do without, by name, on the arrays of the trained tile."""
    import torch
    from common.methods import io_parameters

    from aihwkit_dspt import TrackingTile

    (tile,) = (item for item in training.model.modules() if isinstance(item, TrackingTile))
    pipeline, io = tile.tile.pipeline, io_parameters()
    weight, fast_lr = pipeline.mixed_array.weights, float(pipeline.fast_lr.current)
    gamma, stored, mixed = pipeline.config.gamma, weight.clone(), torch.empty_like(weight)
    batches = cycle([(x.detach(), error) for x, error in training.data])
    x, error = next(batches)
    parts = {
        "gradient pulses (C++)": lambda: pipeline.fast.pulse(*next(batches), fast_lr),
        "forward product": product(x, weight, io, manage_bounds=True),
        "multiply-add over the weight": lambda: torch.add(
            stored, pipeline.fast.weights, alpha=gamma, out=mixed
        ),
    }
    if input_gradient:
        parts["backward product"] = product(error, weight.t(), io, manage_bounds=False)
    return parts


def work(
    network: str, batch_size: int, input_gradient: bool, fast_lr: float, rounds: int, budget: float
) -> Dict[str, Any]:
    """Measure the step and the parts of the floor in this process."""
    import torch
    from bench.competitors import rpu_config
    from bench.timing import quartiles, take_turns
    from bench.workloads import Training, workload

    torch.manual_seed(1)
    training = Training(workload(network), rpu_config(OURS, fast_lr), batch_size, fast_lr)
    for x, _ in training.data:
        x.requires_grad_(input_gradient)
    training()  # decides the learning rate of the pulses
    before, parts = load(), floor_parts(training, input_gradient)
    wall, _, _ = take_turns({STEP: training.__call__, **parts}, rounds, budget)
    floor = [sum(times) for times in zip(*(wall[name] for name in parts))]
    overhead = [step / base - 1.0 for step, base in zip(wall[STEP], floor)]
    return {
        "step_ms": 1e3 * median(wall[STEP]),
        "floor_ms": 1e3 * median(floor),
        "overhead": median(overhead),
        "overhead_quartiles": quartiles(overhead),
        "parts_ms": {name: 1e3 * median(wall[name]) for name in parts},
        "rounds": len(floor),
        "load": [before, load()],
    }


def table(result: Dict[str, Any]) -> str:
    """Return the result as markdown."""
    low, high = (100.0 * value for value in result["overhead_quartiles"])
    rows = [[name, f"{value:.3f}"] for name, value in result["parts_ms"].items()]
    rows += [["floor", f"{result['floor_ms']:.3f}"], [STEP, f"{result['step_ms']:.3f}"]]
    overhead = f"{100.0 * result['overhead']:.1f} % ({low:.1f} to {high:.1f})"
    return markdown(["", "ms"], [*rows, ["overhead beyond the floor", overhead]])


def main() -> None:
    """Measure, print the table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--size", type=int, default=4096, help="rows and columns of the layer")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument(
        "--no-input-gradient", action="store_true", help="as in the first layer of a network"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=60, help="most rounds")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for the rounds")
    parser.add_argument("--fast-lr", type=float, default=0.1)
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args()
    task = {
        "network": f"linear-{args.size}",
        "batch_size": args.batch_size,
        "input_gradient": not args.no_input_gradient,
        "fast_lr": args.fast_lr,
        "rounds": args.rounds,
        "budget": args.budget,
    }
    result = in_child(task, args.threads)
    print(table(result))
    if args.out:
        settings = {**machine(), **task, "threads": args.threads}
        write_json(args.out, {"settings": settings, "result": result})


if __name__ == "__main__":
    run(main, work)
