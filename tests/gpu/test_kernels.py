"""The Triton kernels of lines against the torch operations that they replace, bit by bit.

Without a GPU Triton's interpreter runs them on the CPU.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, Dict

import pytest
import torch
from torch import Tensor

from aihwkit_dspt.reads.one_hot import LineLaw
from tests.fused.transfers import IN_SIZE, OUT_SIZE, same
from tests.gpu.device import HAS_GPU

triton = pytest.importorskip("triton")

from aihwkit_dspt.fused.gpu import line_kernels  # noqa: E402

DEVICE = "cuda" if HAS_GPU else "cpu"


@pytest.fixture(autouse=True)
def small_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a line several programs."""
    monkeypatch.setattr(line_kernels, "CELLS", 16)


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize("rounds", [True, False])
def test_read(columns: bool, rounds: bool) -> None:
    """Gain, rounding to even, limits and unit, for lines that are columns or rows."""
    torch.manual_seed(1)
    law = LineLaw(gain=3.5, noise=0.0, rounds=rounds, bound=4.0, factor=0.3)
    array = torch.randn(5, OUT_SIZE, device=DEVICE)
    array[2, :4] = torch.tensor([0.5, 1.5, -0.5, torch.nan]) / law.gain
    for lines in (slice(0, 1), slice(2, 3), slice(1, 4), slice(0, 5)):
        found = torch.empty(lines.stop - lines.start, OUT_SIZE, device=DEVICE)
        expected = array[lines] * law.gain
        expected = expected.round() if rounds else expected
        expected = expected.clamp(-law.bound, law.bound) * law.factor
        laid_out = array.t().contiguous().t() if columns else array
        line_kernels.read_lines(laid_out, lines.start, found, law)
        assert same(found, expected)


def test_noise_of_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Normal numbers of the right size that torch's seed fixes; each read has its own."""
    monkeypatch.setattr(line_kernels, "CELLS", 1024)
    law = LineLaw(gain=2.0, noise=0.5, rounds=False, bound=100.0, factor=1.0)
    array, reads = torch.zeros(2, 4000, device=DEVICE), torch.empty(2, 2, 2, 4000, device=DEVICE)
    for again in range(2):
        torch.manual_seed(2)
        for read in reads[again]:
            line_kernels.read_lines(array, 0, read, law)
    assert torch.equal(reads[0], reads[1])
    (one, next_line), (other, _) = reads[0].cpu()
    assert abs((one * next_line).mean().item()) < 0.08 * law.noise**2
    # 4000 numbers: standard errors of 0.008 for mean and correlation, 1 % for the spread.
    for read in (one, other):
        assert abs(read.mean().item()) < 0.04
        assert abs(read.std().item() / law.noise - 1.0) < 0.06
    assert abs((one * other).mean().item()) < 0.08 * law.noise**2


@pytest.mark.parametrize("columns", [True, False])
def test_store(columns: bool) -> None:
    """One line, several and all, for lines that are columns or rows."""
    torch.manual_seed(3)

    def laid_out() -> Tensor:
        values = torch.randn(IN_SIZE, OUT_SIZE, device=DEVICE)
        return values if columns else values.t().contiguous().t()

    stored, slow, reference = laid_out(), laid_out(), torch.randn(IN_SIZE, OUT_SIZE, device=DEVICE)
    in_sign, out_sign = (torch.randn(n, device=DEVICE).sign() for n in (IN_SIZE, OUT_SIZE))
    signs: Dict[str, Any] = {"in_sign": in_sign, "out_sign": out_sign}
    for lines in (slice(3, 4), slice(1, 5), slice(0, IN_SIZE)):
        expected = stored.clone()
        factor = in_sign[lines].unsqueeze(1) * out_sign * 0.3
        expected[lines] = slow[lines] - reference[lines] * factor
        line_kernels.store_lines(stored, slow, reference, **signs, lines=lines, gamma=0.3)
        assert torch.equal(stored, expected)


COMPILE = """
from triton import compile
from aihwkit_dspt.fused.gpu.launch import EXACT, Kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from aihwkit_dspt.fused.gpu import converter_kernels, line_kernels, product_kernel
OPTIONS = {"CELLS": 512, "ROWS": 16, "COLS": 32, "INNER": 64}
INTEGERS = ("seed", "line", "first", "size", "line_stride", "cell_stride", "n_vectors",
            "in_size", "out_size", "in_stride", "out_stride", "n_blocks", "number")
NUMBERS = ("gain", "noise", "bound", "factor", "scale", "max_steps", "momentum", "written_share",
           "capacity", "old_share", "new_share", "gamma", "threshold", "step", "limit", "unit",
           "largest_factor", "in_bound", "out_bound")
for module in (line_kernels, converter_kernels, product_kernel):
    for name in [name for name, value in vars(module).items() if isinstance(value, Kernel)]:
        kernel = getattr(module, name).function
        for value in (True, False):
            constants = {n: OPTIONS.get(n, value) for n in kernel.arg_names if n.isupper()}
            signature = {
                n: "constexpr" if n in constants
                else "i32" if n in INTEGERS
                else "fp32" if n in NUMBERS
                else {"count": "*fp64", "taken": "*i32"}.get(n, "*fp32")
                for n in kernel.arg_names
            }
            source = ASTSource(kernel, signature, constants)
            code = compile(source, target=GPUTarget("cuda", 90, 32), options=EXACT)
            print(name)
"""


def test_kernels_compile() -> None:
    """For a GPU, on a machine without one."""
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    command = [sys.executable, "-c", COMPILE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) == 12
