"""One run of the race."""

from __future__ import annotations

import time
import warnings
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from math import isfinite
from typing import Any, Dict, List, Optional

import torch
from aihwkit.optim import AnalogSGD
from common.competitors import FROZEN, OURS, rpu_config
from common.device_choice import device
from common.machine import revision
from common.runs import Run
from common.steps import take_step
from common.tasks import Task
from torch import nn

from aihwkit_dspt import at_slow_weights
from bench.race_tasks import task

SHARES = (0.1, 0.3, 1.0)
"""Shares of the budget after which a model is scored."""


def _score(doing: Task, model: nn.Module, at_w: bool) -> Optional[float]:
    """Return a score, ``None`` if it is not a number."""
    with at_slow_weights(model) if at_w else nullcontext():
        score = doing.score(model)
    return round(score, 4) if isfinite(score) else None


def execute(run: Run, data_root: Optional[str] = None) -> Dict[str, Any]:
    """Train and return the scores.

    Args:
        run: the run.
        data_root: folder of the data; without it (and in the environment) some are made up.

    Returns:
        the run, its scores after :data:`SHARES` of the budget (those of E-RIDER at its slow
        weights, too), the mean training loss in between, time and revision.
    """
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    doing = task(run.network, data_root)
    torch.manual_seed(run.seed)
    make_device = partial(device, run.device, run.shift)
    model = doing.make(rpu_config(run.competitor, make_device, run.seed, run.changes))
    optimizer = AnalogSGD(model.parameters(), lr=run.lr)
    optimizer.regroup_param_groups(model)
    generator = torch.Generator().manual_seed(run.seed)
    marks = [max(1, round(share * run.steps)) for share in SHARES]
    tracks = run.competitor == OURS
    scores: List[Optional[float]] = []
    at_w: List[Optional[float]] = []
    losses, total = [], torch.zeros(())
    start = time.process_time()
    for step in range(1, run.steps + 1):
        total += take_step(doing, model, optimizer, generator, run.competitor == FROZEN)
        if step in marks:
            scores.append(_score(doing, model, at_w=False))
            if tracks:
                at_w.append(_score(doing, model, at_w=True))
            losses.append(round(total.item() / (step - sum(marks[: len(losses)][-1:])), 5))
            total.zero_()
    return {
        "run": asdict(run),
        "data": doing.data,
        "is_loss": doing.is_loss,
        "scores": scores,
        **({"at_slow_weights": at_w} if tracks else {}),
        "training_loss": [loss if isfinite(loss) else None for loss in losses],
        "cpu_seconds": round(time.process_time() - start, 1),
        "revision": revision(),
    }
