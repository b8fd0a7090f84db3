"""A checksum at the end of a file, which finds any damage."""

from __future__ import annotations

import hashlib
import re
import zipfile
from typing import IO, Optional

SEAL = re.compile(rb"\naihwkit_dspt SHA-256 ([0-9a-f]{64})\n")
SEAL_SIZE = len(b"\naihwkit_dspt SHA-256 \n") + 64

CHUNK = 1 << 20
"""Bytes that are read at once, however large the file is."""


def seal(file: IO[bytes]) -> None:
    """Append the checksum of all that has been written to a file that can be read and written.

    What comes before stays: torch and other programs read a zip file as if nothing followed.
    """
    file.flush()
    digest = _digest(file, file.seek(0, 2))
    file.seek(0, 2)
    file.write(b"\naihwkit_dspt SHA-256 " + digest.encode() + b"\n")


def is_intact(file: IO[bytes]) -> Optional[bool]:
    """Return whether a file is as it was sealed; ``None`` if it has no seal (or has lost it)."""
    size = file.seek(0, 2) - SEAL_SIZE
    if size < 0:
        return None
    file.seek(size)
    found = SEAL.fullmatch(file.read(SEAL_SIZE))
    return None if found is None else found[1].decode() == _digest(file, size)


def has_intact_members(file: IO[bytes]) -> bool:
    """Return whether this is a zip file whose members fit the checksums of the zip format.

    This check finds less damage: it covers no names, no sizes and nothing between the members.
    """
    try:
        with zipfile.ZipFile(file) as members:
            return members.testzip() is None
    except Exception:  # damage leads to errors of many kinds
        return False


def _digest(file: IO[bytes], size: int) -> str:
    """Return the SHA-256 of the first ``size`` bytes."""
    digest = hashlib.sha256()
    file.seek(0)
    while size > 0 and (chunk := file.read(min(size, CHUNK))):
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest()
