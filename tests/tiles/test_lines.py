"""Pulses on lines touch those that they should, and nothing else."""

from __future__ import annotations

import pytest
import torch

from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.lines import LineAccess
from tests.helpers import deterministic, perfect, quiet_device

SLICES = [slice(0, 1), slice(3, 4), slice(4, 5), slice(0, 5), slice(1, 4)]


def array(x_size: int, d_size: int) -> Crossbar:
    """Return an array at random weights without any randomness."""
    crossbar = Crossbar(
        x_size, d_size, quiet_device(up_down=0.0), perfect(), perfect(), deterministic(1)
    )
    crossbar.program(torch.empty(d_size, x_size).uniform_(-0.3, 0.3))
    return crossbar


@pytest.mark.parametrize("most", [256, 2])
@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize("lines", SLICES, ids=str)
def test_pulse(lines: slice, columns: bool, most: int) -> None:
    """Columns or rows, single or several, in one call or split into parts.

    A soft-bounds pulse up moves by ``dw_min * (1 - w/w_max)``, down by ``dw_min * (1 + w/w_max)``.
    """
    in_size, out_size = 5, 3
    crossbar = array(*((in_size, out_size) if columns else (out_size, in_size)))
    access = LineAccess(in_size, columns, most)
    view = crossbar.weights.t() if columns else crossbar.weights

    before = view.clone()
    values = torch.tensor([1.0, 0.0, -1.0]).roll(lines.start).expand(lines.stop - lines.start, 3)
    copy = values.clone()
    access.pulse(crossbar, lines, values, crossbar.granularity)
    expected = before.clone()
    expected[lines] += values * 0.01 * (1.0 - values * before[lines] / 0.6)
    assert torch.allclose(view, expected, atol=1e-7)
    assert torch.equal(values, copy)
    untouched = [line for line in range(in_size) if not lines.start <= line < lines.stop]
    assert torch.equal(view[untouched], before[untouched])


def test_one_hot() -> None:
    """Every line gives its row of the identity, contiguous."""
    access = LineAccess(5, True)
    for lines in [*SLICES, *(slice(i, i + 1) for i in range(5))]:
        vectors = access.one_hot(lines, torch.zeros(1))
        assert torch.equal(vectors, torch.eye(5)[lines])
        assert vectors.is_contiguous()
