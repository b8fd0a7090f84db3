"""Records as text: a table to read, and files."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any, Dict, List, Mapping, Sequence, Tuple

TABLE: Tuple[Tuple[str, str, str], ...] = (
    ("sp_error_mean", "Q-SP mean", "+.3f"),
    ("sp_error_rms", "rms", ".3f"),
    ("sp_correlation", "corr", "+.2f"),
    ("fast_error_mean", "P-SP mean", "+.3f"),
    ("fast_error_rms", "rms", ".3f"),
    ("residual_rms", "P-Q~ rms", ".3f"),
    ("fast_saturated", "P at bound", ".1%"),
    ("slow_saturated", "W at bound", ".1%"),
    ("chopper_balance", "chopper", "+.2f"),
    ("weight_norm", "norm", ".2f"),
)
"""Column, heading and format of the table."""


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a line per tile; values that do not exist are ``-``."""
    names = ["tile", *(row["tile"] for row in rows)]
    columns = [(f"{{:<{max(map(len, names))}}}", names)]
    for column, heading, style in TABLE:
        # Only nan differs from itself.
        cells = [format(row[column], style) if row[column] == row[column] else "-" for row in rows]
        cells = [heading, *cells]
        columns.append((f"{{:>{max(map(len, cells))}}}", cells))
    lines = [
        "  ".join(style.format(cells[line]) for style, cells in columns)
        for line in range(len(names))
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)


def as_csv(history: Dict[str, List[object]]) -> str:
    """Return a header and one line per record and tile."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(history)
    writer.writerows(zip(*history.values()))
    return text.getvalue()


def as_json(history: Dict[str, List[object]]) -> str:
    """Return a JSON object with one list per column and ``null`` for ``nan``, which JSON lacks."""
    plain = {
        column: [None if isinstance(x, float) and not math.isfinite(x) else x for x in values]
        for column, values in history.items()
    }
    return json.dumps(plain, allow_nan=False) + "\n"
