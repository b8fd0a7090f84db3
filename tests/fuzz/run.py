"""Run cases: one by its seed, or many in processes of their own.

A case that ends its process is found because it was begun and not finished.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import re
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List

from tests.fuzz.case import draw_case
from tests.fuzz.checks import Fault
from tests.fuzz.life import live

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 300.0
"""A case that takes longer ends its process, with the stack of where it was."""

FAULT = "FAULT"


def run_here(seeds: List[int]) -> None:
    """Run cases in this process and print a line as each begins, and one with what came out."""
    faulthandler.enable()
    for seed in seeds:
        print(json.dumps([seed, "begun"]), flush=True)
        faulthandler.dump_traceback_later(MOST_SECONDS, exit=True)
        try:
            outcome = live(draw_case(seed))
        except Fault as fault:
            outcome = f"{FAULT} {fault}"
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps([seed, outcome]), flush=True)


def run_apart(seeds: List[int]) -> Dict[int, str]:
    """Run cases in a process of their own, and in further ones when a case ends it.

    Returns:
        seed -> what came out.
    """
    outcomes: Dict[int, str] = {}
    while left := [seed for seed in seeds if seed not in outcomes]:
        command = [sys.executable, "-m", "tests.fuzz.run", "--here", *map(str, left)]
        done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
        outcomes.update({seed: outcome for seed, outcome in lines if outcome != "begun"})
        unfinished = [seed for seed, _ in lines if seed not in outcomes]
        if not lines or (done.returncode != 0 and not unfinished):
            raise RuntimeError(done.stderr)
        for seed in unfinished:
            stack = [line.strip() for line in done.stderr.splitlines() if line.startswith("  File")]
            where = " | ".join(stack[:6])
            outcomes[seed] = f"{FAULT} ends the process ({done.returncode}): {where}"
    return outcomes


def run_many(first: int, count: int, processes: int = 2, batch: int = 250) -> Dict[int, str]:
    """Run the cases of ``count`` seeds from ``first`` on in some processes at a time.

    Returns:
        seed -> what came out.
    """
    size = min(batch, -(-count // processes))
    seeds = list(range(first, first + count))
    batches = [seeds[start : start + size] for start in range(0, count, size)]
    outcomes: Dict[int, str] = {}
    with ThreadPoolExecutor(processes) as pool:
        for found in pool.map(run_apart, batches):
            outcomes.update(found)
    return outcomes


def show(seed: int) -> bool:
    """Print a case and what comes out of it; return whether it is right."""
    case = draw_case(seed)
    print(case, flush=True)
    faulthandler.enable()
    try:
        print(live(case))
    except Fault:
        traceback.print_exc()
        return False
    return True


def kind(outcome: str) -> str:
    """Return an outcome without its numbers, for sorting."""
    return re.sub(r"[0-9.e+-]+", "#", outcome)


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, help="run this case here and print it")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--here", type=int, nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        run_here(arguments.here)
        return 0
    if arguments.seed is not None:
        return 0 if show(arguments.seed) else 1
    outcomes = run_many(arguments.first, arguments.count, arguments.processes)
    faults = {seed: outcome for seed, outcome in outcomes.items() if outcome.startswith(FAULT)}
    for seed, outcome in sorted(faults.items(), key=lambda item: (kind(item[1]), item[0])):
        print(f"{seed}: {outcome}")
    trained = sum(outcome == "trained" for outcome in outcomes.values())
    print(f"{len(outcomes)} cases: {trained} trained, {len(faults)} faults, the others refused")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
