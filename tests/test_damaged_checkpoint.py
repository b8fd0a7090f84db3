"""A damaged checkpoint is refused, whatever the damage; an old one still loads."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path
from typing import Callable, Dict, Iterator

import pytest
import torch
from aihwkit.exceptions import ArgumentError
from torch import Tensor

from aihwkit_dspt import load_checkpoint, save_checkpoint
from aihwkit_dspt.seal import SEAL_SIZE
from tests.helpers import difference
from tests.small_training import train, training

OLD = Path(__file__).parent / "data" / "version_0_1_0.pt"
"""Written by version 0.1.0, with :func:`training` after 40 steps and ``epoch=3``."""


def flipped_bits(content: bytes) -> Iterator[bytes]:
    """Yield copies with one wrong bit, at random places and in each byte of the seal."""
    places = [random.randrange(len(content)) for _ in range(1000)]
    for place in [*places, *range(len(content) - SEAL_SIZE, len(content))]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << random.randrange(8)
        yield bytes(damaged)


def zeroed_blocks(content: bytes) -> Iterator[bytes]:
    """Yield copies with a block of zeros, as after a crash of a file system."""
    for size in (1, 16, 64, 512, 4096, len(content)):
        starts = [random.randrange(len(content)) for _ in range(40)]
        for start in [0, len(content) - size, *starts]:
            block = bytes(len(content[start : start + size]))
            damaged = content[:start] + block + content[start + size :]
            if damaged != content:
                yield damaged


def truncated(content: bytes) -> Iterator[bytes]:
    """Yield the beginning, without a part of the seal, the seal and more; and the end."""
    lengths = [random.randrange(len(content)) for _ in range(100)]
    seal = range(len(content) - SEAL_SIZE - 2, len(content))
    for length in [0, 1, 22, *lengths, *seal]:
        yield content[:length]
    yield content[1:]


def appended(content: bytes) -> Iterator[bytes]:
    """Yield the file with something behind it, also with a second seal or a second file."""
    for more in (b"\0", b"\n", bytes(4096), content[-SEAL_SIZE:], content, OLD.read_bytes()[:-1]):
        yield content + more
    yield content[:-SEAL_SIZE] + content[-SEAL_SIZE:].upper()


DAMAGES: Dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "flipped": flipped_bits,
    "zeroed": zeroed_blocks,
    "truncated": truncated,
    "appended": appended,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_any_damage_is_found(damage: str, tmp_path: Path) -> None:
    """Every damaged file is refused by name, and nothing of it is loaded."""
    random.seed(1)
    path = tmp_path / "c.pt"
    parts = training()
    train(*parts)
    save_checkpoint(path, *parts, epoch=3)
    content = path.read_bytes()
    assert load_checkpoint(path, *parts) == {"epoch": 3}
    tile = next(parts[0].analog_tiles()).tile
    before = tile.dump_extra()
    for damaged in DAMAGES[damage](content):
        path.write_bytes(damaged)
        with pytest.raises(ArgumentError, match="is damaged") as error:
            load_checkpoint(path, *parts)
        assert str(path) in str(error.value)
    assert difference(before, tile.dump_extra()) is None


def test_torch_reads_it(tmp_path: Path) -> None:
    """The seal does not stand in the way of others."""
    model, _ = training()
    save_checkpoint(tmp_path / "c.pt", model, epoch=3)
    content = torch.load(tmp_path / "c.pt", weights_only=True)
    assert content["extra"] == {"epoch": 3}


def test_old_file_goes_on() -> None:
    """A checkpoint of version 0.1.0 loads, and the training goes on as it would have there."""
    parts = training()
    assert load_checkpoint(OLD, *parts) == {"epoch": 3}
    train(*parts)
    expected = torch.tensor([[0.3410, 0.2874, 0.3581], [-0.3146, -0.2564, 0.2064]])
    found: Tensor = parts[0].get_weights()[0]
    # Printed with four digits; the pulses are of 0.01.
    assert torch.allclose(found, expected, atol=1e-4)
    assert torch.allclose(torch.rand(2), torch.tensor([0.0186, 0.3855]), atol=1e-4)


def test_damaged_old_file(tmp_path: Path) -> None:
    """The checksums of the zip format find wrong tensors there."""
    path = tmp_path / "old.pt"
    content = bytearray(OLD.read_bytes())
    with zipfile.ZipFile(OLD) as members:
        largest = max(members.infolist(), key=lambda member: member.file_size)
        values = members.read(largest)
    content[content.index(values) + len(values) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArgumentError, match="is damaged"):
        load_checkpoint(path, *training())


def test_load_in_inference_mode(tmp_path: Path) -> None:
    """What is loaded there can be trained afterwards, digital parts included."""
    parts = training()
    train(*parts)
    save_checkpoint(tmp_path / "c.pt", *parts)
    with torch.inference_mode():
        load_checkpoint(tmp_path / "c.pt", *parts)
    assert not any(value.is_inference() for value in parts[0].parameters())
    train(*parts)
