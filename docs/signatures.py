"""What the site shows above a docstring: the defaults of fields as they are written in code.

Sphinx shows the value of an enumeration's member (``'Dynamic'``), which nobody passes, classes by
their representation, and the signature of a function once for each class that it is dispatched on.
"""

from __future__ import annotations

import importlib
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Optional

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx


def code_of_default(owner: type, name: str) -> Optional[str]:
    """Return a default as it is written in code; None for those that Sphinx shows so itself."""
    value = vars(owner).get(name)
    if isinstance(value, Enum) and not issubclass(owner, Enum):
        return f"{type(value).__name__}.{value.name}"
    return value.__name__ if is_dataclass(owner) and isinstance(value, type) else None


def tidy(_: Any, domain: str, kind: str, content: nodes.Element) -> None:
    """Mend the signatures of an entry."""
    entry = content.parent
    if domain == "py" and kind == "function":
        _keep_the_first(entry)
    if domain == "py" and kind == "attribute":
        signature = entry[0]
        owner = getattr(importlib.import_module(signature["module"]), signature["class"])
        name = signature["fullname"].rpartition(".")[2]
        code = code_of_default(owner, name)
        if code is not None or issubclass(owner, Enum):
            _set_default(signature, code)


def _keep_the_first(entry: nodes.Element) -> None:
    lines = [child for child in entry if isinstance(child, addnodes.desc_signature)]
    for line in lines[1:]:
        if line.astext() == lines[0].astext().replace("[source]", ""):
            entry.remove(line)


def _set_default(signature: nodes.Element, code: Optional[str]) -> None:
    """Replace the default of a field by this one, or by none."""
    for part in list(signature.findall(addnodes.desc_annotation)):
        if "=" in part.astext():
            part.parent.remove(part)
    if code is not None:
        signature += addnodes.desc_annotation(code, f" = {code}")


def setup(app: Sphinx) -> None:
    """Mend each entry when it is laid out."""
    app.connect("object-description-transform", tidy)
