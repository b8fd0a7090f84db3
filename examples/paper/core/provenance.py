"""The command that made a result."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Optional, Sequence

ROOT = Path(__file__).parents[3]
"""Root of the checkout."""


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
