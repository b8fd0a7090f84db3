"""Interrupts at a chosen or random instant of a call."""

from __future__ import annotations

import linecache
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Optional, Type

import aihwkit
import torch

import aihwkit_dspt

PLACES = tuple(str(Path(module.__file__).parent) for module in (aihwkit, aihwkit_dspt))
"""Folders of the code in which an interrupt is raised: what runs within a training step."""


def _leaves_a_context(frame: FrameType) -> bool:
    """Return whether the line may be a ``with`` that is left.

    Python then calls ``__exit__`` and looks for no signal before that; an error of a tracing
    function would skip the call.
    """
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    return line.lstrip().startswith("with ")


def run_until_line(
    call: Callable[[], object], number: int, error: Type[BaseException] = KeyboardInterrupt
) -> bool:
    """Run a call and raise in it before the line with the given number is executed.

    Lines of this package and of aihwkit are counted from 0, in the order in which they are
    executed. So every instant of a step can be tried, one after the other. In place of a ``with``
    it is the line after that.

    Args:
        call: what is run.
        number: number of the line.
        error: what is raised there.

    Returns:
        whether the call got that far.
    """
    left = number

    def trace(frame: FrameType, event: str, _: Any) -> Optional[Callable[..., Any]]:
        nonlocal left
        if not frame.f_code.co_filename.startswith(PLACES):
            return None
        if event == "line":
            left -= 1
            if left < 0 and not _leaves_a_context(frame):
                sys.settrace(None)
                raise error("raised by the test")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except error:
        if left >= 0:
            raise
        return True
    finally:
        sys.settrace(before)
    return False


def run_until_timer(call: Callable[[], object], seconds: float) -> None:
    """Run a call again and again until a signal interrupts it, as Ctrl-C does.

    Where it comes between two lines of torch's own ``no_grad``, torch leaves gradients switched
    off for all that follows; here they are as before.

    Args:
        call: what is run.
        seconds: when the signal comes.
    """

    def interrupt(number: int, frame: Optional[FrameType]) -> None:
        raise KeyboardInterrupt

    has_gradients = torch.is_grad_enabled()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while True:
            call()
    except KeyboardInterrupt:
        return
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        torch.set_grad_enabled(has_gradients)
