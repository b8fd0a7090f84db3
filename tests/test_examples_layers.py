"""The examples on inference, recurrent and residual networks, briefly."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest
import torch

from tests.scripts import run

from common import colour_images, resnet  # isort: skip  # tests.scripts knows the folder


def written(folder: Path, name: str) -> Any:
    """Return the numbers of an example after a look at its picture."""
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    return json.loads((folder / f"{name}.json").read_text())


def test_train_then_infer(tmp_path: Path) -> None:
    """A row per time; an accuracy per compensation, time and programming."""
    printed = run("03_train_then_infer.py", "--epochs", 1, "--repeats", 2, "--out", tmp_path)
    for time in ("1 s", "1 min", "1 h", "1 day"):
        assert f"\n{time} after programming" in printed
    numbers = written(tmp_path, "train_then_infer")
    assert set(numbers["before"]) == {"while training", "same weights, digital"}
    for runs in numbers["inference"].values():
        assert [len(values) for values in runs.values()] == [2, 2, 2, 2]


def test_lstm(tmp_path: Path) -> None:
    """A row for each sixteenth of the steps; the loss is a number."""
    arguments = ("--steps", 32, "--length", 3, "--hidden-size", 4, "--out", tmp_path)
    printed = run("05_lstm.py", *arguments)
    columns = written(tmp_path, "lstm")["columns"]
    assert columns["step"] == list(range(2, 33, 2))
    assert all(0.0 < loss < 3.0 for loss in columns["loss"])
    # TT-v2 would stay at +0.4, minus the effective symmetric point; Q starts there, too.
    assert abs(columns["Q - SP"][0]) < 0.35
    assert "accuracy" in printed


def test_resnet(tmp_path: Path) -> None:
    """The table has the chosen methods; only the last block and the classifier are analog."""
    arguments = (
        "--epochs",
        1,
        "--width",
        2,
        "--batch-size",
        250,
        "--methods",
        "digital",
        "E-RIDER",
    )
    printed = run("06_resnet_last_block.py", *arguments, "--out", tmp_path)
    for method in ("digital", "E-RIDER"):
        assert f"\n{method} " in printed
    runs = written(tmp_path, "resnet_last_block")["runs"]
    assert [item["method"] for item in runs] == ["digital", "E-RIDER"]
    assert runs[0]["sp_mean"] is None
    assert isinstance(runs[1]["sp_mean"], float)
    analog = {
        name
        for name, module in resnet.ResNet18(10, 2).named_modules()
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))
        and not any(name == each or name.startswith(f"{each}.") for each in resnet.DIGITAL)
    }
    assert analog == {"layer4.1.conv1", "layer4.1.conv2", "fc"}


def write_batch(path: Path, key: bytes, labels: List[int], python2: bool) -> np.ndarray:
    """Write a batch of random images as CIFAR's are; return them."""
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 3072), dtype=np.uint8)
    content = pickle.dumps({b"data": pixels, key: labels}, protocol=2 if python2 else 5)
    if python2:
        # As written by the NumPy of that time.
        content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return pixels


@pytest.mark.parametrize("python2", [True, False])
@pytest.mark.parametrize("name", ["CIFAR-10", "CIFAR-100"])
def test_cifar_files(tmp_path: Path, name: str, python2: bool) -> None:
    """Both layouts come back as images in 0..1 and labels, from the folder or the one above."""
    folder, train, test, key = colour_images.LAYOUTS[name]
    batches = [write_batch(tmp_path / folder / f, key.encode(), [3, 1, 2], python2) for f in train]
    write_batch(tmp_path / folder / test, key.encode(), [0, 9], python2)
    for root in (tmp_path, tmp_path / folder):
        images = colour_images.load_cifar(root)
        assert images.name == name
        expected = torch.from_numpy(np.concatenate(batches)).reshape(-1, 3, 32, 32) / 255.0
        assert torch.equal(images.train_x, expected)
        assert images.train_y.tolist() == [3, 1, 2] * len(train)
        assert images.test_y.tolist() == [0, 9]
    shifted = colour_images.augmented(images.train_x)
    assert shifted.shape == images.train_x.shape


def test_resnet_on_cifar(tmp_path: Path) -> None:
    """The whole script on files of CIFAR-100's layout."""
    folder, train, test, key = colour_images.LAYOUTS["CIFAR-100"]
    for name in (*train, test):
        write_batch(tmp_path / folder / name, key.encode(), [0, 1, 2, 99], True)
    arguments = ("--epochs", 1, "--width", 1, "--methods", "E-RIDER", "--out", tmp_path / "out")
    printed = run("06_resnet_last_block.py", "--data-root", tmp_path, *arguments)
    assert "CIFAR-100: 4 images" in printed


def test_wrong_files(tmp_path: Path) -> None:
    """A folder without batches says what to pass; a pickle that runs code is refused."""
    with pytest.raises(FileNotFoundError, match="--data-root"):
        colour_images.load_cifar(tmp_path)
    folder, train, test, _ = colour_images.LAYOUTS["CIFAR-100"]
    (tmp_path / folder).mkdir()
    for name in (*train, test):
        (tmp_path / folder / name).write_bytes(pickle.dumps({b"data": print}))
    with pytest.raises(pickle.UnpicklingError, match=r"builtins\.print"):
        colour_images.load_cifar(tmp_path)
