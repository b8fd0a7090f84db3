"""What made a result: the revision of the code and the command."""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Optional, Sequence

ROOT = Path(__file__).parents[3]
"""Root of the checkout."""


@lru_cache(maxsize=1)
def revision() -> str:
    """Return the git revision of this checkout, with a mark if code differs from it.

    New results do not count as a difference: the next run would have the mark of the first.
    """

    def git(*arguments: str) -> str:
        command = ["git", *arguments]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return result.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", ":!*/results/*", ":!*.md")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("-dirty" if changed else "")


def command_line(arguments: Optional[Sequence[str]] = None) -> str:
    """Return the command as it would be typed at the root of the checkout.

    The folder of the images is called ``mnist``, wherever it is on this machine.

    Args:
        arguments: instead of those of this process.
    """
    script, *rest = arguments or sys.argv
    path = Path(script).resolve()
    words = [str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name]
    for before, word in zip(["", *rest], rest):
        option, equals, _ = word.partition("=")
        if before == "--data-root":
            words.append("mnist")
        else:
            words.append("--data-root=mnist" if equals and option == "--data-root" else word)
    return " ".join(["python", *words])
