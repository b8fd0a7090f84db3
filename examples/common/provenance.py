"""The command that made a result."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Optional, Sequence

ROOT = Path(__file__).parents[2]
"""Root of the checkout."""


def command_line(arguments: Optional[Sequence[str]] = None) -> str:
    """Return the command as it would be typed at the root of the checkout.

    The folder of the images is called ``mnist`` and other files have no folder, wherever they are
    on this machine.

    Args:
        arguments: instead of those of this process.
    """
    script, *rest = arguments or sys.argv
    path = Path(script).resolve()
    words = [str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name]
    for before, word in zip(["", *rest], rest):
        option, equals, value = word.rpartition("=")
        name = "mnist" if "--data-root" in (before, option) else Path(value).name
        is_place = "--data-root" in (before, option) or Path(value).is_absolute()
        words.append(option + equals + name if is_place else word)
    return shlex.join(["python", *words])
