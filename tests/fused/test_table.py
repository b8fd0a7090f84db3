"""The table of fused forms has all of them, and the tests of this folder run over it."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import Any, Dict, Iterator

from aihwkit_dspt import fused
from aihwkit_dspt.fused import table
from aihwkit_dspt.fused.form import FusedForm

TABLES: Dict[str, Any] = {
    name: value for name, value in vars(table).items() if name.startswith("FUSED_")
}


def forms(kind: type = FusedForm) -> Iterator[type]:
    """Yield all fused forms of the package."""
    for each in kind.__subclasses__():
        if not isabstract(each) and each.__module__.startswith(fused.__name__):
            yield each
        yield from forms(each)


def test_every_form_is_in_the_table() -> None:
    """Each once, so that whatever runs over the table has it."""
    for module in pkgutil.iter_modules(fused.__path__, f"{fused.__name__}."):
        import_module(module.name)
    rows = [form for forms_of_a_kind in TABLES.values() for form in forms_of_a_kind]
    assert sorted(map(str, rows)) == sorted(map(str, forms()))


def test_every_table_has_a_test_that_runs_over_it() -> None:
    """By the name of the table, so that a new row is held, too."""
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    for name in TABLES:
        assert any(text.count(name) > 1 for text in texts), f"only imported, or not at all: {name}"
