"""Whether two ways to send pulses have the same distribution."""

from __future__ import annotations

from itertools import product
from typing import Any, Callable, Iterator, List, Sequence

import pytest
import torch
from aihwkit.simulator.parameters.training import UpdateParameters
from scipy.stats import ks_2samp
from torch import Tensor

from aihwkit_dspt.pulses.batched import BatchedPulses
from aihwkit_dspt.tiles.crossbar import Crossbar
from tests.device_table import NOISY

D_SIZE, X_SIZE = 3, 4
N_SAMPLES = 800


def noisy_cases(ways: Sequence[str], places: Sequence[Any]) -> Iterator[Any]:
    """Yield every device with all ways and both places.

    In the usual run each device meets each way and both places, and each way both places; the other
    half is for the slow run.
    """
    for name, way, place in product(NOISY, ways, places):
        number = list(NOISY).index(name) + ways.index(way) + places.index(place)
        yield pytest.param(name, way, place, marks=[pytest.mark.slow] if number % 2 else [])


def arrays(device: Any, update: UpdateParameters, x_size: int = X_SIZE) -> List[Crossbar]:
    """Return two arrays with the same cells, of which the second has batched pulses."""
    first, second = (Crossbar(x_size, D_SIZE, device, update=update) for _ in range(2))
    second.set_hidden_parameters(first.hidden_parameters())
    second.granularity = first.granularity
    second.set_pulse_granularity(first.granularity)
    second.batched = BatchedPulses(second, update, True)
    return [first, second]


def samples(array: Crossbar, start: Tensor, send: Callable[[Crossbar], None]) -> Tensor:
    """Return ``[n, cells]`` weights after the same pulses from the same start."""
    found = []
    for _ in range(N_SAMPLES):
        array.place(start)
        send(array)
        found.append(array.weights.flatten().clone())
    return torch.stack(found)


def correlations(of: Tensor) -> Tensor:
    """Return the correlations of all pairs of cells that share a line, 0 where nothing varies."""
    spread = of.std(0)
    whitened = torch.where(spread > 2e-5, (of - of.mean(0)) / spread.clamp(min=1e-9), 0.0)
    matrix = whitened.t() @ whitened / len(of)
    cells = list(product(range(D_SIZE), range(X_SIZE)))
    pairs = [
        matrix[i, j]
        for i, a in enumerate(cells)
        for j, b in enumerate(cells)
        if i < j and (a[0] == b[0] or a[1] == b[1])
    ]
    return torch.stack(pairs)


def same_law(found: Tensor, wanted: Tensor, start: Tensor, is_dense: bool) -> bool:
    """Return whether two samples have the same distribution in every cell, as far as they tell.

    How often a cell moves at all, within 5.5 standard errors (there are some 10^3 cells, and
    aihwkit's pulses are seeded by the clock). For cells that move in 5 % of the samples or more:
    the mean within 5.5 standard errors, and the distribution within the Kolmogorov-Smirnov distance
    of a probability of 1e-6. Their spread over all cells within 6 % where each takes many pulses:
    12 cells of 800 samples have a standard error of 1.0 %; seldom jumps have too large fourth
    moments. Correlations of the 30 pairs of cells that share a line within 0.3,
    5.9 standard errors, each, and in their mean within 0.05.
    """
    n_samples = len(found)
    shares = [((of - start.flatten()).abs() > 2e-5).float().mean(0) for of in (found, wanted)]
    share = (shares[0] + shares[1]) / 2
    error = (2.0 * share * (1.0 - share) / n_samples).sqrt()
    if ((shares[0] - shares[1]).abs() > 5.5 * error + 0.005).any():
        return False
    moves = (share > 0.05) & (wanted.std(0) > 2e-5)
    if not moves.any():
        return True
    # Sums of the same steps differ in their rounding.
    found, wanted = ((1e6 * of[:, moves]).round() for of in (found, wanted))
    error = ((found.var(0) + wanted.var(0)) / n_samples).sqrt()
    if ((found.mean(0) - wanted.mean(0)).abs() > 5.5 * error).any():
        return False
    distances = [ks_2samp(*pair, method="asymp").statistic for pair in zip(found.t(), wanted.t())]
    if max(distances) > 2.69 * (2.0 / n_samples) ** 0.5:
        return False
    ratio = (found.std(0) / wanted.std(0)).log().mean().exp()
    return not is_dense or bool(abs(ratio - 1.0) < 0.06)


def same_correlations(found: Tensor, wanted: Tensor) -> bool:
    """Return whether pairs of cells that share a line correlate alike, see :func:`same_law`."""
    apart = correlations(found) - correlations(wanted)
    return bool(apart.abs().max() < 0.3 and apart.mean().abs() < 0.05)
