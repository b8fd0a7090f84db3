"""A history as the text of a file."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any, Dict, List


def as_csv(history: Dict[str, List[Any]]) -> str:
    """Return a header and one line per record and tile."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(history)
    writer.writerows(zip(*history.values()))
    return text.getvalue()


def as_json(history: Dict[str, List[Any]]) -> str:
    """Return a JSON object with one list per column and ``null`` for ``nan``, which JSON lacks."""
    plain = {
        column: [None if isinstance(x, float) and not math.isfinite(x) else x for x in values]
        for column, values in history.items()
    }
    return json.dumps(plain, allow_nan=False) + "\n"
