"""All competitors on one network at one batch size, in this process."""

from __future__ import annotations

import time
from statistics import median
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch
from common.machine import load

from bench.competitors import rpu_config
from bench.names import BASELINE, COMPETITORS, MAY_REFUSE, OURS
from bench.timing import ratio, seconds, take_turns
from bench.workloads import Training, workload

BUILDS = 3
"""How often a model is built for the time of its first step, unless that takes long."""

LONG = 2.0
"""Seconds of building after which a model is not built again."""

Numbers = Dict[str, Any]


def first_steps(
    name: str, network: str, batch_size: int, fast_lr: float, device: str, every_vector: bool
) -> Tuple[Training, Numbers]:
    """Return a model that has done its first step, and what building and that step took."""
    built: List[float] = []
    first: List[float] = []
    while len(first) < BUILDS and sum(built) < LONG:
        torch.manual_seed(1)
        config = rpu_config(name, fast_lr, every_vector)
        start = time.perf_counter()
        training = Training(workload(network), config, batch_size, fast_lr, device)
        built.append(time.perf_counter() - start)
        first.append(seconds(training)[0])
    return training, {
        "build_ms": 1e3 * median(built),
        "first_step_ms": 1e3 * median(first),
    }


def build_all(
    names: List[str],
    network: str,
    batch_size: int,
    fast_lr: float,
    device: str,
    every_vector: bool,
) -> Tuple[Dict[str, Training], Dict[str, Numbers]]:
    """Build the competitors; those of aihwkit that refuse are listed with their reason."""
    trainings: Dict[str, Training] = {}
    result: Dict[str, Numbers] = {}
    # What a process does only once must not count as the first step of the first competitor.
    rest = fast_lr, device, every_vector
    first_steps(BASELINE, "linear-8", 2, *rest)
    for name in names:
        try:
            trainings[name], result[name] = first_steps(name, network, batch_size, *rest)
        except Exception as error:
            if name not in MAY_REFUSE:
                raise
            result[name] = {"not supported": f"{type(error).__name__}: {error}"}
    return trainings, result


def measure(
    network: str,
    batch_size: int,
    fast_lr: float,
    rounds: int,
    budget: float,
    competitors: Optional[Sequence[str]] = None,
    device: str = "cpu",
    every_vector: bool = False,
) -> Numbers:
    """Return times and ratios of a training step.

    Args:
        network: see :func:`~bench.workloads.workload`.
        batch_size: vectors of a step.
        fast_lr: learning rate of the gradient pulses of all competitors.
        rounds: most rounds of measurements.
        budget: seconds for them.
        competitors: names besides the baseline's; ``None`` for all.
        device: ``"cpu"`` or ``"cuda"``.
        every_vector: whether a line is transferred after every vector, not after every batch.

    Returns:
        for each competitor the median step time, its ratio to the baseline and the ratio of
        E-RIDER to it, with quartiles, by wall clock; the first by processor time, too.
    """
    names = list(dict.fromkeys([BASELINE, *(competitors or COMPETITORS)]))
    trainings, result = build_all(names, network, batch_size, fast_lr, device, every_vector)
    before = load()
    steps = {name: training.__call__ for name, training in trainings.items()}
    wall, cpu, repeat = take_turns(steps, rounds, budget)
    for name, times in wall.items():
        result[name].update({"median_ms": 1e3 * median(times), **ratio(times, wall[BASELINE])})
        result[name]["cpu_median_ms"] = 1e3 * median(cpu[name])
        result[name].update(ratio(cpu[name], cpu[BASELINE], "cpu_ratio"))
        if OURS in wall:
            result[name].update(ratio(wall[OURS], times, "erider_ratio"))
    return {
        "network": network,
        "batch_size": batch_size,
        "rounds": len(wall[BASELINE]),
        "steps_per_measurement": repeat,
        "load": [before, load()],
        "competitors": result,
    }
