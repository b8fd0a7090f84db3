"""ResNet-18 on CIFAR-10: last stages analog, or all of it, beside digital, TT-v2, AGAD and E-RIDER.

``--parts last``: the last residual block and the classifier are analog, as in the paper's Figure 4.
The stages before are trained digitally once, with digital last stages that are then thrown away.
They stay as they are: what they make of the images is computed once. (06_resnet_last_block.py
trains both together.) ``--parts all``: the whole network is analog and starts at random weights.
Digital parameters are trained by AdamW in each method. Prints a table and writes a picture and all
numbers.

    python examples/11_cifar_resnet.py                         # generated images, minutes
    python examples/11_cifar_resnet.py --data-root DIR --steps 500 --devices SB-1200 HfO2 \
        --shifts 0 0.4
    python examples/11_cifar_resnet.py --data-root DIR --device cuda --width 64 --side 32 \
        --early-epochs 30 --steps 20000 --batch-size 128 --n-test 10000 --parts last all

``DIR`` holds ``cifar-10-batches-py``, in torchvision's layout. The same command continues.
"""

from __future__ import annotations

import argparse
import os
from copy import copy
from pathlib import Path
from typing import Any, Optional

import torch
from common.colour_images import augmented, generate, load_cifar, normalised
from common.comparison import add_arguments
from common.comparison_report import side_by_side
from common.data import ENVIRONMENT, Images
from common.resnet import ResNet18
from common.tasks import Task, converted, image_task
from common.train import accuracy
from torch import Tensor, nn

N_CLASSES = 10


def load(args: argparse.Namespace) -> Images:
    """Return CIFAR-10, or generated images without a folder."""
    root = args.data_root or os.environ.get(ENVIRONMENT)
    torch.manual_seed(1)
    images = load_cifar(Path(root), "CIFAR-10") if root else generate(2000, 400)
    return normalised(images.resized(args.side))


def early_stages(network: ResNet18) -> nn.Sequential:
    """Return what stays digital: all before the last residual block."""
    stem = (network.conv1, network.bn1, nn.ReLU())
    return nn.Sequential(*stem, network.layer1, network.layer2, network.layer3, network.layer4[0])


def last_stages(network: ResNet18) -> nn.Sequential:
    """Return the last residual block and the classifier."""
    return nn.Sequential(network.layer4[1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), network.fc)


def train_digital(network: nn.Module, images: Images, args: argparse.Namespace) -> float:
    """Train a digital network by AdamW and return its test accuracy."""
    n_batches = -(-len(images.train_y) // args.early_batch_size)
    steps = args.early_epochs * n_batches
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.02)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    for _ in range(args.early_epochs):
        for index in torch.randperm(len(images.train_y)).split(args.early_batch_size):
            x = augmented(images.train_x[index], args.side // 8).to(args.device)
            loss = nn.functional.cross_entropy(network(x), images.train_y[index].to(args.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    return accuracy(network, images.test_x.to(args.device), images.test_y.to(args.device))


def pretrained(images: Images, args: argparse.Namespace) -> ResNet18:
    """Return the digital network, from its file if there is one."""
    name = f"digital_{args.width}_{args.side}_{args.early_epochs}_{args.early_seed}.pt"
    path = args.out / name
    torch.manual_seed(args.early_seed)
    network = ResNet18(N_CLASSES, args.width).to(args.device)
    if path.exists():
        network.load_state_dict(torch.load(path, weights_only=True, map_location=args.device))
        return network
    reached = train_digital(network, images, args)
    print(f"digital network, {args.early_epochs} epochs: {reached:.1f} %", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    return network


@torch.no_grad()
def features(stages: nn.Module, images: Images, device: str) -> Images:
    """Return what stages make of images."""
    stages.eval()

    def apply(x: Tensor) -> Tensor:
        return torch.cat([stages(part.to(device)).cpu() for part in x.split(500)])

    made = copy(images)
    made.train_x, made.test_x = apply(images.train_x), apply(images.test_x)
    return made


def task_of(part: str, images: Images, args: argparse.Namespace) -> Task:
    """Return the task to train the last stages on features, or all on images."""

    def make(config: Optional[Any]) -> nn.Module:
        network = ResNet18(N_CLASSES, args.width)
        return converted(last_stages(network) if part == "last" else network, config)

    if part == "last":
        images = features(early_stages(pretrained(images, args)), images, args.device)
    return image_task(images, make, args.batch_size, args.n_test, args.device)


def main() -> None:
    """Run what is missing, print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, steps=60, batch_size=32, name="cifar_resnet")
    parser.add_argument("--parts", nargs="+", choices=("last", "all"), default=["last"])
    parser.add_argument("--width", type=int, default=8, help="channels of stage 1")
    parser.add_argument("--side", type=int, default=16, help="pixels on a side")
    parser.add_argument("--early-epochs", type=int, default=3, help="of the digital network")
    parser.add_argument(
        "--early-seed",
        type=int,
        default=0,
        help="of the digital network; early stages know the last ones of an equal seed",
    )
    parser.add_argument("--early-batch-size", type=int, default=128)
    parser.add_argument("--n-test", type=int, default=2000, help="images of a test")
    args = parser.parse_args()
    if args.early_seed in args.seeds:
        parser.error(f"--early-seed {args.early_seed} is one of --seeds: pass another")
    images = load(args)
    names = ("width", "side", "early_epochs", "early_seed", "early_batch_size", "n_test")
    settings = {"data": images.name, **{name: getattr(args, name) for name in names}}
    tasks = {f"ResNet-18, {part}": task_of(part, images, args) for part in args.parts}
    side_by_side("cifar_resnet", tasks, args, settings)


if __name__ == "__main__":
    main()
