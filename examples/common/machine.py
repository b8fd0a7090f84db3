"""The machine and the code that numbers come from."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Dict


@lru_cache(maxsize=1)
def revision() -> str:
    """Return the git revision of the package that is imported, with a mark if code differs from it.

    It need not be the one beside these examples; ``"unknown"`` if it is not in a checkout. New
    results do not count as a difference: the next run would have the mark of the first.
    """
    folder = Path(find_spec("aihwkit_dspt").origin).parents[1]

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        return result.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", ":!*/results/*", ":!*.md")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("-dirty" if changed else "")


def cpu_model() -> str:
    """Return the name of the processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> Dict[str, Any]:
    """Return what timings depend on beside their settings."""
    return {"cpu": cpu_model(), "cores": os.cpu_count(), "revision": revision()}


def load() -> float:
    """Return how many processes wanted to run in the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def memory_mb(field: str) -> float:
    """Return a field of this process' memory in MB: ``"VmHWM"`` (peak) or ``"VmRSS"`` (now).

    ``getrusage`` will not do for the peak: a child inherits the one of the process that started it.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return float(line.split()[1]) / 1024.0
    raise ValueError(f"/proc/self/status has no field {field!r}")
