"""Results that are kept as JSON while they come, so that a killed run continues."""

from __future__ import annotations

import json
import os
import platform
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Dict, Optional

from common.provenance import command_line


def versions() -> Dict[str, str]:
    """Return what the numbers were made with."""
    names = ("aihwkit-dspt", "aihwkit", "torch")
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # a checkout that is not installed, but on the path
        found: str = import_module(name.replace("-", "_")).__version__
        return found


class Results:
    """Numbers by key in one JSON file, beside the command, the versions and the settings.

    A file that is there with the same settings is continued.

    Args:
        path: the JSON file; ``None`` keeps the numbers in memory only.
        settings: everything that the numbers depend on, as JSON types.

    Raises:
        SystemExit: if the file was made with other settings or versions.
    """

    def __init__(self, path: Optional[Path], settings: Dict[str, Any]) -> None:
        self.path = path
        self.head = {
            "command": command_line(),
            "versions": versions(),
            "settings": settings,
        }
        self.numbers: Dict[str, Any] = {}
        if path is None or not path.exists():
            return
        found = json.loads(path.read_text())
        for name in ("versions", "settings"):
            if found[name] != self.head[name]:
                raise SystemExit(
                    f"{path} was made with {name} {found[name]}, this run has {self.head[name]}: "
                    "pass another folder as --out, or remove the file"
                )
        self.numbers = found["results"]

    def add(self, key: str, value: Any) -> None:
        """Keep one result and write the file; an interrupted write leaves it as it was."""
        self.numbers[key] = _rounded(value)  # as it is read again
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial")
        partial.write_text(_text({**self.head, "results": self.numbers}) + "\n")
        os.replace(partial, self.path)


def _rounded(value: Any) -> Any:
    """Return nested values with six digits, which keeps the files small."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


def _text(content: Dict[str, Any]) -> str:
    """Return JSON with one line for each entry of each block."""
    blocks = []
    for name, block in _rounded(content).items():
        if isinstance(block, dict):
            lines = [f"    {json.dumps(key)}: {json.dumps(item)}" for key, item in block.items()]
            blocks.append(f"  {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n  }")
        else:
            blocks.append(f"  {json.dumps(name)}: {json.dumps(block)}")
    return "{\n" + ",\n".join(blocks) + "\n}"
