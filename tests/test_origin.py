"""Wheels are told from builds by what installers leave behind."""

from __future__ import annotations

import sys
from importlib.metadata import Distribution
from pathlib import Path
from typing import Dict, Tuple

import pytest

from aihwkit_dspt._origin import Origin, find_aihwkit, origin_of

LIBRARY = "aihwkit/simulator/rpu_base.cpython-311-x86_64-linux-gnu.so,,"
MANYLINUX = f"aihwkit.libs/libopenblas-r0-11edc3fa.3.15.so,,\n{LIBRARY}"
MACOS = f"aihwkit/.dylibs/libgfortran.5.dylib,,\n{LIBRARY}"
FOLDER = '{"dir_info": {}, "url": "file:///home/me/aihwkit-1.1.0"}'
ARCHIVE = '{"archive_info": {}, "url": "file:///home/me/aihwkit-1.1.0-cp311-cp311-X.whl"}'

INSTALLED: Dict[str, Tuple[Origin, Dict[str, str]]] = {
    "pip, PyPI, Linux": (Origin.WHEEL, {"INSTALLER": "pip\n", "RECORD": MANYLINUX}),
    "pip, PyPI, macOS": (Origin.WHEEL, {"INSTALLER": "pip\n", "RECORD": MACOS}),
    "uv, PyPI": (Origin.WHEEL, {"INSTALLER": "uv", "RECORD": MANYLINUX}),
    "PyPI's wheel from a folder": (
        Origin.WHEEL,
        {"INSTALLER": "pip\n", "RECORD": MANYLINUX, "direct_url.json": ARCHIVE},
    ),
    "pip, a folder": (
        Origin.SELF_BUILT,
        {"INSTALLER": "pip\n", "RECORD": LIBRARY, "direct_url.json": FOLDER},
    ),
    "pip, an own wheel": (
        Origin.SELF_BUILT,
        {"INSTALLER": "pip\n", "RECORD": LIBRARY, "direct_url.json": ARCHIVE},
    ),
    "pip, PyPI's sdist": (Origin.SELF_BUILT, {"INSTALLER": "pip\n", "RECORD": LIBRARY}),
    "editable": (
        Origin.SELF_BUILT,
        {"INSTALLER": "pip\n", "RECORD": "aihwkit.egg-link,,", "direct_url.json": FOLDER},
    ),
    "conda": (Origin.CONDA, {"INSTALLER": "conda", "RECORD": LIBRARY}),
    "neither installer nor record": (Origin.SELF_BUILT, {}),
}
"""How aihwkit was installed -> where it comes from, and files of its metadata."""


def install(folder: Path, version: str, files: Dict[str, str]) -> Path:
    """Write the metadata of an installed aihwkit, and the files that its record names."""
    metadata = folder / f"aihwkit-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: aihwkit\nVersion: {version}\n")
    for name, text in files.items():
        (metadata / name).write_text(text)
    for line in files.get("RECORD", "").splitlines():
        path = folder / line.split(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return metadata


@pytest.mark.parametrize("case", INSTALLED)
def test_origin(tmp_path: Path, case: str) -> None:
    """Every way to install aihwkit has its origin."""
    origin, files = INSTALLED[case]
    assert origin_of(Distribution.at(install(tmp_path, "1.1.0", files))) is origin


@pytest.mark.parametrize("case", INSTALLED)
def test_the_first_on_the_path_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """The aihwkit that an import would take is the one that is judged."""
    origin, files = INSTALLED[case]
    install(tmp_path, "1.1.77", files)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find_aihwkit() == ("1.1.77", origin)


def test_egg_info(tmp_path: Path) -> None:
    """``setup.py develop`` leaves an egg-info beside the sources."""
    metadata = tmp_path / "aihwkit.egg-info"
    metadata.mkdir()
    (metadata / "PKG-INFO").write_text("Name: aihwkit\nVersion: 1.1.0\n")
    (metadata / "SOURCES.txt").write_text("setup.py\nsrc/aihwkit/__init__.py\n")
    assert origin_of(Distribution.at(metadata)) is Origin.SELF_BUILT


def test_source_tree_and_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree that was built in place has no metadata; without a tree there is no aihwkit."""
    # Only this folder is searched, and nothing that was imported from elsewhere counts.
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for name in [name for name in sys.modules if name.split(".")[0] == "aihwkit"]:
        monkeypatch.delitem(sys.modules, name)
    assert find_aihwkit() is None
    (tmp_path / "aihwkit").mkdir()
    (tmp_path / "aihwkit" / "__init__.py").write_text("__version__ = '1.2.0'\n")
    assert find_aihwkit() == ("1.2.0", Origin.SELF_BUILT)
    # What this test imported goes again before the real one comes back.
    monkeypatch.delitem(sys.modules, "aihwkit")
