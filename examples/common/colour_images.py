"""Colour images: CIFAR from Python's batches, or a small generated set without them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import torch
from torch import Tensor, nn

from common.data import Images

LAYOUTS: Dict[str, Tuple[str, List[str], str, str]] = {
    "CIFAR-100": ("cifar-100-python", ["train"], "test", "fine_labels"),
    "CIFAR-10": (
        "cifar-10-batches-py",
        [f"data_batch_{number}" for number in range(1, 6)],
        "test_batch",
        "labels",
    ),
}
"""Name -> folder, files for training, file for testing and key of the labels."""


NOISE = 3.0
"""Noise of the generated images; their patterns have a standard deviation of about 0.8."""


ALLOWED = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy", "_reconstruct"),
    ("numpy", "_frombuffer"),
    ("_codecs", "encode"),
}
"""Package and name of all that a pickled array is made of."""


class _ArraysOnly(pickle.Unpickler):
    """Loads NumPy arrays and plain values; a pickle could run anything."""

    def find_class(self, module: str, name: str) -> Any:
        package = module.partition(".")[0]
        if (package, name) in ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a batch of images")


def _load(path: Path, key: str) -> Tuple[Tensor, Tensor]:
    with open(path, "rb") as file:
        batch = _ArraysOnly(file, encoding="bytes").load()
    images = torch.from_numpy(batch[b"data"]).reshape(-1, 3, 32, 32)
    return images.float() / 255.0, torch.tensor(batch[key.encode()])


def load_cifar(root: Path, name: Optional[str] = None) -> Images:
    """Load CIFAR-100 or CIFAR-10 as torchvision lays them out below ``root``.

    Args:
        root: folder that holds ``cifar-100-python`` or ``cifar-10-batches-py``, or one of them.
        name: a key of :data:`LAYOUTS`; ``None`` takes what is there, CIFAR-100 first.
    """
    for found in [name] if name else LAYOUTS:
        folder_name, train, test, key = LAYOUTS[found]
        folder = root if root.name == folder_name else root / folder_name
        if folder.is_dir():
            train_x, train_y = (torch.cat(x) for x in zip(*(_load(folder / f, key) for f in train)))
            return Images(found, train_x, train_y, *_load(folder / test, key))
    folders = " or ".join(layout[0] for layout in LAYOUTS.values())
    raise FileNotFoundError(
        f"no {folders} in {root}: pass the folder that holds them as --data-root"
    )


def generate(n_train: int, n_test: int, size: int = 16, n_classes: int = 10) -> Images:
    """Return images of random smooth patterns, one per class, shifted and noisy."""
    patterns = nn.functional.interpolate(
        torch.randn(n_classes, 3, 4, 4), (size, size), mode="bicubic"
    )

    def draw(n_images: int) -> Tuple[Tensor, Tensor]:
        labels = torch.randint(n_classes, (n_images,))
        shifts = torch.randint(-3, 4, (n_images, 2)).tolist()
        images = [patterns[c].roll(shift, (1, 2)) for c, shift in zip(labels.tolist(), shifts)]
        return torch.stack(images) + NOISE * torch.randn(n_images, 3, size, size), labels

    return Images("generated images", *draw(n_train), *draw(n_test))


def normalised(images: Images) -> Images:
    """Return the images with mean 0 and standard deviation 1 per colour of the training part."""
    mean = images.train_x.mean((0, 2, 3), keepdim=True)
    std = images.train_x.std((0, 2, 3), keepdim=True)
    return Images(
        images.name,
        (images.train_x - mean) / std,
        images.train_y,
        (images.test_x - mean) / std,
        images.test_y,
    )


def augmented(images: Tensor, padding: int = 4) -> Tensor:
    """Return images that are shifted by up to ``padding`` pixels and mirrored at random."""
    size = images.shape[-1]
    padded = nn.functional.pad(images, [padding] * 4)
    corners = torch.randint(0, 2 * padding + 1, (len(images), 2)).tolist()
    crops = [x[:, i : i + size, j : j + size] for x, (i, j) in zip(padded, corners)]
    mirrored = torch.rand(len(images)) < 0.5
    return torch.stack([x.flip(2) if flip else x for x, flip in zip(crops, mirrored.tolist())])
