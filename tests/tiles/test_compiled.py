"""Compiled functions: kept on disk where that is possible, and as exact as NumPy."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np

from aihwkit_dspt.tiles.compiled import compiled
from aihwkit_dspt.tiles.line_kernel import transfer_lines


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
