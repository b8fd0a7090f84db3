r"""Estimators of the symmetric point beside each other, on the network of the paper's Table 2.

E-RIDER trains with one estimator. All others get the same reads of the fast arrays: what differs is
what they make of them, not the devices, the pulses or the noise. Compared are error, correlation
and mean over the cells that got a pulse, with the true symmetric points, after each epoch. The
accuracy is that of the estimator that was trained with.

    python examples/paper/estimators.py --data-root mnist             # adaptive gain, the defaults
    python examples/paper/estimators.py --data-root mnist --estimator low-pass --eta 0.05
    python examples/paper/estimators.py --data-root mnist --settings paper

Adds a line to ``estimators.json`` for each network, cell, settings, estimator, ``eta`` and seed,
after each epoch; what is there with as many epochs is not run again. Draws ``estimators.png``.
Cell (0.4, 0.4) of the table unless ``--mean`` and ``--std`` say otherwise; HfO2 devices of 4.3
states, batch 10, lr 0.05. ``--batch 64 --lr 0.1`` takes a quarter of the time, and as many reads.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.methods import hfo2, io_parameters
from common.results import Results
from core.execute import NETWORKS, _accuracy, _images, _train_epoch
from core.methods import rpu_config
from core.run import Run

from aihwkit_dspt import (
    ESTIMATORS,
    AdaptiveGain,
    Listener,
    SymmetricPointEstimator,
    TrackingTile,
    build_config,
    symmetric_points,
)

LR = 0.05
ETAS = (0.25, 0.05, 0.02, 0.005, 0.0025)
"""Step sizes of the filter: the first is the paper's, the last that of the defaults."""

FLOORS = (0.02, 0.0025)
"""Smallest steps of the running mean: the last is that of the defaults."""


class Estimates(Listener):
    """Gives the reads of a tile to every estimator, and keeps what they are off by."""

    def __init__(self, tile: TrackingTile, etas: Sequence[float], floors: Sequence[float]) -> None:
        self.tile = tile
        self.start = tile.fast_weights
        self.points = symmetric_points(tile).fast.values.t().float()
        self.own = tile.tile.pipeline.link.estimator
        self.estimators = {f"low-pass eta {eta:g}": self._make("low-pass", eta) for eta in etas}
        for floor in floors:
            name = f"running-mean floor {floor:g}"
            self.estimators[name] = self._make("running-mean", floor)
        # The one in training, if it is one: all have the same reads.
        is_own = type(self.own) is AdaptiveGain
        self.estimators["adaptive"] = self.own if is_own else self._make("adaptive", ETAS[0])
        self.n_lines = 0
        self.found: Dict[str, Dict[str, List[float]]] = {}
        self.moved: List[float] = []

    def _make(self, kind: str, eta: float) -> SymmetricPointEstimator:
        estimator = ESTIMATORS[kind](*self.points.shape, eta, torch.float32)
        estimator.read_noise = self.own.read_noise
        estimator.chop_period = self.own.chop_period
        return estimator

    def on_read(self, lines: slice, read: Tensor) -> None:
        """Update all estimators."""
        self.n_lines += len(read)
        for estimator in self.estimators.values():
            if estimator is not self.own:
                estimator.update(lines, read)

    def look(self) -> None:
        """Keep what each estimator is off by now."""
        moved = (self.tile.fast_weights != self.start).t()
        self.moved.append(moved.float().mean().item())
        moved &= self.points.isfinite()  # a cell with steps in one direction only has no point
        for name, estimator in [*self.estimators.items(), ("in training", self.own)]:
            found = errors(estimator.sp_estimate[moved], self.points[moved])
            for kind, value in found.items():
                self.found.setdefault(name, {}).setdefault(kind, []).append(value)

    def results(self) -> Dict[str, Any]:
        """Return everything that was kept, one value for each epoch."""
        reads = self.n_lines / len(self.points)
        return {"cells_with_pulses": self.moved, "reads_of_a_line": reads, **self.found}


def errors(estimates: Tensor, points: Tensor) -> Dict[str, float]:
    """Return standard deviation and mean of Q minus the point, and their correlation."""
    difference = estimates - points
    both = torch.stack([estimates, points])
    return {
        "std": difference.std().item(),
        "mean": difference.mean().item(),
        "correlation": torch.corrcoef(both)[0, 1].item(),
    }


def config_of(run: Run, of_paper: bool) -> Any:
    """Return the RPU configuration of a run; its settings have the name of an estimator."""
    chosen = {"estimator": ESTIMATORS[run.settings["estimator"]], "eta": run.settings["eta"]}
    if of_paper:
        return rpu_config(replace(run, settings=chosen))
    device = hfo2(run.reference_mean, run.reference_std)
    return build_config("e-rider", device, io_parameters=io_parameters(), **chosen)


