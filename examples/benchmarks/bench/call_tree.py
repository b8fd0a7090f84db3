"""Where the time of nested calls goes: timers around methods, without a profiler."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, Dict, Iterator, List, Tuple

Path = Tuple[str, ...]


class CallTree:
    """Time that was spent in wrapped calls, by the path of the calls around them.

    A profiler slows every Python call down; this stops the clock only where methods were chosen.

    Attributes:
        own: seconds of each path, those of wrapped calls inside left out.
        calls: how often each path was entered.
    """

    def __init__(self) -> None:
        self.own: Dict[Path, float] = defaultdict(float)
        self.calls: Dict[Path, int] = defaultdict(int)
        self._path: Path = ()
        self._since = 0.0

    @contextmanager
    def section(self, label: str) -> Iterator[None]:
        """Count the time of a block under a label."""
        outer, now = self._path, time.perf_counter()
        if outer:
            self.own[outer] += now - self._since
        self._path = (*outer, label)
        self.calls[self._path] += 1
        self._since = time.perf_counter()
        try:
            yield
        finally:
            now = time.perf_counter()
            self.own[self._path] += now - self._since
            self._path, self._since = outer, now

    @contextmanager
    def watching(self, methods: List[Tuple[Any, str, str]]) -> Iterator[None]:
        """Time methods in a block.

        Args:
            methods: class, name of the method and label of each.
        """
        with ExitStack() as stack:
            for owner, name, label in methods:
                self._wrap(stack, owner, name, label)
            yield

    def _wrap(self, stack: ExitStack, owner: Any, name: str, label: str) -> None:
        inherited, original = name not in vars(owner), getattr(owner, name)

        @wraps(original)
        def timed(*arguments: Any, **options: Any) -> Any:
            with self.section(label):
                return original(*arguments, **options)

        setattr(owner, name, timed)
        if inherited:
            stack.callback(delattr, owner, name)
        else:
            stack.callback(setattr, owner, name, original)

    def reset(self) -> None:
        """Forget all times."""
        self.own.clear()
        self.calls.clear()

    def total(self, path: Path) -> float:
        """Return the seconds of a path with all wrapped calls inside."""
        return sum(value for key, value in self.own.items() if key[: len(path)] == path)
