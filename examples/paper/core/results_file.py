"""A file with one JSON line per result, which survives that a writer is killed."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any, Dict

from core.run import Run


def read_results(path: Path) -> Dict[str, Dict[str, Any]]:
    """Return the results of a file by the key of their run; half-written lines are left out."""
    results = {}
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                result = json.loads(line)
            except json.JSONDecodeError:
                continue
            results[Run.from_result(result).key] = result
    return results


def append_result(path: Path, result: Dict[str, Any]) -> None:
    """Add one line, and return when it is on the disk; several processes may do so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            # A killed writer may have left half a line: end it first.
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(result).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
