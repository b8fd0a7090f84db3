"""One line: aihwkit's LeNet-style script, trained with E-RIDER.

This is the shape of aihwkit's ``examples/04_lenet5_training.py``: build a network of analog
layers, choose an RPU configuration, train with ``AnalogSGD``. Only the line that chooses the
configuration is ours.

    python examples/02_one_line_change.py                      # scikit-learn's digits
    python examples/02_one_line_change.py --data-root mnist    # MNIST from IDX files
"""

from __future__ import annotations

import argparse

import torch
from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from common.data import load_images
from torch import nn
from tqdm import tqdm

from aihwkit_dspt import ERIDEREcRamPreset

# from aihwkit.simulator.presets import AGADEcRamPreset
# RPU_CONFIG = AGADEcRamPreset()
RPU_CONFIG = ERIDEREcRamPreset()  # the one line


def create_network(image_size: int) -> AnalogSequential:
    """Return a LeNet-style network of analog layers for square images."""
    kernel = 5 if image_size >= 28 else 3
    first = (image_size - kernel + 1) // 2
    second = (first - kernel + 1) // 2 if image_size >= 28 else first - kernel + 1
    pool = nn.MaxPool2d(2) if image_size >= 28 else nn.Identity()
    return AnalogSequential(
        AnalogConv2d(1, 16, kernel, rpu_config=RPU_CONFIG),
        nn.Tanh(),
        nn.MaxPool2d(2),
        AnalogConv2d(16, 32, kernel, rpu_config=RPU_CONFIG),
        nn.Tanh(),
        pool,
        nn.Flatten(),
        AnalogLinear(32 * second * second, 128, rpu_config=RPU_CONFIG),
        nn.Tanh(),
        AnalogLinear(128, 10, rpu_config=RPU_CONFIG),
        nn.LogSoftmax(dim=1),
    )


def main() -> None:
    """Train and print the loss and the test accuracy of each epoch."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data-root", help="folder of the MNIST files (or set DSPT_DATA_ROOT)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--lr", type=float, default=0.05)
    args = parser.parse_args()

    torch.manual_seed(1)
    images = load_images(args.data_root)
    model = create_network(images.train_x.shape[-1])
    optimizer = AnalogSGD(model.parameters(), lr=args.lr)
    optimizer.regroup_param_groups(model)
    criterion = nn.NLLLoss()

    for epoch in range(1, args.epochs + 1):
        model.train()
        total = 0.0
        batches = torch.randperm(len(images.train_y)).split(8)
        for index in tqdm(batches, desc=f"epoch {epoch}", leave=False, ncols=80):
            optimizer.zero_grad()
            loss = criterion(model(images.train_x[index]), images.train_y[index])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(index)
        model.eval()
        with torch.no_grad():
            predicted = torch.cat([model(part).argmax(1) for part in images.test_x.split(500)])
        accuracy = 100.0 * (predicted == images.test_y).float().mean().item()
        print(f"epoch {epoch}: loss {total / len(images.train_y):.3f}, test {accuracy:.1f} %")


if __name__ == "__main__":
    main()
