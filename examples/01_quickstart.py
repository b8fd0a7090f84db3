"""Quick start: train one network with TT-v2, AGAD and E-RIDER on devices with a shifted SP.

The fully connected network of the paper's Table 2 on the HfO2 ReRAM preset, whose symmetric points
(SPs) are shifted by a reference of mean 0.4 and standard deviation 0.4. TT-v2 takes the SP for
zero, AGAD and E-RIDER estimate it while they train. Prints a table and writes a picture and the
numbers behind it.

    python examples/01_quickstart.py                      # scikit-learn's digits, two minutes
    python examples/01_quickstart.py --data-root mnist    # MNIST from IDX files
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, pstdev
from typing import Any, Dict, List

import torch
from aihwkit.simulator.parameters.mapping import MappingParameter
from common.data import Images, load_images
from common.methods import METHODS, hfo2
from common.networks import fcn
from common.report import write_json
from common.tracking import estimates_and_points, sp_error
from common.train import Record, train
from joblib import Parallel, delayed
from torch import nn

from aihwkit_dspt import DeviceDefaults, training_pulses

DESIRED_BL = 5
BATCH_SIZE = 10
MAX_RECORDS = 40
N_CELLS = 500
"""Cells in the picture of Q against the SP."""


@dataclass
class Run(Record):
    """One method with one seed."""

    method: str = ""
    seed: int = 0
    epochs_recorded: List[int] = field(default_factory=list)
    """Epochs at which the SP error was recorded."""

    sp_mean: List[float] = field(default_factory=list)
    """Mean of Q - SP over all fast cells, in weight units."""

    sp_rms: List[float] = field(default_factory=list)
    """Root-mean-square of Q - SP over all fast cells, in weight units."""

    cells: List[List[float]] = field(default_factory=list)
    """Q and SP of some cells at the end, for the first seed."""

    pulses: int = 0
    """Gradient pulses per line, the paper's measure: epochs * batches * BL."""


