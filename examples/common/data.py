"""Images to train on: MNIST from IDX files, or scikit-learn's digits without them."""

from __future__ import annotations

import gzip
import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from torch import Tensor, nn

ENVIRONMENT = "DSPT_DATA_ROOT"
"""Environment variable with the folder of the MNIST files, if ``--data-root`` is not given."""

MNIST_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


@dataclass
class Images:
    """Images with ``[n, 1, height, width]`` values in 0..1 and integer labels."""

    name: str
    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor

    @property
    def size(self) -> int:
        """Pixels of one image."""
        return self.train_x[0].numel()

    def validation_split(self, n_validation: int) -> Images:
        """Return the training part only, with its last images as the test part."""
        return Images(
            f"{self.name}, validation split",
            self.train_x[:-n_validation],
            self.train_y[:-n_validation],
            self.train_x[-n_validation:],
            self.train_y[-n_validation:],
        )

    def resized(self, side: int) -> Images:
        """Return square images with so many pixels on a side; those that have it are the same."""

        def resize(x: Tensor) -> Tensor:
            if x.shape[-2:] == (side, side):
                return x
            return nn.functional.interpolate(x, size=(side, side), mode="bilinear")

        return replace(self, train_x=resize(self.train_x), test_x=resize(self.test_x))


def _find(root: Path, stem: str) -> Path:
    for folder in (root, root / "mnist", root / "MNIST" / "raw"):
        for separator in ("-", "."):
            for suffix in ("", ".gz"):
                name, kind = stem.rsplit("-", 1)
                path = folder / f"{name}{separator}{kind}-ubyte{suffix}"
                if path.is_file():
                    return path
    raise FileNotFoundError(
        f"no {stem}-ubyte(.gz) in {root} (nor in its mnist/ or MNIST/raw/): pass the folder of "
        f"the four MNIST files as --data-root or in {ENVIRONMENT}"
    )


def read_idx(path: Path) -> Tensor:
    """Return the unsigned bytes of an IDX file, gzipped or not."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        zeros, kind, n_dims = struct.unpack(">HBB", file.read(4))
        if zeros != 0 or kind != 8:
            raise ValueError(f"{path} is not an IDX file of unsigned bytes")
        shape = struct.unpack(f">{n_dims}I", file.read(4 * n_dims))
        values = np.frombuffer(file.read(), dtype=np.uint8)
    return torch.from_numpy(values.reshape(shape).copy())


def load_mnist(root: Path) -> Images:
    """Load MNIST from the four IDX files in ``root``."""
    train_x, train_y, test_x, test_y = (read_idx(_find(root, stem)) for stem in MNIST_FILES)
    return Images(
        "MNIST",
        train_x.unsqueeze(1).float() / 255.0,
        train_y.long(),
        test_x.unsqueeze(1).float() / 255.0,
        test_y.long(),
    )


def load_digits() -> Images:
    """Load scikit-learn's 8x8 digits; every fifth image is for testing."""
    # pylint: disable=import-outside-toplevel
    from sklearn.datasets import load_digits as sklearn_digits

    digits = sklearn_digits()
    x = torch.from_numpy(digits.images).float().unsqueeze(1) / 16.0
    y = torch.from_numpy(digits.target).long()
    test = torch.arange(len(y)) % 5 == 4
    return Images("digits", x[~test], y[~test], x[test], y[test])


def load_images(data_root: Optional[str] = None) -> Images:
    """Load MNIST if a folder is given (or in the environment), else scikit-learn's digits."""
    root = data_root or os.environ.get(ENVIRONMENT)
    return load_mnist(Path(root)) if root else load_digits()
