"""Watch E-RIDER find the symmetric points (SPs) while it trains.

Trains a small network on soft-bounds devices with shifted SPs, prints what the monitor sees,
layer by layer, and draws it: the SP error over time, Q against the true SP, the response of the
device, and the estimate as a low-pass filter. Then trains for a few epochs with TT-v2 and AGAD
(as the tracking tiles that count), E-RIDER, and two-stage (calibrated first), and compares what
they cost. The
pictures, a CSV file and a JSON file with all records go to a folder; with --tensorboard also to
TensorBoard.

    python examples/07_watch_the_symmetric_point.py                      # digits, two minutes
    python examples/07_watch_the_symmetric_point.py --data-root mnist    # MNIST from IDX files
    python examples/07_watch_the_symmetric_point.py --tensorboard runs   # pip install tensorboard
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
from aihwkit.simulator.parameters.mapping import MappingParameter
from common.data import Images, load_images
from common.methods import METHODS, counting_twin, io_parameters
from common.train import accuracy
from matplotlib.figure import Figure
from torch import nn

from aihwkit_dspt import (
    FilterSpectra,
    SymmetricPointMonitor,
    TrackingTile,
    build_config,
    calibrate,
    cost_table,
    dw_min_for_states,
    filter_spectra,
    operation_counts,
    record_reads,
    with_symmetric_point,
)
from aihwkit_dspt.plots import (
    cost_bars,
    filter_spectrum,
    response_curves,
    sp_error_over_time,
    sp_scatter,
)

RECORDS = 60
"""Records over the training, about."""


def device(args: argparse.Namespace) -> Any:
    """Return the device of both arrays, with a chosen symmetric point."""
    device = SoftBoundsReferenceDevice(w_min=-1.0, w_max=1.0)
    device.dw_min = dw_min_for_states(device, args.states)
    return with_symmetric_point(device, args.sp_mean, args.sp_std)


def writer_for(folder: Optional[Path]) -> Any:
    """Return a TensorBoard writer, or nothing without a folder."""
    if folder is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise SystemExit("--tensorboard needs tensorboard: pip install tensorboard") from error
    return SummaryWriter(str(folder))


def labels_of(tiles: Dict[str, TrackingTile]) -> Dict[str, str]:
    """Return what to call each tile; aihwkit cuts layers with more than 512 inputs into parts."""
    layers: Dict[str, List[str]] = {}
    for name in tiles:
        layers.setdefault(name.split(".")[0], []).append(name)
    return {
        name: f"layer {number}" + (f", part {part}" if len(names) > 1 else "")
        for number, names in enumerate(layers.values(), 1)
        for part, name in enumerate(names, 1)
    }


def draw(
    monitor: SymmetricPointMonitor,
    tiles: Dict[str, TrackingTile],
    spectra: Optional[FilterSpectra],
    args: argparse.Namespace,
) -> None:
    """Write the pictures."""
    labels = labels_of(tiles)
    tracking = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = tracking.subplots(1, 2)
    sp_error_over_time(monitor, left, labels)
    name, tile = next(iter(tiles.items()))
    sp_scatter(tile, right)
    right.set_title(f"Estimate against true SP after training, {labels[name]}")
    tracking.savefig(args.out / "sp_tracking.png", dpi=110)

    response = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = response.subplots(1, 2)
    response_curves(device(args), left)
    if spectra is None:
        right.set_axis_off()
        print("\ntoo few reads for the spectra of P and Q: train for more epochs")
    else:
        filter_spectrum(spectra, right)
    response.savefig(args.out / "filter_response.png", dpi=110)


def network(images: Images, args: argparse.Namespace) -> nn.Sequential:
    """Return the digital network."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(images.size, args.hidden),
        nn.Tanh(),
        nn.Linear(args.hidden, 10),
        nn.LogSoftmax(dim=1),
    )


def train_epoch(model: nn.Module, optimizer: AnalogSGD, images: Images) -> None:
    """Train for one epoch in batches of 10."""
    for index in torch.randperm(len(images.train_y)).split(10):
        optimizer.zero_grad()
        nn.functional.nll_loss(model(images.train_x[index]), images.train_y[index]).backward()
        optimizer.step()


