"""The reports for aihwkit are true of the installed version."""

from __future__ import annotations

import re
import runpy
from importlib.metadata import version
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "reports"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
HAS_CHOPPED_GAMMA = not version("aihwkit").startswith("1.1.")


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_fault_is_there(name: str) -> None:
    """In the versions that the script names. One that aihwkit mends is to leave the folder."""
    is_there = runpy.run_path(str(FOLDER / f"{name}.py"))["main"]()
    assert is_there == (name != "gamma_layout" or HAS_CHOPPED_GAMMA)


def test_the_page_has_all() -> None:
    """Each script has a row."""
    assert sorted(re.findall(r"^\| \[`(\w+)\.py`\]", (FOLDER / "README.md").read_text(), re.M)) == (
        SCRIPTS
    )
