"""What ``import aihwkit_dspt`` loads, and what it leaves for later."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Dict

import pytest

import aihwkit_dspt
from aihwkit_dspt import fused

CONVERSION = """
import sys
import aihwkit.nn, aihwkit.nn.conversion, aihwkit.optim
from torch import nn

before = set(sys.modules)
import aihwkit_dspt

model = nn.Sequential(nn.Linear(4, 3), nn.Conv2d(1, 2, 3))
aihwkit.nn.conversion.convert_to_analog(model, aihwkit_dspt.ERIDERReRamESPreset())
print(*sorted(set(sys.modules) - before))
"""

SLOW = {"dask", "llvmlite", "matplotlib", "numba", "optuna", "scipy", "tqdm", "triton", "yaml"}

LATER = {"costs", "drift", "monitor", "parallel", "plan", "plots", "zero_shifting"}
"""Packages of ours that a plain conversion does not need."""


def test_import_and_conversion_load_little() -> None:
    """Neither needs Numba, a plotting library or the packages beside the tile."""
    command = [sys.executable, "-c", CONVERSION]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "aihwkit_dspt.tiles.tile" in loaded
    assert {name.split(".")[0] for name in loaded} & SLOW == set()
    ours = [name.split(".")[1] for name in loaded if name.startswith("aihwkit_dspt.")]
    assert set(ours) & LATER == set()


def imports_for_type_checkers(package: ModuleType) -> Dict[str, str]:
    """Return name -> module of what a package imports for type checkers only."""
    assert package.__file__ is not None
    tree = ast.parse(Path(package.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


@pytest.mark.parametrize("package", [aihwkit_dspt, fused], ids=lambda package: package.__name__)
def test_type_checkers_see_what_there_is(package: ModuleType) -> None:
    """Each name that they are told of is the object of that name in that module."""
    told = imports_for_type_checkers(package)
    assert told
    for name, module in told.items():
        assert getattr(package, name) is getattr(sys.modules[module], name), name


def test_all_names() -> None:
    """All public names are there, listed, and told to type checkers or imported at once."""
    listed = dir(aihwkit_dspt)
    assert set(aihwkit_dspt.__all__) <= set(listed)
    assert listed == sorted(set(listed))
    names: Dict[str, object] = {}
    exec("from aihwkit_dspt import *", names)
    assert set(aihwkit_dspt.__all__) <= set(names)
    assert set(imports_for_type_checkers(aihwkit_dspt)) <= set(aihwkit_dspt.__all__)


def test_modules_of_the_package_are_attributes() -> None:
    """Whether or not they have been imported; other names fail by name."""
    assert aihwkit_dspt.zero_shifting.closed_form is not None  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="'aihwkit_dspt' has no attribute 'zero_shft'"):
        _ = aihwkit_dspt.zero_shft  # type: ignore[attr-defined]
