"""Where the fused forms are tried: forms for a GPU by Triton's interpreter if there is none."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Type

import pytest

from aihwkit_dspt.fused.form import FusedForm
from tests.gpu.device import HAS_GPU


def device_for(kind: Type[FusedForm], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the device for a form, whose kernels run there, in several programs for a line."""
    if kind.DEVICE == "cpu":
        return "cpu"
    assert kind.DEVICE == "cuda", f"how is {kind.__name__} tried?"
    pytest.importorskip("triton")
    from aihwkit_dspt.fused.gpu import converter_kernels, line_kernels, product_kernel

    kernels = SimpleNamespace(
        lines=line_kernels, converters=converter_kernels, product=product_kernel
    )
    monkeypatch.setattr(sys.modules[kind.__module__], "gpu_kernels", lambda: kernels)
    for module in (line_kernels, converter_kernels):
        monkeypatch.setattr(module, "CELLS", 16)
    return "cuda" if HAS_GPU else "cpu"
