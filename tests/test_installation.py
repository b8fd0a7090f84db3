"""The check of the host: silent where it works, one sentence with the remedy where it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Optional, Tuple

import aihwkit
import pytest
import torch

import aihwkit_dspt
from aihwkit_dspt import _installation
from aihwkit_dspt._installation import HOST_PAIRS
from aihwkit_dspt._origin import Origin

REASON = "Invalid weights dimensions: expected [3,2] tensor"
SDIST = "build aihwkit from its sdist"
AGAIN = "build it again against this torch"


def break_tiles(monkeypatch: pytest.MonkeyPatch, failure: str = "raises") -> None:
    """Let the probe fail as a binary for another torch does."""

    def broken(*_: Any) -> bool:
        if failure == "raises":
            raise RuntimeError(f"{REASON}.\nat rpu_base_tiles.cpp:80")
        return False

    monkeypatch.setattr(torch, "equal", broken)


def message(
    monkeypatch: pytest.MonkeyPatch, found: Optional[Tuple[str, Origin]], torch_version: str
) -> str:
    """Return the error of the check with another aihwkit and torch."""
    monkeypatch.setattr(_installation, "find_aihwkit", lambda: found)
    monkeypatch.setattr(torch, "__version__", torch_version)
    with pytest.raises(ImportError) as caught:
        _installation.check_host()
    return str(caught.value)


def test_probe_is_deterministic() -> None:
    """The probe never fails on a working pair, whatever devices are drawn."""
    for _ in range(300):
        _installation.probe()


@pytest.mark.parametrize(
    ("installed", "torch_version", "remedy"),
    [
        ("1.1.0", "2.9.1+cu128", "pip install 'aihwkit==1.1.*' 'torch==2.10.*', or keep"),
        ("1.1.0", "2.11.0", "pip install 'aihwkit==1.1.*' 'torch==2.10.*', or keep"),
        ("1.2.0", "2.10.0", "pip install 'aihwkit==1.2.*' 'torch>=2.13,<2.16', or keep"),
        ("1.2.0", "2.16.0a0+git1", "pip install 'aihwkit==1.2.*' 'torch>=2.13,<2.16', or keep"),
    ],
)
def test_wheel_on_another_torch(
    monkeypatch: pytest.MonkeyPatch, installed: str, torch_version: str, remedy: str
) -> None:
    """One sentence: a wheel, its own torch, or a build for this one."""
    break_tiles(monkeypatch)
    text = message(monkeypatch, (installed, Origin.WHEEL), torch_version)
    assert text.startswith(
        f"The wheel of aihwkit {installed} does not work with torch {torch_version}, "
        f"for which it was not built ({REASON}): "
    )
    assert remedy in text
    assert SDIST in text
    assert AGAIN not in text
    assert "\n" not in text


def test_damaged_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that fails on its own torch is not blamed on the version of torch."""
    break_tiles(monkeypatch)
    text = message(monkeypatch, ("1.1.0", Origin.WHEEL), "2.10.0+cpu")
    assert "although it was built for torch==2.10.*" in text
    assert "pip install 'aihwkit==1.1.*' 'torch==2.10.*' --force-reinstall" in text


@pytest.mark.parametrize("torch_version", ["2.6.0", "2.10.0"])
def test_broken_build(monkeypatch: pytest.MonkeyPatch, torch_version: str) -> None:
    """One sentence: self-built and broken, build it again; never another torch or a wheel."""
    break_tiles(monkeypatch)
    text = message(monkeypatch, ("1.1.0", Origin.SELF_BUILT), torch_version)
    assert text.startswith(
        f"The self-built aihwkit 1.1.0 is broken beside torch {torch_version} ({REASON}): {AGAIN}"
    )
    assert "torch==" not in text
    assert "\n" not in text


