"""Compiled functions: kept on disk where that is possible, and as exact as NumPy."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Callable, Dict

import numba
import numpy as np
import pytest

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.line_kernels_cpu import transfer_lines


def test_functions_without_a_file_compile_too() -> None:
    """Where nothing can be kept on disk, the function is compiled in each process."""
    names: Dict[str, Any] = {}
    exec("def double(value):\n    return 2.0 * value", names)
    assert compiled(names["double"])(1.5) == 3.0


def test_machine_code_is_kept() -> None:
    """Later processes load what the first one compiled."""
    assert transfer_lines._cache.cache_path is not None  # type: ignore[attr-defined]


def test_no_fused_multiply_add() -> None:
    """A product is rounded before the sum, as NumPy does it."""

    def sums(a: Any, b: Any, c: Any, out: Any) -> None:
        for index in range(len(a)):
            out[index] = a[index] * b[index] + c[index]

    rng = np.random.default_rng(2)
    a, b, c = rng.standard_normal((3, 10_000)).astype(np.float32)
    out = np.empty_like(a)
    compiled(sums)(a, b, c, out)
    assert np.array_equal(out, a * b + c)


@pytest.fixture
def twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Return what compiles and calls a function as a new process would: its number of hits."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    source = tmp_path / "twice.py"
    source.write_text("def twice(values):\n    return 2.0 * values\n")

    def call() -> int:
        found = spec_from_file_location("twice", source)
        assert found is not None
        assert found.loader is not None
        module = module_from_spec(found)
        found.loader.exec_module(module)
        function: Any = compiled(module.twice)
        assert function(np.arange(3.0)).tolist() == [0.0, 2.0, 4.0]
        return len(function._cache_hits)

    return call


@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_damaged_files_are_made_anew(
    twice: Callable[[], int], tmp_path: Path, pattern: str, share: float
) -> None:
    """Truncated indices and code (a full disk, a killed process) cost a compilation, no more."""
    assert twice() == 0
    assert twice() == 1
    (file,) = (tmp_path / "cache").rglob(pattern)
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.warns(RuntimeWarning, match="Numba cannot read its files"):
        assert twice() == 0
    twice()
    assert twice() == 1


def test_disk_without_space() -> None:
    """What cannot be written is left out: the function works, and a warning says why."""

    def twice(values: Any) -> Any:
        return 2.0 * values

    function: Any = compiled(twice)
    function._cache._impl = None  # any error: this attribute is needed to write
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        assert function(np.arange(2.0)).tolist() == [0.0, 2.0]
