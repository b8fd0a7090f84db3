"""The estimators: eq. (12), its frequency response (Lemma 3.10), the running mean."""

from __future__ import annotations

import math
from typing import List

import pytest
import torch

from aihwkit_dspt.stages.estimator import SymmetricPointEstimator
from aihwkit_dspt.stages.estimators import ESTIMATORS, LowPassFilter, RunningMean
from tests.helpers import quiet_tile
from tests.table import METHODS

ALL = slice(0, 1)


def estimator(eta: float, in_size: int = 1, out_size: int = 1) -> LowPassFilter:
    """Return an estimator in double precision."""
    return LowPassFilter(in_size, out_size, eta, torch.float64)


def test_equation_12() -> None:
    """``Q <- (1-eta) Q + eta P`` on the given lines only."""
    stage = estimator(0.3, 4, 2)
    expected = torch.zeros(4, 2, dtype=torch.float64)
    for index in range(20):
        lines = slice(index % 3, index % 3 + 2)
        read = torch.randn(2, 2, dtype=torch.float64)
        before = read.clone()
        stage.update(lines, read)
        expected[lines] = 0.7 * expected[lines] + 0.3 * read
        assert torch.allclose(stage.sp_estimate, expected, atol=1e-14)
        assert torch.equal(read, before)


@pytest.mark.parametrize("eta", [0.05, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("omega", [0.0, 0.1, 0.7, 2.0, math.pi])
def test_lemma_3_10(eta: float, omega: float) -> None:
    """The gain for a sinusoid is ``|H|^2 = eta^2 / (1 + (1-eta)^2 - 2(1-eta) cos w)``.

    After the transient (``(1-eta)^1000 < 1e-22``) the output of a linear filter is a sinusoid of
    the same frequency; sine and cosine are fed to two cells, so the sum of squares is the gain.
    """
    stage = estimator(eta, 1, 2)
    for n in range(1100):
        phase = torch.tensor([[math.cos(omega * n), math.sin(omega * n)]], dtype=torch.float64)
        stage.update(ALL, phase)
        if n > 1000:
            expected = eta**2 / (1 + (1 - eta) ** 2 - 2 * (1 - eta) * math.cos(omega))
            assert stage.sp_estimate.square().sum().item() == pytest.approx(expected, rel=1e-9)


def test_chopped_gradient_is_rejected() -> None:
    """Regular chopping with period n leaves of a constant gradient what the filter passes."""
    eta, half = 0.05, 2
    stage, plain = estimator(eta), estimator(eta)
    peak = 0.0
    for n in range(2000):
        sign = 1.0 if (n // half) % 2 == 0 else -1.0
        stage.update(ALL, torch.full((1, 1), 0.2 + sign, dtype=torch.float64))
        plain.update(ALL, torch.full((1, 1), 0.2 + 1.0, dtype=torch.float64))
        peak = max(peak, abs(stage.sp_estimate.item() - 0.2)) if n > 1000 else 0.0
    # The square wave of period 4 is a sinusoid of amplitude sqrt(2) at pi/2, sampled.
    gain = eta / math.sqrt(1 + (1 - eta) ** 2)
    assert peak <= math.sqrt(2.0) * gain + 1e-9
    assert plain.sp_estimate.item() == pytest.approx(1.2, abs=1e-9)


@pytest.mark.parametrize("eta", [1e-9, 0.1, 1.0])
def test_running_mean(eta: float) -> None:
    """``eta_k = max(1/k, eta)`` for the k-th read of each line: the mean, then the filter."""
    stage = RunningMean(3, 2, eta, torch.float64)
    reads: List[List[torch.Tensor]] = [[], [], []]
    expected = torch.zeros(3, 2, dtype=torch.float64)
    for index in range(60):
        lines = slice(index % 2, index % 2 + 2 - index % 3 // 2)
        read = torch.randn(lines.stop - lines.start, 2, dtype=torch.float64)
        stage.update(lines, read)
        for line, row in zip(range(lines.start, lines.stop), read):
            reads[line].append(row)
            gain = max(1.0 / len(reads[line]), eta)
            expected[line] += gain * (row - expected[line])
        assert torch.allclose(stage.sp_estimate, expected, atol=1e-14)
    assert stage.n_reads.tolist() == list(map(len, reads))
    if eta < 0.001:
        for row, of_line in zip(stage.sp_estimate, reads):
            assert torch.allclose(row, torch.stack(of_line).mean(0), atol=1e-14)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_state_and_type(name: str) -> None:
    """A state dict holds all that an estimate goes on from; the base class estimates nothing."""
    first, second = (ESTIMATORS[name](3, 2, 0.2, torch.float64) for _ in range(2))
    reads = torch.randn(8, 3, 2, dtype=torch.float64)
    for read in reads[:4]:
        first.update(slice(0, 3), read)
    second.load_state_dict(first.state_dict())
    for read in reads[4:]:
        for stage in (first, second):
            stage.update(slice(0, 3), read)
    assert torch.equal(first.sp_estimate, second.sp_estimate)
    with pytest.raises(TypeError):
        SymmetricPointEstimator(3, 2, 0.2, torch.float64)


@pytest.mark.parametrize("n_before", [0, 100])
@pytest.mark.parametrize("how", ["set_reference", "calibrate"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_calibrated_points_are_kept(name: str, how: str, n_before: int) -> None:
    """As by the filter: a read moves the estimate by ``eta`` of the distance at most, in all cells.

    The reads are those of an array that was moved away after the calibration.
    """
    eta = 0.125
    tile = quiet_tile(**{**METHODS["E-RIDER"], "estimator": ESTIMATORS[name], "eta": eta})
    estimator = tile.tile.pipeline.link.estimator
    in_size, out_size = estimator.sp_estimate.shape
    for _ in range(n_before):
        estimator.update(slice(0, in_size), torch.randn(in_size, out_size))
    points = torch.linspace(-0.3, 0.3, in_size * out_size).view(out_size, in_size)
    getattr(tile.tile, how)(points)
    assert torch.equal(tile.sp_estimate, points)
    assert torch.equal(tile.reference, points)
    assert tile.sp_known.all()
    previous = estimator.sp_estimate.clone()
    for _ in range(20):
        read = previous + torch.rand(in_size, out_size)
        estimator.update(slice(0, in_size), read)
        share = (estimator.sp_estimate - previous) / (read - previous)
        assert share.min() > 0.0
        assert share.max() <= eta * (1.0 + 1e-3)
        previous = estimator.sp_estimate.clone()
