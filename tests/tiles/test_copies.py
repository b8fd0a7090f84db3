"""Copies of copies of every kind of tile equal the original, are independent and train on."""

from __future__ import annotations

import subprocess
import sys

from tests.tiles import copies


def test_copies_of_copies() -> None:
    """In a process of their own, because aihwkit's copies crash where they are not complete."""
    command = [sys.executable, "-m", "tests.tiles.copies", *copies.NAMES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    expected = [*(f"{name} ..." for name in copies.NAMES), "done"]
    assert done.stdout.splitlines() == expected
