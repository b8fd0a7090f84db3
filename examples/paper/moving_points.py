r"""Symmetric points that move: how far estimates are off, and what it costs in accuracy.

First part: an array of 40-state devices gets random gradients while its symmetric points (SPs) walk
at three speeds. Every estimator gets the same reads. Their mean squared error after a run-in is set
beside theory: :math:`\eta r/(2-\eta) + q(1-\eta)^2/(\eta(2-\eta))` for a fixed step,
:math:`\eta^* r` for the best, and :math:`k q` for a reference that was calibrated at the start.

Second part: a network trains on scikit-learn's digits for as long as its SPs walk by their own
range. Compared are a reference that was calibrated without error, AGAD (``gamma=0``), E-RIDER with
the paper's filter, with the running mean, and with the adaptive gain: with the default's phases of
20 sweeps, and with phases of 10.

    python examples/paper/moving_points.py            # both; a run that was stopped goes on
    python examples/paper/moving_points.py --parts tracking
    python examples/paper/moving_points.py --parts training --methods "calibrated reference" AGAD
    python examples/paper/moving_points.py --parts training --walked 0.2 --out slower

Writes ``moving_points.json`` and ``moving_points.png``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import mean
from typing import Any, Dict, List

import torch
from aihwkit.nn import AnalogLinear
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.data import load_digits
from common.results import Results
from common.train import accuracy

from aihwkit_dspt import (
    AdaptiveGain,
    Listener,
    LowPassFilter,
    RunningMean,
    SymmetricPointDrift,
    TrackingTile,
    build_config,
    symmetric_points,
    with_symmetric_point,
)

RATIOS = (0.002, 0.006, 0.016)
"""Variance of the walk from read to read over that of the reads."""

ETAS = (0.25, 0.05)
IN_SIZE, OUT_SIZE, N_SWEEPS = 16, 128, 600
RUN_IN = 5 / 12
"""Part of the sweeps after which errors count."""

N_STEPS, BATCH, WALKED, EVERY = 3000, 8, 0.4, 50
METHODS: Dict[str, Dict[str, Any]] = {
    "calibrated reference": {"algorithm": "two-stage"},
    "AGAD": {"gamma": 0.0, "estimator": LowPassFilter},
    "E-RIDER, filter": {"estimator": LowPassFilter},
    "E-RIDER, running mean": {"estimator": RunningMean},
    "E-RIDER, adaptive": {"estimator": AdaptiveGain},
    "E-RIDER, adaptive, phases of 10": {"estimator": AdaptiveGain, "in_chop_prob": 0.1},
}


def device(dw_min: float, std: float) -> SoftBoundsReferenceDevice:
    """Return a soft-bounds device on [-1, 1] whose SPs have mean 0."""
    return with_symmetric_point(SoftBoundsReferenceDevice(dw_min=dw_min), 0.0, std)


class Errors(Listener):
    """Lets estimators follow the reads of a tile, and keeps their errors after a run-in."""

    def __init__(self, run_in: int) -> None:
        self.run_in = run_in
        self.points = torch.zeros(IN_SIZE, OUT_SIZE)
        kinds = {
            f"filter {eta}": LowPassFilter(IN_SIZE, OUT_SIZE, eta, torch.float) for eta in ETAS
        }
        self.estimators = {**kinds, "adaptive": AdaptiveGain(IN_SIZE, OUT_SIZE, 0.1, torch.float)}
        self.start = self.points
        self.n_reads = 0
        self.squares: Dict[str, List[float]] = {}

    def on_read(self, lines: slice, read: Tensor) -> None:
        """Update all estimators."""
        self.n_reads += lines.stop - lines.start
        estimates = {"reads": read, "calibrated": self.start[lines]}
        for name, estimator in self.estimators.items():
            estimator.update(lines, read)
            estimates[name] = estimator.sp_estimate[lines]
        if self.n_reads > self.run_in * IN_SIZE:
            for name, estimate in estimates.items():
                square = (estimate - self.points[lines]).square().mean().item()
                self.squares.setdefault(name, []).append(square)


def track(ratio: float, scatter: float, n_sweeps: int, seed: int = 1) -> Dict[str, Any]:
    """Return mean squared errors at one speed."""
    run_in = round(RUN_IN * n_sweeps)
    torch.manual_seed(seed)
    config = build_config(
        "e-rider", device(0.05, 0.2), transfer_every=1.0, units_in_mbatch=True, sweep_every=0.0
    )
    layer = AnalogLinear(IN_SIZE, OUT_SIZE, bias=False, rpu_config=config)
    tile = layer.analog_module
    tile.set_learning_rate(0.5)
    walk = (ratio * scatter) ** 0.5
    drift = SymmetricPointDrift(layer, walk=walk, arrays=[0], seed=seed)
    errors = Errors(run_in)
    with tile.listen(errors):
        for sweep in range(n_sweeps):
            errors.points = symmetric_points(tile).fast.values.t().float()
            if sweep == run_in:
                errors.start = errors.points.clone()
            for _ in range(IN_SIZE):
                # Enough pulses of both signs that reads of a cell are independent.
                tile.update(torch.randn(16, IN_SIZE), torch.randn(16, OUT_SIZE))
            if ratio:
                drift.advance()
    found = {name: mean(values) for name, values in errors.squares.items()}
    return {"walk per read": walk**2, **found}


def theory(name: str, q: float, r: float, n_reads: int) -> float:
    """Return the mean squared error of an estimate after a run-in."""
    if name == "calibrated":
        return q * (n_reads - 1) / 2.0  # the mean over the run
    eta = (((q / r) ** 2 + 4.0 * q / r) ** 0.5 - q / r) / 2.0
    if name.startswith("filter"):
        eta = float(name.split()[1])
    return eta * r / (2.0 - eta) + q * (1.0 - eta) ** 2 / (eta * (2.0 - eta))


def train(method: str, walked: float, seed: int, n_steps: int) -> Dict[str, Any]:
    """Return test accuracies at ten instants of a training on digits while SPs walk so far."""
    settings = dict(METHODS[method])
    torch.manual_seed(seed)
    images = load_digits()
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(64, 32), nn.Sigmoid(), nn.Linear(32, 10), nn.LogSoftmax(dim=1)
    )
    config = build_config(settings.pop("algorithm", "e-rider"), device(0.1, 0.2), **settings)
    model = convert_to_analog(network, config)
    if method.startswith("calibrated"):
        for tile in (tile for tile in model.modules() if isinstance(tile, TrackingTile)):
            tile.set_reference(symmetric_points(tile).fast.values.nan_to_num(0.0))
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    walk = walked / n_steps**0.5
    criterion, accuracies = nn.NLLLoss(), []
    order = torch.Generator().manual_seed(seed)
    with SymmetricPointDrift(model, walk=walk, every=EVERY, seed=seed):
        for step in range(1, n_steps + 1):
            index = torch.randint(len(images.train_y), (BATCH,), generator=order)
            optimizer.zero_grad()
            criterion(model(images.train_x[index]), images.train_y[index]).backward()
            optimizer.step()
            if step % (n_steps // 10) == 0:
                accuracies.append(accuracy(model, images.test_x, images.test_y))
    return {"accuracy": accuracies, "end": mean(accuracies[-3:])}


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", default=["tracking", "training"])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    words = "how far SPs walk in a training: standard deviation over the cells"
    parser.add_argument("--walked", type=float, default=WALKED, help=words)
    parser.add_argument("--steps", type=int, default=N_STEPS, help="of a training, 10 or more")
    parser.add_argument("--sweeps", type=int, default=N_SWEEPS, help="over an array, 10 or more")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    steps, sweeps = max(options.steps, 10), max(options.sweeps, 10)
    settings = {"steps": steps, "walked": options.walked, "sweeps": sweeps, "ratios": list(RATIOS)}
    results = Results(options.out / "moving_points.json", settings)
    if "tracking" in options.parts:
        measure_tracking(results, sweeps)
    if "training" in options.parts:
        for seed in options.seeds:
            for method in options.methods:
                for moves in (True, False):
                    key = f"{method}, {'moving' if moves else 'fixed'}, seed {seed}"
                    if key not in results.numbers:
                        results.add(key, train(method, options.walked * moves, seed, steps))
                    print(key, results.numbers[key]["end"], flush=True)
    draw(results.numbers, steps, options.walked, options.out / "moving_points.png")


def measure_tracking(results: Results, n_sweeps: int) -> None:
    """Measure the first part."""
    if "scatter" not in results.numbers:
        results.add("scatter", track(0.0, 1.0, n_sweeps))
    r = results.numbers["scatter"]["reads"]
    n_reads = n_sweeps - round(RUN_IN * n_sweeps)
    for ratio in RATIOS:
        key = f"s = {ratio}"
        if key not in results.numbers:
            found = track(ratio, r, n_sweeps)
            q, own = found["walk per read"], found["reads"]
            expected = {
                name: theory(name, q, own, n_reads)
                for name in found
                if name not in ("reads", "walk per read")
            }
            results.add(key, {"measured": found, "theory": expected})
        both = results.numbers[key]
        for name, value in both["theory"].items():
            print(f"{key} {name:14} {both['measured'][name]:.5f} theory {value:.5f}", flush=True)


def draw(numbers: Dict[str, Any], n_steps: int, walked: float, path: Path) -> None:
    """Draw both parts."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    figure.suptitle("What only tracking can do: symmetric points that walk", fontsize=11)
    draw_tracking(left, numbers)
    draw_training(right, numbers, n_steps, walked)
    figure.savefig(path, dpi=110)


