"""Writing a history to files that are whole or not there."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import stat
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Union


def write_whole(path: Union[str, Path], text: str) -> None:
    """Write a file under a temporary name, then give it its own: a reader never sees a part.

    Raises:
        OSError: if the folder does not exist or cannot be written to.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int:
    """Return the permissions that the file has, or would have got from ``open``."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    # The mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def as_csv(history: Dict[str, List[Any]]) -> str:
    """Return a header and one line per record and tile."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(history)
    writer.writerows(zip(*history.values()))
    return text.getvalue()


def as_json(history: Dict[str, List[Any]]) -> str:
    """Return a JSON object with one list per column; ``nan``, which JSON has not, is ``null``."""
    plain = {
        column: [None if isinstance(x, float) and not math.isfinite(x) else x for x in values]
        for column, values in history.items()
    }
    return json.dumps(plain, allow_nan=False) + "\n"
