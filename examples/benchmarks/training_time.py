"""What a step of a real training takes: the paper's Table 2 on MNIST, after some epochs.

In ``step_time.py`` networks with random weights see random images. In a training weights grow, so
that bound management reads most vectors again, and transfers send pulses. Here TT-v2, AGAD and
E-RIDER are trained, with the settings of ``examples/paper/table2.py`` in its cell (0.4, 0.4), and
their steps are then measured in turns, while they go on training.

    python examples/benchmarks/training_time.py --data-root mnist --out training_time.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median
from typing import Any, Dict

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.parameters.mapping import MappingParameter
from bench.tables import spread
from bench.timing import ratio, take_turns
from common.data import Images, load_images
from common.machine import load, machine
from common.markdown import markdown
from common.methods import METHODS, hfo2
from common.networks import fcn
from common.report import write_json
from torch import nn

BASELINE = "AGAD"
BATCH_SIZE = 10
LR = 0.05
MAPPING: Dict[str, Any] = {
    "weight_scaling_omega": 0.15,
    "weight_scaling_columnwise": True,
    "learn_out_scaling": True,
    "out_scaling_columnwise": True,
}


class Training:
    """A training that goes on with every call.

    Args:
        method: name of the method.
        images: what it is trained on.
    """

    def __init__(self, method: str, images: Images) -> None:
        config = METHODS[method](hfo2(0.4, 0.4), MappingParameter(**MAPPING), 5)
        self.images = images
        self.model = convert_to_analog(fcn(images.size), config)
        self.optimizer = AnalogSGD(self.model.parameters(), lr=LR)
        self.optimizer.regroup_param_groups(self.model)

    def __call__(self) -> None:
        """Do a training step on random images."""
        index = torch.randint(len(self.images.train_y), (BATCH_SIZE,))
        self.optimizer.zero_grad()
        output = self.model(self.images.train_x[index])
        nn.functional.nll_loss(output, self.images.train_y[index]).backward()
        self.optimizer.step()


def main() -> None:
    """Train, measure, print and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data-root", help="folder of the MNIST files (or set DSPT_DATA_ROOT)")
    parser.add_argument("--updates", type=int, default=18_000, help="before measuring, 3 epochs")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of measuring")
    parser.add_argument("--out", type=Path, help="JSON file for the numbers")
    args = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(1)
    images = load_images(args.data_root)
    trainings = {method: Training(method, images) for method in METHODS}
    for training in trainings.values():
        for _ in range(args.updates):
            training()
    before = load()
    wall, _, repeat = take_turns(trainings, args.rounds, args.budget)
    result = {
        method: {"median_ms": 1e3 * median(times), **ratio(times, wall[BASELINE])}
        for method, times in wall.items()
    }
    print(f"{images.name}, after {args.updates} updates, {len(wall[BASELINE])} rounds of {repeat}")
    head = ["method", "ms per step", f"over {BASELINE}"]
    rows = [
        [method, f"{found['median_ms']:.3f}", spread(found, "ratio")]
        for method, found in result.items()
    ]
    print(markdown(head, rows))
    if args.out:
        settings = {"updates": args.updates, "data": images.name, "load": [before, load()]}
        write_json(args.out, {"settings": {**machine(), **settings}, "result": result})


if __name__ == "__main__":
    main()
