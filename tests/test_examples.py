"""The examples run as a user would run them, briefly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List

import pytest
import torch

from tests.few_images import few_images, write_idx
from tests.scripts import run, run_alone

from common import data  # isort: skip  # tests.scripts knows the folder


def test_quickstart(tmp_path: Path) -> None:
    """The table has all methods; the picture and the numbers are written."""
    printed = run_alone("01_quickstart.py", "--epochs", 1, "--jobs", 1, "--out", tmp_path)
    for method in ("TT-v2", "AGAD", "E-RIDER"):
        assert f"\n{method} " in printed
    assert (tmp_path / "quickstart.png").read_bytes().startswith(b"\x89PNG")
    runs = json.loads((tmp_path / "quickstart.json").read_text())["runs"]
    assert [len(item["accuracy"]) for item in runs] == [1, 1, 1]
    # The effective symmetric point is minus the reference: TT-v2 is off by +0.4.
    assert runs[0]["sp_mean"][0] == pytest.approx(0.4, abs=0.02)


def test_one_line_change(tmp_path: Path) -> None:
    """The LeNet-style script trains."""
    arguments = ("--epochs", 1, "--data-root", few_images(tmp_path))
    assert "epoch 1: loss" in run("02_one_line_change.py", *arguments)


def test_checkpoint_and_resume(tmp_path: Path) -> None:
    """The second run goes on where the first one stopped."""
    script, path = "04_checkpoint_and_resume.py", tmp_path / "new" / "c.pt"
    arguments = ("--data-root", few_images(tmp_path), "--checkpoint", path, "--epochs")
    first = run(script, *arguments, 1)
    assert "epoch 1: accuracy" in first
    second = run(script, *arguments, 2)
    assert "goes on after epoch 1" in second
    assert "epoch 1:" not in second
    columns = [int(text.split(" columns")[0].split()[-1]) for text in (first, second)]
    assert columns[1] == 2 * columns[0]


@pytest.mark.parametrize(
    "names",
    [
        ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"],
        ["train-images.idx3-ubyte", "train-labels.idx1-ubyte"],
    ],
    ids=["gz", "plain"],
)
def test_mnist_files(tmp_path: Path, names: List[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """IDX files come back as images in 0..1 and labels, by argument and by environment."""
    images = torch.randint(0, 256, (6, 28, 28), dtype=torch.uint8)
    labels = torch.arange(6, dtype=torch.uint8)
    for name, values in zip(names, (images, labels)):
        write_idx(tmp_path / name, values)
        write_idx(tmp_path / name.replace("train", "t10k"), values[:4])
    loaded = data.load_images(str(tmp_path))
    assert loaded.name == "MNIST"
    assert torch.equal(loaded.train_x, images.unsqueeze(1).float() / 255.0)
    assert torch.equal(loaded.test_y, labels[:4].long())
    monkeypatch.setenv(data.ENVIRONMENT, str(tmp_path))
    assert torch.equal(data.load_images().train_y, labels.long())


def test_missing_files(tmp_path: Path) -> None:
    """A folder without the files is an error that says what to pass, not a fallback."""
    with pytest.raises(FileNotFoundError, match="--data-root"):
        data.load_images(str(tmp_path))
    (tmp_path / "broken").write_bytes(b"\x00\x00\x0d\x01xxxx")
    with pytest.raises(ValueError, match="not an IDX file"):
        data.read_idx(tmp_path / "broken")
