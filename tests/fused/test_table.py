"""The tables of fused forms."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import Iterator

from aihwkit_dspt import fused
from aihwkit_dspt.fused.form import FusedForm
from aihwkit_dspt.fused.table import (
    FUSED_LINES,
    FUSED_MIXERS,
    FUSED_PRODUCTS,
    FUSED_TRANSFERS,
)

TABLES = (*FUSED_TRANSFERS, *FUSED_MIXERS, *FUSED_PRODUCTS, *FUSED_LINES)
"""Forms that tests of this folder run over, whichever they are."""


def forms(kind: type = FusedForm) -> Iterator[type]:
    """Yield all fused forms of the package."""
    for each in kind.__subclasses__():
        if not isabstract(each) and each.__module__.startswith(fused.__name__):
            yield each
        yield from forms(each)


def test_every_form_is_held_against_the_plain_one() -> None:
    """By a test that runs over its table, or else by one that takes it by name."""
    for module in pkgutil.iter_modules(fused.__path__, f"{fused.__name__}."):
        import_module(module.name)
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    found = set(forms())
    assert found > set(TABLES)
    for form in found - set(TABLES):
        assert any(f" import {form.__name__}\n" in text for text in texts), form
