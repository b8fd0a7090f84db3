r"""Estimators of the symmetric point beside each other, on the network of the paper's Table 2.

E-RIDER trains with one estimator, by default :class:`aihwkit_dspt.AdaptiveGain`. All reads of the
fast arrays are kept, and at the end every estimator gets the same reads: what differs is what it
makes of them, not the devices, the pulses or the noise. Compared are error, correlation and mean
over the cells that got a pulse, with the true symmetric points. The accuracy is that of the
estimator that was trained with.

    python examples/paper/estimators.py --data-root mnist             # adaptive
    python examples/paper/estimators.py --data-root mnist --estimator low-pass --eta 0.05

Adds a line to ``estimators.json`` for each network, cell, estimator, ``eta`` and seed; what is
there is not run again. Cell (0.4, 0.4) of the table unless ``--mean`` and ``--std`` say otherwise;
HfO2 devices of 4.3 states, batch 10, lr 0.05.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List

import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.results import Results
from core.execute import NETWORKS, _accuracy, _images, _train_epoch
from core.methods import rpu_config
from core.run import Run

from aihwkit_dspt import ESTIMATORS, Listener, TrackingTile, symmetric_points

LR = 0.05
ETAS = (0.25, 0.1, 0.05, 0.02)
"""Step sizes of the filter; the first is the paper's."""


class Reads(Listener):
    """Keeps the reads of a tile."""

    def __init__(self, tile: TrackingTile) -> None:
        self.tile = tile
        self.start = tile.fast_weights
        self.reads: List[tuple[slice, Tensor]] = []

    def on_read(self, lines: slice, read: Tensor) -> None:
        """Keep a read."""
        self.reads.append((lines, read.half()))

    def results(self) -> Dict[str, Any]:
        """Return what each estimator makes of the reads."""
        link = self.tile.tile.pipeline.link
        moved = (self.tile.fast_weights != self.start).t()
        points = symmetric_points(self.tile).fast.values.t().float()
        found = {"cells_with_pulses": moved.float().mean().item()}
        kinds = [(f"low-pass eta {eta}", "low-pass", eta) for eta in ETAS]
        kinds += [("running-mean floor 0.02", "running-mean", 0.02), ("adaptive", "adaptive", 0.25)]
        for name, kind, eta in kinds:
            estimator = ESTIMATORS[kind](*points.shape, eta, torch.float32)
            estimator.read_noise = link.estimator.read_noise
            for lines, read in self.reads:
                estimator.update(lines, read.float())
            found[name] = errors(estimator.sp_estimate[moved], points[moved])
        found["in training"] = errors(link.estimator.sp_estimate[moved], points[moved])
        return found


def errors(estimates: Tensor, points: Tensor) -> Dict[str, float]:
    """Return standard deviation and mean of Q minus the point, and their correlation."""
    difference = estimates - points
    both = torch.stack([estimates, points])
    return {
        "std": difference.std().item(),
        "mean": difference.mean().item(),
        "correlation": torch.corrcoef(both)[0, 1].item(),
    }


def execute(run: Run, data_root: Any) -> Dict[str, Any]:
    """Train and compare."""
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    images = _images(data_root, run.network, False)
    settings = {**run.settings, "estimator": ESTIMATORS[run.settings["estimator"]]}
    config = rpu_config(Run(**{**vars(run), "settings": settings}))
    model = convert_to_analog(NETWORKS[run.network](images), config)
    optimizer = AnalogSGD(model.parameters(), lr=run.lr)
    optimizer.regroup_param_groups(model)
    tiles = [Reads(tile) for tile in model.modules() if isinstance(tile, TrackingTile)]
    accuracies = []
    with ExitStack() as stack:
        for reads in tiles:
            stack.enter_context(reads.tile.listen(reads))
        for epoch in range(run.epochs):
            _train_epoch(model, optimizer, images, run.batch_size)
            accuracies.append(_accuracy(model, images))
            print(f"epoch {epoch + 1}: {accuracies[-1]} %", flush=True)
    arrays = {f"array {n}": reads.results() for n, reads in enumerate(tiles)}
    return {"data": images.name, "accuracy": accuracies, **arrays}


def name_of(run: Run) -> str:
    """Return what a run is called in the results."""
    estimator, eta = run.settings["estimator"], run.settings["eta"]
    chosen = estimator if estimator == "adaptive" else f"{estimator} eta {eta:g}"
    cell = f"({run.reference_mean:g}, {run.reference_std:g})"
    return f"{run.network} {cell}, {run.epochs} epochs, {chosen}, seed {run.seed}"


def main() -> None:
    """Train, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", help="folder of the MNIST files; digits without it")
    parser.add_argument("--estimator", choices=ESTIMATORS, default="adaptive")
    parser.add_argument("--eta", type=float, default=ETAS[0], help="the paper's by default")
    parser.add_argument("--network", choices=NETWORKS, default="fcn")
    parser.add_argument("--mean", type=float, default=0.4, help="mean of the references")
    parser.add_argument("--std", type=float, default=0.4, help="their standard deviation")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the results")
    options = parser.parse_args()
    results = Results(options.out / "estimators.json", {"lr": LR, "batch": 10})
    for seed in options.seeds:
        cell = options.mean, options.std
        chosen = {"estimator": options.estimator, "eta": options.eta}
        run = Run("E-RIDER", options.network, *cell, seed, options.epochs, LR, settings=chosen)
        if name_of(run) not in results.numbers:
            results.add(name_of(run), execute(run, options.data_root))
    for name, result in results.numbers.items():
        print(f"{name}: accuracy {result['accuracy']} %")
        for array, found in result.items():
            for kind, numbers in found.items() if array.startswith("array") else ():
                print(f"  {array:8} {kind:24} {numbers}")


if __name__ == "__main__":
    main()