def test_broken_conda_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """What conda installed, conda mends."""
    break_tiles(monkeypatch)
    text = message(monkeypatch, ("1.1.0", Origin.CONDA), "2.10.0")
    assert text.startswith("Conda's build of aihwkit 1.1.0 is broken beside torch 2.10.0")
    assert "let conda install" in text


def test_wrong_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tile that reads other weights than were set is as broken as one that raises."""
    break_tiles(monkeypatch, "wrong weights")
    text = message(monkeypatch, ("1.1.0", Origin.SELF_BUILT), "2.10.0")
    assert "(a weight of 0.25 reads back as 0.25)" in text


def test_a_build_outside_the_pairs_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions decide nothing: what works is taken, whatever torch it is."""
    for origin in Origin:
        monkeypatch.setattr(_installation, "find_aihwkit", lambda origin=origin: ("1.2.0", origin))
        monkeypatch.setattr(torch, "__version__", "2.6.0")
        _installation.check_host()


PAGE = (Path(__file__).parents[1] / "docs" / "installation.md").read_text().replace("\\*", "*")


@pytest.mark.parametrize(
    ("origin", "torch_version"),
    [(Origin.WHEEL, "2.9.1"), (Origin.SELF_BUILT, "2.10.0"), (Origin.CONDA, "2.10.0")],
)
def test_the_page_explains_the_sentence(
    monkeypatch: pytest.MonkeyPatch, origin: Origin, torch_version: str
) -> None:
    """docs/installation.md quotes what a user gets to see."""
    monkeypatch.setattr(torch, "__version__", torch_version)
    sentence = _installation.failure("1.1.0", origin, RuntimeError("…"))
    assert f"\n> {sentence}\n" in PAGE


@pytest.mark.parametrize("version", [None, "0.9.2", "1.0.0", "1.3.0.dev1", "1.3.0"])
def test_no_aihwkit_that_can_work(monkeypatch: pytest.MonkeyPatch, version: Optional[str]) -> None:
    """None, or a series that the package is not written for: what to install, or to build."""
    for origin in Origin:
        text = message(monkeypatch, None if version is None else (version, origin), "2.10.0")
        assert text.startswith(
            f"aihwkit_dspt needs aihwkit==1.1.* or ==1.2.*, and {version or 'none'} is installed: "
        )
        assert all(pair.command in text for pair in HOST_PAIRS)
        assert SDIST in text


def test_import_with_a_broken_library(tmp_path: Path) -> None:
    """``import aihwkit_dspt`` itself says it, of a source tree whose library does not load."""
    package = tmp_path / "aihwkit"
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = '1.1.0'\n")
    (package / "simulator.py").write_text("raise ImportError('undefined symbol: _ZN2at')\n")
    folders = [str(tmp_path), str(Path(aihwkit_dspt.__file__).parents[1])]
    # The metadata of the aihwkit that is installed is out of sight, as beside a source tree.
    code = (
        "import sys, importlib.metadata as m; find = m.Distribution.from_name.__func__\n"
        "def from_name(cls, name):\n"
        "    if name == 'aihwkit': raise m.PackageNotFoundError(name)\n"
        "    return find(cls, name)\n"
        "m.Distribution.from_name = classmethod(from_name)\n"
        f"sys.path[:0] = {folders!r}\n"
        "import aihwkit_dspt\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: The self-built aihwkit 1.1.0 is broken beside torch ")
    assert "(undefined symbol: _ZN2at)" in last


def test_import_does_not_need_torchvision() -> None:
    """``import torchvision`` fails beside a CPU-only torch, so the package must not do it."""
    code = "import sys, aihwkit_dspt; sys.exit('torchvision' in sys.modules)"
    folder = Path(aihwkit_dspt.__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", code], cwd=folder, check=False)
    assert result.returncode == 0


def test_this_host() -> None:
    """The check finds the aihwkit that is imported here."""
    found = _installation.find_aihwkit()
    assert found is not None
    assert found[0] == aihwkit.__version__