def draw_tracking(axes: Any, numbers: Dict[str, Any]) -> None:
    """Draw the error of each estimate against the speed of the walk."""
    names = ["calibrated", *(f"filter {eta}" for eta in ETAS), "adaptive"]
    for colour, name in enumerate(names):
        rows = [numbers[f"s = {ratio}"] for ratio in RATIOS if f"s = {ratio}" in numbers]
        if rows:
            speeds = [row["measured"]["walk per read"] ** 0.5 for row in rows]
            for kind, style in (("theory", "-"), ("measured", "o")):
                root = [row[kind][name] ** 0.5 for row in rows]
                label = name if kind == "theory" else None
                axes.loglog(speeds, root, style, color=f"C{colour}", label=label)
    axes.set(xlabel="walk of the SP per read (weight units)", ylabel="rms error of Q")
    axes.set_title("error of the reference: measured (points), theory (lines)", fontsize=9)
    if axes.lines:
        axes.legend(fontsize=7)


def draw_training(axes: Any, numbers: Dict[str, Any], n_steps: int, walked: float) -> None:
    """Draw the accuracy along a training: the mean of the seeds, and their range."""
    steps = [n_steps // 10 * part for part in range(1, 11)]
    for colour, method in enumerate(METHODS):
        for word, style in (("moving", "-"), ("fixed", ":")):
            of_method = [
                value["accuracy"]
                for key, value in numbers.items()
                if key.startswith(f"{method}, {word}")
            ]
            if of_method:
                curve = [mean(values) for values in zip(*of_method)]
                label = method if word == "moving" else None
                axes.plot(steps, curve, style, color=f"C{colour}", label=label)
            if len(of_method) > 1 and word == "moving":
                low, high = (list(map(of, zip(*of_method))) for of in (min, max))
                axes.fill_between(steps, low, high, color=f"C{colour}", alpha=0.2, linewidth=0)
    axes.set(xlabel="training step", ylabel="test accuracy (%)", ylim=(20, 100))
    axes.set_title(f"accuracy: SPs walk by {walked:g} (lines) or stay (dotted)", fontsize=9)
    if axes.lines:
        axes.legend(fontsize=7)


if __name__ == "__main__":
    main()
