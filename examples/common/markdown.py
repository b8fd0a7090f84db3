"""Markdown."""

from __future__ import annotations

from typing import Iterable, List


def markdown(header: List[str], rows: Iterable[List[str]]) -> str:
    """Return a markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
