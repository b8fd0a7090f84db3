"""A few images in the format of MNIST's files."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import torch

import tests.scripts  # noqa: F401  # it knows the folder of the examples

from common import data  # isort: skip


def few_images(folder: Path, n_images: int = 200) -> Path:
    """Write some of scikit-learn's digits as MNIST's files, for short epochs; return the folder."""
    digits = data.load_digits()
    for name, images, labels in (
        ("train", digits.train_x, digits.train_y),
        ("t10k", digits.test_x, digits.test_y),
    ):
        scaled = torch.nn.functional.interpolate(images[:n_images], size=(28, 28)) * 255.0
        write_idx(folder / f"{name}-images-idx3-ubyte", scaled.squeeze(1).to(torch.uint8))
        write_idx(folder / f"{name}-labels-idx1-ubyte", labels[:n_images].to(torch.uint8))
    return folder


def write_idx(path: Path, values: torch.Tensor) -> None:
    """Write unsigned bytes as an IDX file, gzipped if the name says so."""
    header = struct.pack(f">HBB{values.dim()}I", 0, 8, values.dim(), *values.shape)
    content = header + values.numpy().tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
