"""The noise of large products has the law of normal numbers that are independent."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from aihwkit_dspt.fused.noise_cpu import draw_normal

COUNT = 400_000


def drawn(seed: int, count: int = COUNT) -> Tensor:
    """Return numbers with a seed of torch."""
    torch.manual_seed(seed)
    output = torch.empty(count)
    draw_normal(output)
    return output


def test_their_distribution_is_normal() -> None:
    """Moments within five standard errors, and the Kolmogorov-Smirnov distance of chance 1e-6.

    The table of normal numbers has 8,192 entries, which costs 6e-5 of that distance and a
    hundredth of the fourth moment.
    """
    numbers = drawn(1).double()
    assert abs(numbers.mean()) < 5.0 / COUNT**0.5
    assert abs(numbers.var() - 1.0) < 5.0 * (2.0 / COUNT) ** 0.5
    assert abs((numbers**3).mean()) < 5.0 * (15.0 / COUNT) ** 0.5
    assert abs((numbers**4).mean() - 3.0) < 5.0 * (96.0 / COUNT) ** 0.5 + 0.01
    assert kstest(numbers.numpy(), "norm").statistic < 2.69 / COUNT**0.5


def test_numbers_beside_each_other_are_independent() -> None:
    """Four come from the same bits: values and squares correlate at no lag, nor with other seeds.

    Within five standard errors.
    """
    numbers = drawn(2).double()
    squares = (numbers**2 - 1.0) / 2.0**0.5
    for values in (numbers, squares):
        for lag in (*range(1, 9), 64, 128):
            assert abs((values[lag:] * values[:-lag]).mean()) < 5.0 / COUNT**0.5
    assert abs((numbers * drawn(3)).mean()) < 5.0 / COUNT**0.5


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 45])
def test_a_seed_fixes_all_of_them(count: int) -> None:
    """Whatever their number is; none is left as it was, and the next call has others."""
    output = torch.full((count,), torch.nan)
    torch.manual_seed(4)
    draw_normal(output)
    assert output.isfinite().all()
    assert len(output.unique()) == count
    assert torch.equal(drawn(4, count), output)
    first = output.clone()
    draw_normal(output)
    assert count == 0 or not torch.equal(first, output)
