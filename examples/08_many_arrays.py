r"""Many arrays: accuracy on devices with 4.3 states against the number of arrays.

The fully connected network of the paper's Table 2 on the HfO2 ReRAM preset, whose symmetric points
are shifted by a reference of mean 0.4 and standard deviation 0.4, with E-RIDER's defaults and 2 to
5 arrays. In a chain one array after the other joins and learns what the ones before it leave, see
docs/concepts/chains.md. Prints a table and writes a picture and the numbers behind it; the numbers
after each epoch, so that a run that is stopped leaves what it has.

    python examples/08_many_arrays.py                                  # scikit-learn's digits
    python examples/08_many_arrays.py --data-root mnist --epochs 40    # MNIST from IDX files

Long runs, with the schedule of the paper's table (examples/paper/table2.py)::

    python examples/08_many_arrays.py --data-root mnist --lr 0.05 --lr-decay 0.5 --decay-every 10
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from statistics import mean, pstdev
from typing import Any, Dict, List, Sequence

import torch
from aihwkit.simulator.parameters.mapping import MappingParameter
from common.data import Images, load_images
from common.methods import erider, hfo2
from common.networks import fcn
from common.report import pyplot, save_picture
from common.results import Results
from common.train import accuracy, train
from torch import nn

from aihwkit_dspt import DeviceDefaults, operation_counts
from aihwkit_dspt.tiles.of_model import tracking_tiles

DESIRED_BL = 5
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7")  # colour-blind safe


def mapping(device: Any, n_arrays: int) -> MappingParameter:
    """Return the mapping that follows from the device, with an output scale for each column."""
    scaled = DeviceDefaults.of(device).mapping(n_arrays)
    scaled.weight_scaling_columnwise = scaled.out_scaling_columnwise = True
    return scaled


def array_bytes(model: nn.Module) -> int:
    """Return the memory of the weights of all arrays and of what the links hold, in bytes."""
    total = 0
    for tile in tracking_tiles(model).values():
        pipeline = tile.tile.pipeline
        held = [array.weights for array in [*pipeline.arrays, pipeline.mixed_array]]
        for link in pipeline.links:
            held += link.named_values().values()
        total += sum(values.numel() * values.element_size() for values in held)
    return total


def run(n_arrays: int, seed: int, images: Images, args: argparse.Namespace, kept: Results) -> None:
    """Train with a number of arrays and keep accuracy, loss and cost after each epoch."""
    warnings.filterwarnings("ignore")
    torch.manual_seed(seed)
    device = hfo2(args.reference_mean, args.reference_std)
    settings: Dict[str, Any] = {"n_arrays": n_arrays}
    if n_arrays > 2 and args.join_sweeps is not None:
        settings["join_sweeps"] = args.join_sweeps
    config = erider(device, mapping(device, n_arrays), DESIRED_BL, **settings)
    losses: List[float] = []
    result: Dict[str, Any] = {"n_arrays": n_arrays, "seed": seed, "accuracy": [], "joined": []}
    start = time.process_time()

    def on_batch(loss: float, _: int) -> None:
        losses.append(loss)

    def on_epoch(model: nn.Module, epoch: int) -> None:
        if epoch == 0:
            result["bytes"] = array_bytes(model)
            return
        batches = len(losses) // epoch
        result["accuracy"].append(accuracy(model, images.test_x, images.test_y))
        result["loss"] = [mean(losses[n : n + batches]) for n in range(0, len(losses), batches)]
        joined = [tile.tile.pipeline.joined.n_joined for tile in tracking_tiles(model).values()]
        result["joined"].append(min(joined))
        counts = operation_counts(model).total
        result["steps"] = len(losses)
        result["cpu_seconds"] = time.process_time() - start
        result["transfer_pulses"] = counts.slow_pulses
        result["transfer_reads"] = counts.transfer_reads
        kept.add(f"{n_arrays} arrays, seed {seed}", result)

    train(
        fcn(images.size),
        config,
        images,
        args.epochs,
        args.lr,
        args.batch_size,
        lr_decay=args.lr_decay,
        decay_every=args.decay_every,
        label=f"{n_arrays} arrays",
        on_epoch=on_epoch,
        on_batch=on_batch,
    )


def finished(kept: Results, args: argparse.Namespace) -> List[Dict[str, Any]]:
    """Return the results by number of arrays and seed, those that were stopped included."""
    keys = [f"{n_arrays} arrays, seed {seed}" for n_arrays in args.arrays for seed in args.seeds]
    return [kept.numbers[key] for key in keys if key in kept.numbers]


def table(results: Sequence[Dict[str, Any]]) -> str:
    """Return accuracy and cost by number of arrays; mean and standard deviation over the seeds."""
    head = f"{'arrays':>6}{'seeds':>7}{'epochs':>8}{'accuracy [%]':>16}{'loss':>8}"
    lines = [f"{head}{'ms/step':>9}{'MB':>7}{'transfer pulses':>17}"]
    for n_arrays in sorted({result["n_arrays"] for result in results}):
        mine = [result for result in results if result["n_arrays"] == n_arrays]
        final = [result["accuracy"][-1] for result in mine]
        spread = f" ± {pstdev(final):.2f}" if len(mine) > 1 else ""
        epochs = min(len(result["accuracy"]) for result in mine)
        step = mean(1e3 * result["cpu_seconds"] / result["steps"] for result in mine)
        lines.append(
            f"{n_arrays:>6}{len(mine):>7}{epochs:>8}{mean(final):>9.2f}{spread:<7}"
            f"{mean(result['loss'][-1] for result in mine):>8.3f}{step:>9.1f}"
            f"{mine[0]['bytes'] / 1e6:>7.1f}"
            f"{mean(result['transfer_pulses'] for result in mine):>17,.0f}"
        )
    return "\n".join(lines)


def draw(results: Sequence[Dict[str, Any]], images_name: str, path: Path) -> None:
    """Draw test accuracy and training loss by epoch, with the epochs at which arrays joined."""
    figure, (left, right) = pyplot().subplots(1, 2, figsize=(10, 4), layout="constrained")
    for result in results:
        colour = COLOURS[(result["n_arrays"] - 2) % len(COLOURS)]
        label = f"{result['n_arrays']} arrays, seed {result['seed']}"
        epochs = range(1, len(result["accuracy"]) + 1)
        for axes, name in ((left, "accuracy"), (right, "loss")):
            values, joined = result[name], result["joined"]
            axes.plot(epochs, values, color=colour, label=label)
            new = [n for n in range(1, len(joined)) if joined[n] > joined[n - 1]]
            axes.plot([n + 1 for n in new], [values[n] for n in new], "o", color=colour)
    title = f"{images_name}: an array joins at o"
    left.set(xlabel="epoch", ylabel="test accuracy [%]", title=title)
    left.set_ylim(bottom=80.0)
    right.set(xlabel="epoch", ylabel="training loss", yscale="log")
    right.legend(fontsize="small")
    save_picture(figure, path)


def main() -> None:
    """Run what is missing, print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", help="folder of the MNIST files (default: digits)")
    parser.add_argument("--arrays", type=int, nargs="+", default=[2, 3, 4, 5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--lr-decay", type=float, default=0.93, help="factor on the learning rate")
    parser.add_argument("--decay-every", type=int, default=1, help="epochs between these factors")
    parser.add_argument("--join-sweeps", type=float, help="instead of the default rule's")
    parser.add_argument("--reference-mean", type=float, default=0.4)
    parser.add_argument("--reference-std", type=float, default=0.4)
    parser.add_argument("--out", type=Path, default=Path("many_arrays"), help="folder")
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = load_images(args.data_root)
    outside = ("data_root", "arrays", "seeds", "out")
    own = {name: value for name, value in vars(args).items() if name not in outside}
    settings = {"data": images.name, **own}
    kept = Results(args.out / "many_arrays.json", settings)
    for n_arrays in args.arrays:
        for seed in args.seeds:
            done = kept.numbers.get(f"{n_arrays} arrays, seed {seed}", {"accuracy": []})
            if len(done["accuracy"]) < args.epochs:
                run(n_arrays, seed, images, args, kept)
    results = finished(kept, args)
    print(table(results))
    draw(results, images.name, args.out / "many_arrays.png")


if __name__ == "__main__":
    main()