def compare_costs(images: Images, args: argparse.Namespace) -> None:
    """Train every method for some epochs, print what each took and draw it."""
    bias = MappingParameter(digital_bias=True)
    configs = {
        **{name: make(device(args), bias, 5) for name, make in METHODS.items()},
        "two-stage": build_config("two-stage", device(args), io_parameters=io_parameters()),
    }
    counts = {}
    for name, config in configs.items():
        # aihwkit's own tiles count only a part of what they do.
        counting = counting_twin(config) if name in ("TT-v2", "AGAD") else config
        model = convert_to_analog(network(images, args), counting)
        if name == "two-stage":
            calibrate(model, args.calibration_pulses, progress=False)
        optimizer = AnalogSGD(model.parameters(), lr=args.lr)
        for _ in range(args.cost_epochs):
            train_epoch(model, optimizer, images)
        counts[name] = operation_counts(model).total
    title = f"operations of {args.cost_epochs} epochs on {images.name}, sums over the layers"
    print(f"\n{title}\n{cost_table(counts)}")
    ax = cost_bars(counts)
    ax.set_title(title.capitalize())
    ax.figure.savefig(args.out / "costs.png", dpi=110)


def main() -> None:
    """Train, print the monitor's table, write pictures and numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data-root", help="folder of the MNIST files (or set DSPT_DATA_ROOT)")
    parser.add_argument("--epochs", type=int, help="default: 300 on digits, 5 on MNIST")
    parser.add_argument("--hidden", type=int, default=64, help="units of the hidden layer")
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--states", type=float, default=200, help="states of a device")
    parser.add_argument("--sp-mean", type=float, default=-0.4, help="mean of the SPs")
    parser.add_argument("--sp-std", type=float, default=0.2, help="their standard deviation")
    parser.add_argument("--in-chop-prob", type=float, default=0.1)
    parser.add_argument("--eta", type=float, default=0.05, help="step size of the estimate")
    parser.add_argument("--lines", type=int, default=8, help="columns whose reads are recorded")
    parser.add_argument("--cost-epochs", type=int, default=20, help="epochs to compare costs over")
    parser.add_argument("--calibration-pulses", type=int, default=2000, help="of two-stage")
    parser.add_argument("--tensorboard", type=Path, metavar="DIR", help="log to TensorBoard")
    parser.add_argument("--out", type=Path, default=Path("results/07"), help="folder for output")
    args = parser.parse_args()
    torch.manual_seed(1)
    images = load_images(args.data_root)
    epochs = args.epochs or (300 if images.name == "digits" else 5)
    args.out.mkdir(parents=True, exist_ok=True)
    writer = writer_for(args.tensorboard)

    config = build_config(
        "e-rider",
        device(args),
        io_parameters=io_parameters(),
        in_chop_prob=args.in_chop_prob,
        eta=args.eta,
    )
    model = convert_to_analog(network(images, args), config)
    optimizer = AnalogSGD(model.parameters(), lr=args.lr)
    tiles = {n: tile for n, tile in model.named_modules() if isinstance(tile, TrackingTile)}
    last = list(tiles.values())[-1]
    lines = range(min(args.lines, last.in_size))

    batches = -(-len(images.train_y) // 10)
    every = max(epochs * batches // RECORDS, 1)
    start = time.perf_counter()
    # These two lines are all that the training loop has to know.
    with SymmetricPointMonitor(model, every=every) as monitor, record_reads(last, lines) as reads:
        for epoch in range(1, epochs + 1):
            train_epoch(model, optimizer, images)
            if epoch % max(epochs // 5, 1) == 0:
                percent = accuracy(model, images.test_x, images.test_y)
                print(f"\nepoch {epoch}: test accuracy {percent:.1f} %\n{monitor.summary()}")
                if writer is not None:
                    monitor.log(writer)
    if writer is not None:
        writer.close()

    # Q needs some reads to forget where it started; a spectrum needs some, too.
    skip = min(round(5.0 / args.eta), reads.n_reads // 4)
    spectra = filter_spectra(reads, skip=skip) if reads.n_reads - skip >= 32 else None
    draw(monitor, tiles, spectra, args)
    monitor.to_csv(args.out / "history.csv")
    monitor.to_json(args.out / "history.json")
    print(f"\nwhat the training took so far\n{operation_counts(model).table()}")
    compare_costs(images, args)
    print(f"\n{time.perf_counter() - start:.0f} s; pictures and numbers are in {args.out}")


if __name__ == "__main__":
    main()
