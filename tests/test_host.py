"""The check of the host pair: silent where it works, one clear error where it does not."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch

from aihwkit_dspt import _host


def test_probe_is_deterministic() -> None:
    """The probe never fails on a working pair, whatever devices are drawn."""
    for _ in range(300):
        _host._probe()


@pytest.mark.parametrize("failure", ["raises", "wrong weights"])
def test_broken_pair(monkeypatch: pytest.MonkeyPatch, failure: str) -> None:
    """A pair whose tile fails raises ImportError with the installed and the needed versions."""

    def broken(*_: Any) -> bool:
        if failure == "raises":
            raise RuntimeError("Invalid weights dimensions: expected [3,2] tensor")
        return False

    monkeypatch.setattr(torch, "equal", broken)
    with pytest.raises(ImportError) as caught:
        _host.check_host()
    message = str(caught.value)
    assert f"torch {torch.__version__}" in message
    assert "aihwkit==1.1.*" in message
    assert "torch==2.10.*" in message
    assert "aihwkit==1.2.*" in message
    assert "torch>=2.13,<2.16" in message
    assert ("Invalid weights" in message) == (failure == "raises")


def test_missing_and_old_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing or too old aihwkit is named as such."""

    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_host, "version", missing)
    with pytest.raises(ImportError, match="not installed"):
        _host.check_host()
    monkeypatch.setattr(_host, "version", lambda name: "0.9.2")
    with pytest.raises(ImportError, match=r"aihwkit 0\.9\.2 .* too old"):
        _host.check_host()


def test_import_does_not_need_torchvision() -> None:
    """``import torchvision`` fails beside a CPU-only torch, so the package must not do it."""
    code = "import sys, aihwkit_dspt; sys.exit('torchvision' in sys.modules)"
    folder = Path(_host.__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", code], cwd=folder, check=False)
    assert result.returncode == 0


def test_dependencies_match_the_pairs() -> None:
    """pyproject.toml asks for the pairs that the error message names."""
    project = (Path(_host.__file__).parents[1] / "pyproject.toml").read_text()
    for _, install in _host.HOST_PAIRS.values():
        for requirement in install.split():
            assert f'"{requirement};' in project
