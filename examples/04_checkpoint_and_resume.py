"""Train in pieces: stop at any time (Ctrl-C, a power cut), run again, and it goes on.

Every epoch ends with a checkpoint of model, optimizer, scheduler and random numbers. It is written
whole or not at all, and holds everything that E-RIDER knows: both arrays, the estimate of the
symmetric points, the reference, the transfer buffer, the choppers and all counters::

    python examples/04_checkpoint_and_resume.py --epochs 5    # trains five epochs and stops
    python examples/04_checkpoint_and_resume.py --epochs 20   # goes on with the sixth

Data are scikit-learn's digits, or MNIST with ``--data-root`` (or ``DSPT_DATA_ROOT``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from common.data import load_images
from common.train import accuracy
from torch import nn

from aihwkit_dspt import ERIDEREcRamPreset, TrackingTile, load_checkpoint, save_checkpoint


def main() -> None:
    """Train from the last checkpoint, if there is one, up to the given number of epochs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--epochs", type=int, default=20, help="epochs in total, not in this run")
    parser.add_argument("--checkpoint", type=Path, default=Path("results/04_checkpoint.pt"))
    parser.add_argument("--data-root", help="folder with the MNIST files")
    args = parser.parse_args()
    args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)

    images = load_images(args.data_root)
    network = nn.Sequential(
        nn.Flatten(),
        nn.Linear(images.size, 32),
        nn.Tanh(),
        nn.Linear(32, 10),
        nn.LogSoftmax(dim=1),
    )
    model = convert_to_analog(network, ERIDEREcRamPreset())
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.98)
    criterion = nn.NLLLoss()

    epoch = 0
    if args.checkpoint.exists():
        epoch = load_checkpoint(args.checkpoint, model, optimizer, scheduler)["epoch"]
        print(f"goes on after epoch {epoch} from {args.checkpoint}")
    while epoch < args.epochs:
        model.train()
        for index in torch.randperm(len(images.train_y)).split(10):
            optimizer.zero_grad()
            criterion(model(images.train_x[index]), images.train_y[index]).backward()
            optimizer.step()
        scheduler.step()
        epoch += 1
        save_checkpoint(args.checkpoint, model, optimizer, scheduler, epoch=epoch)
        tiles = [tile for tile in model.modules() if isinstance(tile, TrackingTile)]
        print(
            f"epoch {epoch}: accuracy {accuracy(model, images.test_x, images.test_y):.1f} %, "
            f"{sum(tile.tile.pipeline.link.schedule.n_reads for tile in tiles)} columns read, "
            f"checkpoint of {args.checkpoint.stat().st_size / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    main()
