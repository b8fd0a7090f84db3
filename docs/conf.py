"""How Sphinx builds the site: ``python -m sphinx -W --keep-going docs build/docs``."""

from __future__ import annotations

import sys
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Dict, List

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

import aihwkit_dspt

sys.path.insert(0, str(Path(__file__).parent))  # for signatures.py

project = "aihwkit-dspt"
author = "The aihwkit-dspt developers"
project_copyright = f"2026, {author}"
version = release = aihwkit_dspt.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",  # formulas without a network
    "signatures",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_enable_extensions = ["attrs_block", "deflist"]
myst_heading_anchors = 4

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# Every reference has to lead somewhere, but for those to other packages (their inventories are on
# the network, and the site is built without one) and to inner names, which have no page.
nitpicky = True
OTHERS = "aihwkit|collections|functools|matplotlib|numpy|os|pathlib|pickle|torch|typing"
ERRORS = "(Argument|Config|Cuda|Module|Tile)Error"
SHORT = "Axes|LRScheduler|MAP_LOCATION|Optimizer|Path|ProcessGroup|PulsedDevice|RPUConfigGeneric"
SHORT += "|Tensor|TransferTiming|dtype|nn.Module|optional"
INNER = r"aihwkit_dspt\.(configs|devices|fused|reads|slow_array|stages|tiles)\..*"
nitpick_ignore_regex = [
    ("py:.*", rf"({OTHERS})\..*|{ERRORS}|{SHORT}|{INNER}|TrackingSimulatorTile\..*")
]

html_theme = "furo"
html_title = f"aihwkit-dspt {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {
    "source_repository": "https://github.com/aihwkit-dspt/aihwkit-dspt/",
    "source_branch": "HEAD",
    "source_directory": "docs/",
}


def text_of_data(name: str, value: Any) -> List[str]:
    """Return the text below a constant, from the module that it is imported from."""
    short = name.rpartition(".")[2]
    for module in [key for key in sys.modules if key.split(".")[0] == "aihwkit_dspt"]:
        if vars(sys.modules[module]).get(short) is value:
            found = ModuleAnalyzer.for_module(module).find_attr_docs().get(("", short))
            if found:
                return list(found)
    return []


def setup(app: Sphinx) -> None:
    """Leave out long signatures, and keep napoleon from attributes.

    It takes what stands before a colon for their type.
    """
    kept: Dict[str, List[str]] = {}

    def keep(_: Any, what: str, name: str, value: Any, options: Any, lines: List[str]) -> None:
        if what == "data":
            lines[:] = text_of_data(name, value)
        if what in ("attribute", "data", "property"):
            kept[name] = list(lines)

    def restore(_: Any, what: str, name: str, value: Any, options: Any, lines: List[str]) -> None:
        if name in kept:
            lines[:] = kept.pop(name)

    def without_fields(_: Any, what: str, name: str, value: Any, *others: Any) -> Any:
        if what == "class" and (is_dataclass(value) or issubclass(value, Enum)):
            return "", None  # each field has an entry of its own
        return None

    app.connect("autodoc-process-signature", without_fields)
    app.connect("autodoc-process-docstring", keep, priority=400)
    app.connect("autodoc-process-docstring", restore, priority=600)
