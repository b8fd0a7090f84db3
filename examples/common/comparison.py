"""Methods side by side on one task: each with its best of three learning rates, E-RIDER untuned."""

from __future__ import annotations

import argparse
import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch
from aihwkit.simulator.configs import FloatingPointRPUConfig
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR

from aihwkit_dspt import analog_optimizer, at_slow_weights
from common.competitors import DIGITAL, FROZEN, OURS, rpu_config
from common.device_choice import DEVICES, device
from common.machine import revision
from common.results import Results
from common.runs import Run, setting
from common.steps import take_step
from common.tasks import Task
from common.tracking import sp_error

RATES: Dict[str, Tuple[float, ...]] = {
    DIGITAL: (0.1, 0.3, 1.0),
    OURS: (0.1,),
    "AGAD": (0.03, 0.1, 0.3),
    "TT-v2": (0.03, 0.1, 0.3),
    FROZEN: (1e-3, 3e-3, 1e-2),
}
"""Method -> learning rates of its arrays; with arrays that are frozen, of all else."""

DIGITAL_LR = 3e-3
"""Of AdamW, which trains all but the arrays in each method."""

N_MARKS = 10
"""Scores of a training."""

Result = Dict[str, Any]
Watch = Callable[[nn.Module, Run], AbstractContextManager[Result]]
"""Around a training; what it yields is filled when the training is over, and kept with the run."""


def add_arguments(parser: argparse.ArgumentParser, steps: int, batch_size: int, name: str) -> None:
    """Add what all scripts that compare have.

    Args:
        parser: gets the arguments.
        steps: steps of a training, by default.
        batch_size: by default.
        name: of the folder for the output.
    """
    parser.add_argument("--data-root", help="folder of the data (or set DSPT_DATA_ROOT)")
    parser.add_argument("--methods", nargs="+", choices=RATES, default=list(RATES))
    parser.add_argument("--devices", nargs="+", choices=DEVICES, default=["SB-1200"])
    parser.add_argument(
        "--shifts", type=float, nargs="+", default=[0.4], help="means of the SPs; half of it as std"
    )
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch-size", type=int, default=batch_size)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument(
        "--set",
        type=setting,
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="of E-RIDER and of frozen arrays",
    )
    parser.add_argument("--one-rate", action="store_true", help="only the middle learning rate")
    parser.add_argument("--device", default="cpu", help="of torch: cpu or cuda")
    parser.add_argument("--out", type=Path, default=Path(name), help="folder")


def runs_of(network: str, args: argparse.Namespace) -> List[Run]:
    """Return the runs that are asked for; digital and frozen ones serve for all shifts.

    Args:
        network: name of the task.
        args: see :func:`add_arguments`.
    """
    runs = []
    for name in args.devices:
        for shift in args.shifts:
            for method in args.methods:
                rates = RATES[method]
                for lr in rates[len(rates) // 2 :][:1] if args.one_rate else rates:
                    place = "-" if method == DIGITAL else name
                    mean = 0.0 if method in (DIGITAL, FROZEN) else shift
                    # frozen arrays have E-RIDER's configuration
                    changes = dict(args.set) if method in (OURS, FROZEN) else {}
                    for seed in args.seeds:
                        run = Run(network, place, mean, method, lr, seed, args.steps, changes)
                        runs.append(run)
    return list({run.key: run for run in runs}.values())


def _score(doing: Task, model: nn.Module) -> Optional[float]:
    """Return a score, ``None`` if it is not a number."""
    score = doing.score(model)
    return round(score, 4) if isfinite(score) else None


def execute(run: Run, doing: Task, torch_device: str, watch: Optional[Watch] = None) -> Result:
    """Train and return the scores on the way.

    Digital parameters are trained by AdamW, the weights of layers by pulses, or with SGD in the
    digital network (aihwkit's floating-point tiles: exact products and steps). A cosine takes all
    learning rates to zero.

    Args:
        run: the run.
        doing: what is learned.
        torch_device: where.
        watch: around the training.

    Returns:
        the run, steps and scores, the last one at the slow weights of E-RIDER, mean and root mean
        square of Q - SP at the end, time and revision.
    """
    torch.manual_seed(run.seed)
    made = rpu_config(run.competitor, partial(device, run.device, run.shift), run.seed, run.changes)
    model = doing.make(made or FloatingPointRPUConfig()).to(torch_device)
    is_frozen = run.competitor == FROZEN
    optimizer = analog_optimizer(
        model,
        AdamW,
        lr=run.lr if is_frozen else DIGITAL_LR,
        weight_decay=0.0,
        analog_lr=0.0 if is_frozen else run.lr,
    )
    scheduler = CosineAnnealingLR(optimizer, run.steps)
    generator = torch.Generator().manual_seed(run.seed)
    marks = {max(1, round(run.steps * part / N_MARKS)) for part in range(1, N_MARKS + 1)}
    curve: Dict[str, List[Any]] = {"steps": [0], "scores": [_score(doing, model)]}
    start = time.process_time()
    with watch(model, run) if watch else nullcontext({}) as watched:
        for step in range(1, run.steps + 1):
            take_step(doing, model, optimizer, generator, is_frozen)
            scheduler.step()
            if step in marks:
                curve["steps"].append(step)
                curve["scores"].append(_score(doing, model))
    result = {"run": asdict(run), "data": doing.data, "is_loss": doing.is_loss, **curve, **watched}
    if run.competitor == OURS:
        with at_slow_weights(model):
            result["at_slow_weights"] = _score(doing, model)
    if run.competitor not in (DIGITAL, FROZEN):
        result["sp_error"] = sp_error(model)
    result["cpu_seconds"] = round(time.process_time() - start, 1)
    result["revision"] = revision()
    return result


def compare(
    tasks: Dict[str, Task],
    args: argparse.Namespace,
    path: Path,
    settings: Dict[str, Any],
    watch: Optional[Watch] = None,
) -> List[Result]:
    """Execute what has no result yet, keep each result when it comes, and return all.

    Args:
        tasks: name -> what is learned.
        args: see :func:`add_arguments`.
        path: JSON file.
        settings: what the numbers depend on beside the runs.
        watch: around each training.
    """
    warnings.filterwarnings("ignore")
    if args.device == "cpu":
        torch.set_num_threads(1)
    kept = Results(path, {**settings, "batch_size": args.batch_size})
    runs = [run for name in tasks for run in runs_of(name, args)]
    for run in runs:
        if run.key not in kept.numbers:
            result = execute(run, tasks[run.network], args.device, watch)
            kept.add(run.key, result)
            print(f"{run.key}: {result['scores'][-1]}   ({result['cpu_seconds']} s)", flush=True)
    return [kept.numbers[run.key] for run in runs]


def best_of(results: Sequence[Result]) -> List[Result]:
    """Return the run that ended best of those that differ in the learning rate alone."""
    best: Dict[Any, Result] = {}
    for result in results:
        run = Run(**result["run"])
        key = (run.network, run.steps, run.device, run.shift, run.method, run.seed)
        if key not in best or _is_better(result, best[key]):
            best[key] = result
    return list(best.values())


def _is_better(result: Result, other: Result) -> bool:
    own, its = result["scores"][-1], other["scores"][-1]
    if own is None or its is None:
        return own is not None
    return bool(own < its) if result["is_loss"] else bool(own > its)
