"""Calls between which no interrupt can come."""

from __future__ import annotations

import operator
from functools import partial
from typing import Any, List

# The first is faster, and new in Python 3.11.
_CALL: Any = getattr(operator, "call", partial.__call__)


Call = partial[Any]
"""A call that is to be made, of a function in C; what it returns is of no interest to most."""


def in_one_go(*calls: Call) -> List[Any]:
    """Make calls one after the other so that an interrupt comes before all or after all of them.

    Python runs signal handlers (Ctrl-C) between its own instructions, never inside a function that
    is written in C. Here such functions are called in a row from C, without an instruction between
    them. So whatever a call changes and the note that it is done belong together.

    Args:
        calls: calls of functions in C: of C++ tiles, torch, Numba, ``setattr`` or ``dict.update``.

    Returns:
        what they return.
    """
    return list(map(_CALL, calls))
