"""The order of the package: a module imports from its own layer and from those below, no other."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

PACKAGE = Path(__file__).parents[1] / "aihwkit_dspt"

LAYERS: Dict[str, str] = {
    "checks and plain values": """
        _installation _later _origin plain seal loadable whole_file configs configs.built
        configs.checks configs.declared configs.device_checks configs.enums
        configs.parameter_checks configs.tensor_checks pulses reads stages tiles
    """,
    "devices": "devices.*",
    "laws of reads and pulses": """
        pulses.cells pulses.coverage reads.coverage reads.indexed reads.law reads.one_hot
        reads.product reads.thresholds
    """,
    "compiled functions": """
        fused fused.addresses fused.batch_kernels_cpu fused.coincidences_cpu
        fused.column_kernels_cpu fused.compiled fused.fine_pulses_cpu fused.gpu.*
        fused.line_kernels_cpu fused.line_pulses_cpu fused.noise_cpu fused.pulses_cpu
        fused.random_bits fused.rates_cpu fused.read_kernels_cpu fused.shared fused.step_kernels_cpu
        fused.trains_cpu fused.update_kernels_cpu
    """,
    "stages": "stages.*",
    "settings": "configs.*",
    "arrays and their pulses": """
        pulses.* tiles.array_state tiles.cpp_tile
        tiles.crossbar tiles.gradient_pulses tiles.lines tiles.moved_steps tiles.reachable
        tiles.tiny_inputs tiles.vectors
    """,
    "fused forms": "fused.*",
    "who chooses a form": "reads.* stages.mixer stages.transfer",
    "pipeline and tile": """
        tiles.* optim optim.context optim.forgotten optim.gradient optim.wanted optim.written
        state_bytes
    """,
    "configurations": "configs.build configs.presets configs.rpu_config",
    "whole models": "*",
}
"""Lowest first. A name ends with ``.*`` where it stands for all that no other layer names."""


def rank(module: str) -> int:
    """Return the number of the layer of a module."""
    ranks = {name: place for place, names in enumerate(LAYERS.values()) for name in names.split()}
    wanted = [module, *(f"{parent}.*" for parent in parents(module)), "*"]
    return next(ranks[name] for name in wanted if name in ranks)


def parents(module: str) -> Iterator[str]:
    """Yield a module and the packages that it is in, innermost first."""
    while module:
        yield module
        module = module.rpartition(".")[0]


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of the package that a file imports, in functions, too.

    What is imported for type checkers alone is left out.
    """
    nodes: List[ast.AST] = [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            nodes += node.orelse
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
            home = (node.module or "")[len(PACKAGE.name) + 1 :]
            for item in node.names:
                name = f"{home}.{item.name}".lstrip(".")
                yield name if name in MODULES else home
        elif isinstance(node, ast.Import):
            names = [item.name for item in node.names]
            yield from (name[len(PACKAGE.name) + 1 :] for name in names if PACKAGE.name in name)


def test_nothing_is_imported_from_above() -> None:
    """The package itself, which shows all names, is no layer."""
    layers = list(LAYERS)
    above = [
        f"{module} ({layers[rank(module)]}) imports {name} ({layers[rank(name)]})"
        for module, path in MODULES.items()
        for name in imported(path)
        if module and rank(name) > rank(module)
    ]
    assert not above


def test_every_name_is_a_module() -> None:
    """Layers name what is there."""
    names = {name for names in LAYERS.values() for name in names.split()} - {"*"}
    assert {name.removesuffix(".*") for name in names} <= set(MODULES)


@pytest.mark.parametrize("folder", ["configs", "devices", "fused", "pulses", "reads", "stages"])
def test_nothing_below_tiles_imports_them(folder: str) -> None:
    """Tiles are made of what is in the other folders, which know nothing of them but names."""
    found = [
        (path.name, line)
        for path in (PACKAGE / folder).rglob("*.py")
        if path.name != "rpu_config.py"  # it names the class of its tiles
        for line in path.read_text().splitlines()
        if line.startswith("from aihwkit_dspt.tiles")  # not indented, as for type checkers
    ]
    assert found == []


def test_no_test_file_imports_another() -> None:
    """What tests share is in a file of its own: so each can be run, moved and deleted alone."""
    tests = Path(__file__).parent
    found = [
        (path.name, line)
        for path in tests.rglob("*.py")
        for line in path.read_text().splitlines()
        if line.startswith(("from tests", "import tests")) and ".test_" in line
    ]
    assert found == []
