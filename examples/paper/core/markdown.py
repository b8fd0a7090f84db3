"""Markdown of the report: tables, and where the numbers come from."""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any, Dict, Iterable, List, Sequence, Tuple


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, its numbers not aligned."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation, the mean alone of a single value."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{mean(values):.2f} ± {stdev(values):.2f}"


def listed(values: Iterable[Any]) -> str:
    """Return different values in order, with commas."""
    return ", ".join(str(value) for value in sorted(set(values)))


class Sources:
    """Numbered commands, versions and revisions, to which rows of a table refer.

    Args:
        command: command of results that were written without theirs.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.numbers: Dict[Tuple[str, str, str], int] = {}

    def refer(self, results: Iterable[Dict[str, Any]]) -> str:
        """Return references to where these results come from."""
        found = set()
        for result in results:
            versions = ", ".join(f"{name} {value}" for name, value in result["versions"].items())
            key = (result.get("command", self.command), versions, result["revision"])
            found.add(self.numbers.setdefault(key, len(self.numbers) + 1))
        return " ".join(f"[{number}]" for number in sorted(found))

    def text(self) -> str:
        """Return the list that the references are to."""
        lines: List[str] = [
            f"- [{number}] `{command}`; {versions}; revision `{revision}`"
            for (command, versions, revision), number in self.numbers.items()
        ]
        return "\n".join(lines)
