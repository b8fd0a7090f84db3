"""One training step of the paper's Table 2 network: E-RIDER against aihwkit's own tiles.

All models live in one process and take their steps in turn, so that whatever else the machine does
hits all of them alike. What counts are the medians of the ratios of neighbouring measurements.
All have the same devices, converters, pulse lengths and ``fast_lr``.

    python examples/benchmarks/step_time.py --threads 1 --out step_time.json
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Callable, Dict, List

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.transfer import TorchTransferTile
from common.methods import agad, erider, hfo2, io_parameters
from common.networks import fcn
from torch import nn

BASELINE = "C++ AGAD"
STEPS = 5
"""Steps in one measurement."""


def configurations(fast_lr: float) -> Dict[str, Any]:
    """Return the configurations to compare, at equal settings."""
    device, mapping, desired_bl = hfo2(0.4, 0.4), MappingParameter(), 5
    same = {"fast_lr": fast_lr, "transfer_lr": 0.05, "in_chop_prob": 0.05}
    torch_transfer = agad(device, mapping, desired_bl, scale_transfer_lr=False, **same)
    torch_transfer.tile_class = TorchTransferTile
    sgd = SingleRPUConfig(
        device=device,
        forward=io_parameters(),
        backward=io_parameters(),
        update=UpdateParameters(desired_bl=desired_bl),
    )
    return {
        BASELINE: agad(device, mapping, desired_bl, scale_transfer_lr=False, **same),
        "TorchTransferTile": torch_transfer,
        "analog SGD, one device": sgd,
        "E-RIDER, gamma=0.1": erider(device, mapping, desired_bl, gamma=0.1, **same),
        "E-RIDER, gamma=0": erider(device, mapping, desired_bl, gamma=0.0, **same),
    }


def make_step(rpu_config: Any, batch_size: int) -> Callable[[], None]:
    """Return a function that does one training step."""
    model = convert_to_analog(fcn(), rpu_config)
    optimizer = AnalogSGD(model.parameters(), lr=0.05)
    criterion = nn.NLLLoss()
    x, y = torch.rand(batch_size, 1, 28, 28), torch.randint(0, 10, (batch_size,))

    def step() -> None:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

    return step


def measure(steps: Dict[str, Callable[[], None]], rounds: int) -> Dict[str, List[float]]:
    """Return the seconds of a step for each round, taking the models in turn."""
    times: Dict[str, List[float]] = {name: [] for name in steps}
    for index in range(rounds + 3):
        for name, step in steps.items():
            start = time.perf_counter()
            for _ in range(STEPS):
                step()
            if index >= 3:  # the first rounds warm up
                times[name].append((time.perf_counter() - start) / STEPS)
    return times


def main() -> None:
    """Measure, print the table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--fast-lr", type=float, default=0.1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.manual_seed(1)
    torch.set_num_threads(args.threads)

    steps = {
        name: make_step(config, args.batch_size)
        for name, config in configurations(args.fast_lr).items()
    }
    times = measure(steps, args.rounds)
    result = {
        name: {
            "median_ms": 1e3 * median(values),
            "ratio": median(mine / base for mine, base in zip(values, times[BASELINE])),
        }
        for name, values in times.items()
    }
    print(f"{'':<26}{'ms per step':>12}{'ratio to ' + BASELINE:>22}")
    for name, numbers in result.items():
        print(f"{name:<26}{numbers['median_ms']:>12.2f}{numbers['ratio']:>22.2f}")
    if args.out:
        numbers = {
            "command": " ".join(["python", *sys.argv]),
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("aihwkit-dspt", "aihwkit", "torch")},
            },
            "result": result,
        }
        args.out.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main()
