"""ResNet-18 whose last residual block and classifier are analog: the paper's CIFAR set-up.

Everything else stays digital (``exclude_modules``). Trains the same network all-digital and with
TT-v2, AGAD and E-RIDER on HfO2 ReRAM devices with shifted symmetric points, with the paper's
settings for CIFAR. Prints a table and writes a picture and the numbers.

    python examples/06_resnet_last_block.py                      # small generated images
    python examples/06_resnet_last_block.py --data-root DIR      # CIFAR-100 or CIFAR-10 in DIR
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.parameters.mapping import MappingParameter
from common.colour_images import augmented, generate, load_cifar, normalised
from common.data import Images
from common.methods import agad, erider, hfo2, ttv2
from common.report import pyplot, write_json
from common.resnet import DIGITAL, ResNet18
from common.tracking import sp_error
from common.train import accuracy
from torch import nn
from torch.optim.lr_scheduler import StepLR
from tqdm import tqdm

from aihwkit_dspt import PAPER_SETTINGS


@dataclass
class Method:
    """How the last block is trained, with the paper's settings for CIFAR."""

    lr: float
    config: Optional[Callable[..., Any]] = None
    settings: Dict[str, Any] = field(default_factory=dict)
    colour: str = "black"


METHODS: Dict[str, Method] = {
    "digital": Method(0.15),
    "TT-v2": Method(
        0.15,
        ttv2,
        {"fast_lr": 0.01, "transfer_lr": 0.5, "buffer_granularity": 1.0},
        "#E69F00",
    ),
    "AGAD": Method(0.15, agad, {"fast_lr": 0.01, "transfer_lr": 0.5}, "#56B4E9"),
    "E-RIDER": Method(
        0.2,
        erider,
        {**PAPER_SETTINGS, "fast_lr": 0.1, "transfer_lr": 0.01, "scale_transfer_lr": True},
        "#009E73",
    ),
}


@dataclass
class Run:
    """One training."""

    method: str
    accuracy: List[float] = field(default_factory=list)
    loss: List[float] = field(default_factory=list)
    sp_mean: Optional[float] = None
    """Mean of Q - SP over the analog cells at the end, in weight units."""

    seconds: float = 0.0


def build(method: Method, n_classes: int, args: argparse.Namespace) -> nn.Module:
    """Return the network, with the last block and the classifier on analog tiles."""
    network = ResNet18(n_classes, args.width)
    if method.config is None:
        return network
    mapping = MappingParameter(
        weight_scaling_omega=0.3,
        weight_scaling_columnwise=True,
        learn_out_scaling=True,
        out_scaling_columnwise=True,
    )
    device = hfo2(args.reference_mean, args.reference_std)
    settings = {**method.settings, "transfer_every": args.transfer_every}
    config = method.config(device, mapping, desired_bl=5, **settings)
    return convert_to_analog(network, config, exclude_modules=DIGITAL)


def train(name: str, images: Images, args: argparse.Namespace) -> Run:
    """Train with one method."""
    torch.manual_seed(args.seed)
    run, method = Run(name), METHODS[name]
    model = build(method, int(images.train_y.max()) + 1, args)
    optimizer = AnalogSGD(model.parameters(), lr=method.lr)
    optimizer.regroup_param_groups(model)
    scheduler = StepLR(optimizer, args.lr_every, 0.1)
    start = time.perf_counter()
    n_batches = -(-len(images.train_y) // args.batch_size)
    bar = tqdm(total=args.epochs * n_batches, desc=f"{name:>8}", leave=False, ncols=90)
    for _ in range(args.epochs):
        total = 0.0
        for index in torch.randperm(len(images.train_y)).split(args.batch_size):
            x = images.train_x[index]
            optimizer.zero_grad()
            logits = model(augmented(x) if args.augment else x)
            loss = nn.functional.cross_entropy(logits, images.train_y[index])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(index)
            bar.update()
        scheduler.step()
        run.loss.append(total / len(images.train_y))
        run.accuracy.append(accuracy(model, images.test_x, images.test_y))
        bar.set_postfix_str(f"accuracy {run.accuracy[-1]:.1f} %")
    bar.close()
    run.seconds = time.perf_counter() - start
    if method.config is not None:
        run.sp_mean = sp_error(model)[0]
    return run


def table(runs: List[Run]) -> str:
    """Return the table of all methods."""
    lines = [f"{'method':<10}{'accuracy [%]':>14}{'loss':>10}{'Q - SP, mean':>15}{'seconds':>10}"]
    lines.append("-" * len(lines[0]))
    for run in runs:
        sp_mean = "-" if run.sp_mean is None else f"{run.sp_mean:+.3f}"
        lines.append(
            f"{run.method:<10}{run.accuracy[-1]:>14.1f}{run.loss[-1]:>10.3f}{sp_mean:>15}"
            f"{run.seconds:>10.0f}"
        )
    return "\n".join(lines)


def draw(runs: List[Run], title: str, path: Path) -> None:
    """Write the picture: test accuracy and training loss."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
    for run in runs:
        colour = METHODS[run.method].colour
        epochs = range(1, len(run.loss) + 1)
        left.plot(epochs, run.accuracy, color=colour, marker="o", label=run.method)
        right.plot(epochs, run.loss, color=colour, marker="o")
    left.set(title=title, xlabel="epoch", ylabel="test accuracy [%]")
    right.set(title="Training loss", xlabel="epoch", ylabel="cross entropy", yscale="log")
    left.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def load(args: argparse.Namespace) -> Images:
    """Load the images and fill in what depends on them."""
    if args.data_root:
        images = load_cifar(args.data_root)
        defaults = {"epochs": 80, "batch_size": 128, "width": 64, "transfer_every": 1.0}
    else:
        torch.manual_seed(args.seed)
        images = generate(n_train=2000, n_test=1000)
        defaults = {"epochs": 8, "batch_size": 32, "width": 8, "transfer_every": 1.0 / 16.0}
    for name, value in defaults.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    args.augment = bool(args.data_root)
    args.lr_every = args.lr_every or max(round(args.epochs * 35 / 80), 1)
    return normalised(images)


def main() -> None:
    """Train with all methods, print the table, write the picture and the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data-root", type=Path, help="folder with CIFAR-100 or CIFAR-10")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--epochs", type=int, help="default: 80 on CIFAR, else 8")
    parser.add_argument("--batch-size", type=int, help="default: 128 on CIFAR, else 32")
    parser.add_argument("--width", type=int, help="channels of stage 1; 64 on CIFAR, else 8")
    parser.add_argument(
        "--transfer-every",
        type=float,
        help="mini-batches from one column read to the next; 1 on CIFAR, else 1/16",
    )
    parser.add_argument("--lr-every", type=int, help="epochs between lr x0.1; 35 of 80")
    parser.add_argument("--reference-mean", type=float, default=0.4)
    parser.add_argument("--reference-std", type=float, default=0.4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the output")
    args = parser.parse_args()

    warnings.filterwarnings("ignore")
    images = load(args)
    print(f"{images.name}: {len(images.train_y)} images, {args.epochs} epochs, width {args.width}")
    runs: List[Run] = []
    path = args.out / "resnet_last_block"
    for name in args.methods:
        runs.append(train(name, images, args))
        write_json(path.with_suffix(".json"), {"runs": [asdict(run) for run in runs]})
    print(table(runs))
    draw(runs, images.name, path.with_suffix(".png"))
    print(f"\nwritten: {path}.png, {path}.json")


if __name__ == "__main__":
    main()
