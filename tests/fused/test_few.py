"""The loops over few vectors, which take four rows and two vectors at once."""

from __future__ import annotations

import pytest
import torch
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt.fused.few_cpu import NumbaFew
from aihwkit_dspt.fused.read_kernels_cpu import multiply_few
from aihwkit_dspt.reads.law import ReadLaw
from aihwkit_dspt.reads.product import PlainProduct


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("d_size", [1, 2, 3, 4, 5, 7, 8])
@pytest.mark.parametrize("n_vectors", [1, 2, 3, 6])
def test_all_sizes(n_vectors: int, d_size: int, backward: bool) -> None:
    """The last rows and vectors are complete, too."""
    torch.manual_seed(7)
    law = ReadLaw.of(IOParameters(inp_res=-1.0, out_res=-1.0, out_bound=-1.0), backward)
    few, plain = NumbaFew(law, backward), PlainProduct(law)
    for x_size in (1, 2, 9, 33):
        weights = 0.5 * torch.randn(d_size, x_size)
        matrix = weights if backward else weights.t()
        vectors = torch.randn(n_vectors, len(matrix))
        outputs = []
        for product in (few, plain):
            torch.manual_seed(6)
            outputs.append(product(matrix, vectors))
        torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("by_columns", [False, True])
def test_what_memory_held_does_not_matter(by_columns: bool) -> None:
    """Without noise the outputs start from zero, not from what lies in new memory."""
    weights = torch.randn(6, 5)
    inputs = torch.randn(4, 5 if by_columns else 6)
    output = torch.full((4, 6 if by_columns else 5), torch.nan)
    multiply_few(inputs.numpy(), weights.numpy(), by_columns, output.numpy(), 1.0, 0.0)
    torch.testing.assert_close(output, inputs @ (weights.t() if by_columns else weights))
