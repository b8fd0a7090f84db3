"""What is raised when the processes of a training do not go on together."""

from __future__ import annotations

from aihwkit.exceptions import TileError


class RankError(TileError, RuntimeError):
    """The ranks of a group have not done the same, or one of them is gone.

    Also a ``RuntimeError``, which is what torch raises then.
    """


class NotHereError(TileError):
    """An array was asked for on a rank that does not own it."""