def run(method: str, seed: int, images: Images, args: argparse.Namespace, row: int) -> Run:
    """Train with one method and record accuracy and SP error."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    result = Run(method=method, seed=seed)
    every = max(args.epochs // MAX_RECORDS, 1)

    def on_epoch(model: nn.Module, epoch: int) -> None:
        if epoch % every == 0 or epoch == args.epochs:
            result.epochs_recorded.append(epoch)
            mean_error, rms_error = sp_error(model)
            result.sp_mean.append(mean_error)
            result.sp_rms.append(rms_error)
        if epoch == args.epochs and seed == args.seeds[0]:
            pairs = torch.stack(estimates_and_points(model), dim=1)
            chosen = torch.randperm(len(pairs))[:N_CELLS]
            result.cells = [[round(value, 4) for value in pair] for pair in pairs[chosen].tolist()]

    device = hfo2(args.reference_mean, args.reference_std)
    # Each with its own defaults: aihwkit's learn worse with the output scales of E-RIDER's.
    mapping = MappingParameter()
    if method == "E-RIDER":
        mapping = DeviceDefaults.of(device).mapping()
    if args.out_scaling:
        mapping = MappingParameter(
            weight_scaling_omega=0.3,
            weight_scaling_columnwise=True,
            learn_out_scaling=True,
            out_scaling_columnwise=True,
        )
    record = train(
        fcn(images.size),
        METHODS[method](device, mapping, DESIRED_BL),
        images,
        args.epochs,
        args.lr,
        BATCH_SIZE,
        label=method,
        on_epoch=on_epoch,
        row=row,
    )
    result.pulses = training_pulses(args.epochs, len(images.train_y), BATCH_SIZE, DESIRED_BL)
    result.accuracy, result.loss, result.seconds = record.accuracy, record.loss, record.seconds
    return result


def table(runs: List[Run]) -> str:
    """Return the table of all methods; mean and standard deviation over the seeds."""
    lines = [
        f"{'method':<10}{'accuracy [%]':>16}{'Q - SP, mean':>15}{'rms':>8}{'pulses':>12}"
        f"{'seconds':>10}",
        "-" * 71,
    ]
    for method in METHODS:
        mine = [item for item in runs if item.method == method]
        final = [item.accuracy[-1] for item in mine]
        spread = f" ± {pstdev(final):.1f}" if len(mine) > 1 else ""
        lines.append(
            f"{method:<10}{mean(final):>10.1f}{spread:<6}"
            f"{mean(item.sp_mean[-1] for item in mine):>+15.3f}"
            f"{mean(item.sp_rms[-1] for item in mine):>8.3f}"
            f"{mine[0].pulses:>12,}{mean(item.seconds for item in mine):>10.0f}"
        )
    return "\n".join(lines)


def draw(runs: List[Run], images: Images, path: Path) -> None:
    """Write the picture: accuracy, SP error, and Q against SP at the end of E-RIDER."""
    # pylint: disable=import-outside-toplevel
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    colours = dict(zip(METHODS, ("#E69F00", "#56B4E9", "#009E73")))  # colour-blind safe
    markers = dict(zip(METHODS, ("s", "^", "o")))
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.6), layout="constrained")
    for item in runs:
        first = item.seed == runs[0].seed
        style: Dict[str, Any] = {
            "color": colours[item.method],
            "marker": markers[item.method],
            "markevery": max(len(item.accuracy) // 10, 1),
            "label": item.method if first else None,
        }
        left.plot(range(1, len(item.accuracy) + 1), item.accuracy, **style)
        middle.plot(item.epochs_recorded, item.sp_mean, **{**style, "markevery": 0.1})
        rms = {**style, "label": None, "marker": None, "linestyle": ":"}
        middle.plot(item.epochs_recorded, item.sp_rms, **rms)
    left.set(title=f"Test accuracy, {images.name}", xlabel="epoch", ylabel="accuracy [%]")
    middle.set(
        title="Reference minus true SP: mean (solid), rms (dotted)",
        xlabel="epoch",
        ylabel="Q - SP [weight units]",
    )
    middle.axhline(0.0, color="black", linewidth=1)
    tracked = next(item for item in runs if item.method == "E-RIDER")
    estimates, points = zip(*tracked.cells)
    right.scatter(points, estimates, s=5, alpha=0.4, color=colours["E-RIDER"], label="cells")
    right.axline((0.0, 0.0), slope=1.0, color="black", linewidth=1, label="Q = SP")
    right.set(
        title="E-RIDER: estimate against true SP at the end",
        xlabel="true SP [weight units]",
        ylabel="Q [weight units]",
    )
    for axes in (left, middle, right):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Run all methods, print the table, write the picture and the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data-root", help="folder of the MNIST files (or set DSPT_DATA_ROOT)")
    parser.add_argument("--epochs", type=int, help="default: 200 on digits, 10 on MNIST")
    parser.add_argument("--lr", type=float, default=0.1, help="learning rate of AnalogSGD")
    parser.add_argument(
        "--out-scaling",
        action=argparse.BooleanOptionalAction,
        help="learned column-wise output scales; default: on MNIST only",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--reference-mean", type=float, default=0.4)
    parser.add_argument("--reference-std", type=float, default=0.4)
    parser.add_argument("--jobs", type=int, default=2, help="trainings that run side by side")
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the output")
    args = parser.parse_args()

    images = load_images(args.data_root)
    args.epochs = args.epochs or (60 if images.name == "digits" else 10)
    if args.out_scaling is None:
        args.out_scaling = images.name == "MNIST"
    args.out.mkdir(parents=True, exist_ok=True)
    print(
        f"{images.name}: {args.epochs} epochs, HfO2 ReRAM with SP {-args.reference_mean:+}", end=""
    )
    print(f" ± {args.reference_std}, output scaling {'on' if args.out_scaling else 'off'}")
    tasks = [(method, seed) for seed in args.seeds for method in METHODS]
    finished = Parallel(n_jobs=args.jobs, return_as="generator_unordered")(
        delayed(run)(method, seed, images, args, row % args.jobs)
        for row, (method, seed) in enumerate(tasks)
    )
    runs: List[Run] = []
    for item in finished:
        runs.append(item)
        runs.sort(key=lambda done: (done.seed, list(METHODS).index(done.method)))
        numbers = {"runs": [asdict(item) for item in runs]}
        write_json(args.out / "quickstart.json", numbers)
    print("\n" + table(runs))
    draw(runs, images, args.out / "quickstart.png")
    print(f"\nwritten: {args.out / 'quickstart.png'}, {args.out / 'quickstart.json'}")


if __name__ == "__main__":
    main()
