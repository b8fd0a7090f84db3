"""The pages of ``docs`` are true: their code runs, their links lead to files."""

from __future__ import annotations

import importlib
import re
import runpy
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, List

import pytest
import torch

import aihwkit_dspt

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
REPOSITORY = "https://github.com/aihwkit-dspt/aihwkit-dspt"

WITH_CODE = [
    page for page in PAGES if page != "extending.md" and CODE.search((DOCS / page).read_text())
]
"""Each is one script, block after block; those of extending.md are files of their own, which
``test_extending.py`` runs."""


NEEDED = {
    "how_to/integrations.md": ("transformers", "safetensors", "lightning", "optuna", "tensorboard")
}
"""Packages that the code of a page uses, and that are none of this package's tests'."""

ENVIRONMENT = {
    "how_to/several_processes.md": {
        "RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "0",
    }
}
"""What ``torchrun`` tells a script; port 0 is any."""


def marked(page: str) -> Any:
    """Return a page as a parameter of a test; what trains or imports for long is slow."""
    is_slow = page.startswith("tutorials/") or page in NEEDED
    return pytest.param(page, marks=[pytest.mark.slow] * is_slow)


@pytest.mark.parametrize("page", map(marked, WITH_CODE))
def test_the_code_of_a_page_runs(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first block to the last, in an empty folder."""
    for package in NEEDED.get(page, ()):
        pytest.importorskip(package)
    script = tmp_path / "page.py"
    script.write_text("\n".join(CODE.findall((DOCS / page).read_text())))
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRONMENT.get(page, {}).items():
        monkeypatch.setenv(name, value)
    with torch.random.fork_rng():
        runpy.run_path(str(script))


@pytest.mark.parametrize("page", PAGES)
def test_links_to_the_repository_lead_to_files(page: str) -> None:
    """Those between pages and pictures are checked by Sphinx."""
    for target in LINK.findall(FENCED.sub("", (DOCS / page).read_text())):
        found = re.fullmatch(rf"{REPOSITORY}/(?:blob|tree)/HEAD/([^#]+)(?:#.*)?", target)
        if found:
            assert (ROOT / found[1]).exists(), target


def test_every_example_is_listed() -> None:
    """On the page of tutorials, by its name."""
    page = (DOCS / "tutorials" / "index.md").read_text()
    listed = re.findall(r"^\| `(\d\d_\w+\.py)` \|", page, re.MULTILINE)
    assert listed == sorted(path.name for path in (ROOT / "examples").glob("[0-9]*.py"))


PACKAGES = [name for _, name, is_package in iter_modules(aihwkit_dspt.__path__) if is_package]
MODULES = [aihwkit_dspt, *(importlib.import_module(f"aihwkit_dspt.{name}") for name in PACKAGES)]
PUBLIC = [module for module in MODULES if hasattr(module, "__all__")]
"""The package and its subpackages with public names."""


def documented() -> List[str]:
    """Return the full names that the pages of the API reference describe."""
    names, module = [], ""
    for path in sorted((DOCS / "api").glob("*.md")):
        for line in path.read_text().splitlines():
            found = re.match(r"\.\. (currentmodule|automodule|auto(?!attribute)\w+):: (\S+)", line)
            if found and found[1] in ("currentmodule", "automodule"):
                module = found[2]
            elif found:
                name = found[2]
                names.append(name if name.startswith("aihwkit_dspt.") else f"{module}.{name}")
    return names


def test_every_public_name_has_one_entry() -> None:
    """In the API reference, under the shortest of its names."""
    names = documented()
    objects = [_get(name) for name in names]
    assert len({id(value) for value in objects}) == len(names)
    for module in PUBLIC:
        for name in module.__all__:
            assert any(value is getattr(module, name) for value in objects), (module, name)


def _get(name: str) -> Any:
    module, _, short = name.rpartition(".")
    return getattr(importlib.import_module(module), short)
