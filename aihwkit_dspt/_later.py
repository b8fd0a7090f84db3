"""Names of a package that are imported at their first use."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Callable, Dict


def imported_later(package: str, homes: Dict[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package.

    It imports the names of the package from where they are, and modules of the package.

    Args:
        package: name of the package.
        homes: names with spaces between them, by the module of the package that has them.
    """
    modules = {name: home for home, names in homes.items() for name in names.split()}

    def get(name: str) -> Any:
        try:
            home = import_module(f"{package}.{modules.get(name, name)}")
        except ModuleNotFoundError as error:
            if name in modules or error.name != f"{package}.{name}":
                raise
            raise AttributeError(f"module '{package}' has no attribute '{name}'") from None
        value = getattr(home, name) if name in modules else home
        setattr(sys.modules[package], name, value)
        return value

    return get
