"""Files are whole or not there, with the permissions that they would have got."""

from __future__ import annotations

import io
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest
from aihwkit.exceptions import ArgumentError
from torch import nn

from aihwkit_dspt import load_checkpoint, save_checkpoint
from aihwkit_dspt.whole_file import require_replaceable, whole_file


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
    """Said at once, by its name."""
    with (
        pytest.raises(FileNotFoundError, match=f"{tmp_path}/none'"),
        whole_file(tmp_path / "none" / "file"),
    ):
        pass


def folder(path: Path) -> None:
    """Make what a file cannot replace."""
    path.mkdir()


def listening(path: Path) -> None:
    """Make a socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize("make", [folder, os.mkfifo, listening])
@pytest.mark.parametrize("by_link", [False, True])
def test_what_is_no_file_is_not_replaced(
    make: Callable[[Path], None], by_link: bool, tmp_path: Path
) -> None:
    """A folder, a pipe, a socket, a device, also behind a symbolic link; nothing else is left."""
    path = tmp_path / "there"
    make(path)
    before = path.stat()
    link = tmp_path / "link"
    link.symlink_to(path)
    with (
        pytest.raises(OSError, match=f"(directory|cannot be replaced by a file).*{path}"),
        whole_file(link if by_link else path),
    ):
        pass
    assert (path.stat().st_ino, path.stat().st_mode) == (before.st_ino, before.st_mode)
    assert set(tmp_path.iterdir()) == {path, link}


def test_devices_stay() -> None:
    """The null device of the machine is none of ours (asked only, lest a fault destroys it)."""
    with pytest.raises(OSError, match="cannot be replaced"):
        require_replaceable(Path(os.devnull))


def test_files_that_must_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``open`` says; the superuser of a test may write everything, hence the patch."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError), whole_file(path):
        pass
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("path", [None, 3, b"file", "", "a\0b", io.BytesIO(), object()])
def test_what_is_no_path(path: Any) -> None:
    """Refused by name, for checkpoints and tables alike."""
    with (
        pytest.raises(ArgumentError, match=r"path=.* is not valid: pass the path"),
        whole_file(path),
    ):
        pass
    model = nn.Linear(2, 2)
    for call in (save_checkpoint, load_checkpoint):
        with pytest.raises(ArgumentError, match=r"path=.* is not valid: pass the path"):
            call(path, model)


ABANDONED = """
import os, signal, sys
from aihwkit_dspt.whole_file import whole_file
with whole_file(sys.argv[1]) as file:
    file.write(b"half")
    print(flush=True)
    sys.stdin.read(1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """At the next write, but not while the process lives, nor what belongs to another file."""
    path, other = tmp_path / "c.pt", tmp_path / "c.pt.old12345678.part"
    other.write_bytes(b"mine")
    with subprocess.Popen(
        [sys.executable, "-c", ABANDONED, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with whole_file(path) as file:
            file.write(b"1")
        (left,) = set(tmp_path.iterdir()) - {path, other}
        assert left.suffix == ".part"
        process.communicate(b"1")
    assert left.exists()
    with whole_file(path) as file:
        file.write(b"2")
    assert set(tmp_path.iterdir()) == {path, other}
    assert path.read_bytes() == b"2"


def test_file_of_a_living_writer_is_left_alone(tmp_path: Path) -> None:
    """Two writers of one file in one process: the last one to finish has the name."""
    path = tmp_path / "file"
    with whole_file(path) as slow:
        slow.write(b"slow")
        with whole_file(path) as quick:
            quick.write(b"quick")
        assert path.read_bytes() == b"quick"
    assert path.read_bytes() == b"slow"
    assert list(tmp_path.iterdir()) == [path]


def test_symbolic_links_stay(tmp_path: Path) -> None:
    """The file that they name is replaced or made, in its folder and with its permissions."""
    (tmp_path / "store").mkdir()
    target, link = tmp_path / "store" / "c.pt", tmp_path / "last.pt"
    link.symlink_to(Path("store") / "c.pt")
    for content in (b"1", b"2"):
        with whole_file(link) as file:
            file.write(content)
        assert link.is_symlink()
        assert target.read_bytes() == link.read_bytes() == content
        target.chmod(0o640)
    assert mode(target) == 0o640
    assert list(target.parent.iterdir()) == [target]


def test_endless_link(tmp_path: Path) -> None:
    """As ``open`` says."""
    link = tmp_path / "link"
    link.symlink_to(link)
    with pytest.raises(OSError, match="symbolic links"), whole_file(link):
        pass
    assert list(tmp_path.iterdir()) == [link]
