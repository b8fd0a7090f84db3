"""Numbers and pictures of an example, written to a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

from common.provenance import command_line
from common.results import versions


def write_json(path: Path, numbers: Dict[str, Any]) -> None:
    """Write numbers beside the command and the versions that made them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"command": command_line(), "versions": versions(), **numbers}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content) + "\n")
    partial.replace(path)


def pyplot() -> Any:
    """Return matplotlib's pyplot, without a display."""
    # pylint: disable=import-outside-toplevel
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    return plt


def save_picture(figure: Any, path: Path) -> None:
    """Write a figure as PNG and close it; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    pyplot().close(figure)
