"""A configuration as a plan: what is built, with which fields, before it is built."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import numpy as np

Table = Dict[str, Tuple[Sequence[Any], Sequence[Any]]]
"""Field -> values that are right for it, values that are not."""


@dataclass
class Plan:
    """A call that makes a part of a configuration.

    Args:
        make: class or function that is called.
        settings: its keyword arguments; plans and lists of plans among them are built first.
        table: values that the fields may have.
    """

    make: Callable[..., Any]
    settings: Dict[str, Any] = field(default_factory=dict)
    table: Table = field(default_factory=dict)

    def build(self) -> Any:
        """Return what the plan describes, all parts new."""
        return self.make(**{name: _build(value) for name, value in self.settings.items()})

    def parts(self) -> Iterator[Plan]:
        """Yield the plan and all plans within it."""
        yield self
        for value in self.settings.values():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, Plan):
                    yield from item.parts()

    def __repr__(self) -> str:
        """Return the call as it would stand in a script."""
        settings = ", ".join(f"{name}={_text(value)}" for name, value in self.settings.items())
        return f"{self.make.__name__}({settings})"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return str(value) if isinstance(value, Enum) else repr(value)


def _build(value: Any) -> Any:
    if isinstance(value, list):
        return [_build(item) for item in value]
    return value.build() if isinstance(value, Plan) else value


def draw(random: Random, make: Callable[..., Any], table: Table, share: float = 0.3) -> Plan:
    """Return a plan in which about a ``share`` of the fields has a value of the table."""
    settings = {
        name: random.choice(right)
        for name, (right, _) in table.items()
        if right and random.random() < share
    }
    return Plan(make, settings, table)


def spoil(random: Random, plan: Plan) -> str:
    """Give one field of the plan, or of a part of it, a wrong value; return which."""
    choices: List[Tuple[Plan, str]] = [
        (part, name) for part in plan.parts() for name, (_, wrong) in part.table.items() if wrong
    ]
    part, name = random.choice(choices)
    part.settings[name] = random.choice(part.table[name][1])
    return f"{part.make.__name__}.{name}={part.settings[name]!r}"


def use_numpy(random: Random, plan: Plan) -> str:
    """Let one number of the plan be one of NumPy's; return which field."""
    choices = [
        (part, name)
        for part in plan.parts()
        for name, value in part.settings.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    if not choices:
        return ""
    part, name = random.choice(choices)
    whole = isinstance(part.settings[name], int)
    kinds: Any = (np.int64, np.int32) if whole else (np.float64, np.float32)
    part.settings[name] = random.choice(kinds)(part.settings[name])
    return f"{part.make.__name__}.{name}={part.settings[name]!r}"