def execute(run: Run, options: argparse.Namespace) -> Iterator[Dict[str, Any]]:
    """Train and compare; yield what is found after each epoch."""
    others = options.etas, options.floors
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    images = _images(options.data_root, run.network, False)
    model = convert_to_analog(
        NETWORKS[run.network](images), config_of(run, options.settings == "paper")
    )
    optimizer = AnalogSGD(model.parameters(), lr=run.lr)
    optimizer.regroup_param_groups(model)
    tracking = [tile for tile in model.modules() if isinstance(tile, TrackingTile)]
    tiles = [Estimates(tile, *others) for tile in tracking]
    accuracies = []
    with ExitStack() as stack:
        for estimates in tiles:
            stack.enter_context(estimates.tile.listen(estimates))
        for epoch in range(run.epochs):
            _train_epoch(model, optimizer, images, run.batch_size)
            for estimates in tiles:
                estimates.look()
            accuracies.append(_accuracy(model, images))
            print(f"epoch {epoch + 1}: {accuracies[-1]} %", flush=True)
            arrays = {f"array {n}": estimates.results() for n, estimates in enumerate(tiles)}
            yield {"data": images.name, "accuracy": accuracies, **arrays}


def name_of(run: Run, settings: str) -> str:
    """Return what a run is called in the results."""
    estimator, eta = run.settings["estimator"], run.settings["eta"]
    chosen = estimator if estimator == "adaptive" else f"{estimator} eta {eta:g}"
    cell = f"({run.reference_mean:g}, {run.reference_std:g})"
    return f"{run.network} {cell}, {settings}, {chosen}, seed {run.seed}"


def draw(result: Dict[str, Any], path: Path) -> None:
    """Draw the error along a training, for each array."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    arrays = {name: found for name, found in result.items() if name.startswith("array")}
    figure, axes = plt.subplots(
        1, len(arrays), figsize=(2.6 * len(arrays), 3.0), layout="constrained", sharey=True
    )
    for axis, (name, found) in zip([axes] if len(arrays) == 1 else axes, arrays.items()):
        filters = {kind: found[kind]["std"] for kind in found if kind.startswith("low-pass")}
        best = min(filters, key=lambda kind: filters[kind][-1])
        shown = {kind: found[kind]["std"] for kind in found if kind.startswith("running")}
        first = next(iter(filters))
        shown = {first: filters[first], **shown}
        shown.update({"best filter": filters[best], "adaptive": found["adaptive"]["std"]})
        for kind, values in shown.items():
            style = ":" if kind == "best filter" else "-"
            axis.semilogy(range(1, len(values) + 1), values, style, marker=".", label=kind)
        axis.set_title(f"{name} (best: {best.split()[-1]})", fontsize=9)
        axis.set_xlabel("epoch")
    figure.axes[0].set_ylabel("standard deviation of Q - SP")
    figure.axes[0].legend(fontsize=7)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train, print, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", help="folder of the MNIST files (or set DSPT_DATA_ROOT)")
    parser.add_argument("--settings", choices=("defaults", "paper"), default="defaults")
    parser.add_argument("--estimator", choices=ESTIMATORS, default="adaptive")
    parser.add_argument("--eta", type=float, help="that of the settings by default")
    parser.add_argument("--network", choices=NETWORKS, default="fcn")
    parser.add_argument("--mean", type=float, default=0.4, help="mean of the references")
    parser.add_argument("--std", type=float, default=0.4, help="their standard deviation")
    parser.add_argument("--epochs", type=int, default=6)
    words = "to compare, the first for the picture"
    parser.add_argument("--etas", type=float, nargs="+", default=ETAS, help=f"steps {words}")
    parser.add_argument("--floors", type=float, nargs="*", default=FLOORS, help="floors to compare")
    parser.add_argument("--batch", type=int, default=10, help="with 64, a quarter of the time")
    parser.add_argument("--lr", type=float, default=LR)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the results")
    options = parser.parse_args()
    results = Results(options.out / "estimators.json", {"lr": options.lr, "batch": options.batch})
    of_paper = options.settings == "paper"
    eta = options.eta or (ETAS[0] if of_paper else ETAS[-1])
    for seed in options.seeds:
        cell = options.mean, options.std
        chosen = {"estimator": options.estimator, "eta": eta}
        run = Run(
            *("E-RIDER", options.network, *cell, seed, options.epochs, options.lr),
            batch_size=options.batch,
            settings=chosen,
        )
        name = name_of(run, options.settings)
        if len(results.numbers.get(name, {}).get("accuracy", [])) < run.epochs:
            for found in execute(run, options):
                results.add(name, found)
    for name, result in results.numbers.items():
        print(f"{name}: accuracy {result['accuracy']} %")
        for array, found in result.items():
            for kind, numbers in found.items() if array.startswith("array") else ():
                if isinstance(numbers, dict):
                    ends = {key: values[-1] for key, values in numbers.items()}
                    print(f"  {array:8} {kind:26} {ends}")
    draw(results.numbers[name], options.out / "estimators.png")


if __name__ == "__main__":
    main()
