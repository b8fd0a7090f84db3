"""Files are whole or not there, with the permissions that they would have got."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from aihwkit_dspt.whole_file import whole_file


def mode(path: Path) -> int:
    """Return the permissions of a file."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_permissions_of_a_new_file(tmp_path: Path, mask: int) -> None:
    """As those of a file that is opened for writing."""
    before = os.umask(mask)
    try:
        with whole_file(tmp_path / "whole") as file:
            file.write(b"1")
        (tmp_path / "plain").write_bytes(b"1")
    finally:
        os.umask(before)
    assert mode(tmp_path / "whole") == mode(tmp_path / "plain") == 0o666 & ~mask


def test_permissions_are_kept(tmp_path: Path) -> None:
    """A file that is replaced keeps its own."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    with whole_file(path) as file:
        file.write(b"new")
    assert (mode(path), path.read_bytes()) == (0o640, b"new")


def test_failed_write(tmp_path: Path) -> None:
    """The former file stays, and nothing else."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder(tmp_path: Path) -> None:
    """Said at once."""
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "none" / "file"):
        pass
