"""The estimator: eq. (12), its frequency response (Lemma 3.10), syncs and counters."""

from __future__ import annotations

import math

import pytest
import torch

from aihwkit_dspt.stages.estimators import SymmetricPointEstimator

ALL = slice(0, 1)


def estimator(eta: float, in_size: int = 1, out_size: int = 1) -> SymmetricPointEstimator:
    """Return an estimator in double precision."""
    return SymmetricPointEstimator(in_size, out_size, eta, torch.float64)


def test_equation_12() -> None:
    """``Q <- (1-eta) Q + eta P`` on the given lines only; the reference stays."""
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
    assert not stage.reference.any()


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


def test_sync_and_counters() -> None:
    """A sync sets the given cells, counts one event and its cells."""
    stage = estimator(0.5, 3, 2)
    values = torch.randn(1, 2, dtype=torch.float64)
    stage.sync(slice(1, 2), values)
    assert torch.equal(stage.reference[1:2], values)
    assert not stage.reference[[0, 2]].any()
    stage.sync((slice(0, 3), [1]), torch.full((3, 1), 7.0, dtype=torch.float64))
    assert torch.equal(stage.reference[:, 1], torch.full((3,), 7.0, dtype=torch.float64))
    assert stage.reference[1, 0] == values[0, 0]
    assert (stage.n_syncs, stage.n_synced_cells) == (2, 5)
    other = estimator(0.5, 3, 2)
    other.load_state_dict(stage.state_dict())
    assert (other.n_syncs, other.n_synced_cells) == (2, 5)
    assert torch.equal(other.reference, stage.reference)
