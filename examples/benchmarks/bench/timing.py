"""Timing several functions in turn, so that whatever else the machine does hits all alike."""

from __future__ import annotations

import time
from math import ceil
from statistics import median, quantiles
from typing import Any, Callable, Dict, List, Sequence, Tuple

import torch

Step = Callable[[], None]
Times = Dict[str, List[float]]

SHORTEST = 6e-2
"""Seconds that a measurement should last at least: a training has the caches for itself."""

MIN_ROUNDS = 5

WARM_UP = 3
"""Calls of each function before the first round."""


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def seconds(step: Step, repeat: int = 1) -> Tuple[float, float]:
    """Return wall-clock and processor time of a call, the latter of all threads.

    With a GPU in use until it has done all that the calls asked for.
    """
    _wait()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeat):
        step()
    _wait()
    return (time.perf_counter() - wall) / repeat, (time.process_time() - cpu) / repeat


def take_turns(steps: Dict[str, Step], rounds: int, budget: float) -> Tuple[Times, Times, int]:
    """Measure all functions once a round.

    The calls in a measurement follow from the fastest function and :data:`SHORTEST`, and are equal
    for all. Short ones have one more call before, not measured, because the data of the function
    that was measured before is still in the caches, which in a training it is not.

    Args:
        steps: the functions by name.
        rounds: most rounds.
        budget: seconds after which no round begins, once there are :data:`MIN_ROUNDS`.

    Returns:
        wall-clock and processor times of a call by name, one for each round, and the number of
        calls in a measurement.
    """
    names = list(steps)
    fastest = min(seconds(step)[0] for _ in range(WARM_UP) for step in steps.values())
    repeat = max(ceil(SHORTEST / fastest), 1)
    wall: Times = {name: [] for name in names}
    cpu: Times = {name: [] for name in names}
    start = time.perf_counter()
    for index in range(rounds):
        if index >= min(MIN_ROUNDS, rounds) and time.perf_counter() - start > budget:
            break
        first = index % len(names)  # nobody always follows the same one
        for name in names[first:] + names[:first]:
            if repeat > 1:
                steps[name]()
            for times, value in zip((wall, cpu), seconds(steps[name], repeat)):
                times[name].append(value)
    return wall, cpu, repeat


def quartiles(values: Sequence[float]) -> List[float]:
    """Return the first and the third quartile."""
    if len(values) < 2:
        return [values[0], values[0]]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return [low, high]


def ratio(mine: Sequence[float], base: Sequence[float], name: str = "ratio") -> Dict[str, Any]:
    """Return median and quartiles of the ratios of measurements of the same rounds."""
    ratios = [a / b for a, b in zip(mine, base)]
    return {name: median(ratios), f"{name}_quartiles": quartiles(ratios)}
