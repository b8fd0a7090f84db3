"""Measured spectra of P and Q against Lemma 3.10."""

from __future__ import annotations

import cmath
import math
from typing import Any, Dict

import pytest
import torch
from aihwkit.exceptions import ArgumentError
from torch import Tensor

from aihwkit_dspt import RecordedReads, filter_response, filter_spectra
from aihwkit_dspt.monitor.spectrum import FilterSpectra
from tests.monitor.drive import CHOPPED, ETA, SETTINGS, noisy_training, play

SEGMENT = 128
BINS = (6, 18, 34, 58)
"""Frequencies of the sinusoids, in periods per segment; they are 0.29, 0.88, 1.67 and 2.85."""

SKIP = 80
"""Reads until a start is forgotten: 0.8^80 = 2e-8."""


def sinusoids(n_reads: int, out_size: int = 3, in_size: int = 2) -> Tensor:
    """Return weights that swing with all four frequencies, each cell with phases of its own."""
    time = torch.arange(n_reads).view(-1, 1, 1)
    swings = [
        0.1
        * torch.sin(2 * math.pi * k / SEGMENT * time + torch.rand(out_size, in_size) * 2 * math.pi)
        for k in BINS
    ]
    return torch.stack(swings).sum(0)


def recorded(fast: Tensor, estimate: Tensor, eta: float = ETA) -> RecordedReads:
    """Return made-up reads ``[n_reads, n_lines]``, one cell per line."""
    n_lines = fast.shape[1]
    reads = RecordedReads(range(n_lines), eta)
    for p, q in zip(fast[..., None], estimate[..., None]):
        reads.add(slice(0, n_lines), fast=p, estimate=q, chopper=torch.ones_like(p))
    return reads


@pytest.mark.parametrize("eta", [0.05, 0.5, 1.0])
def test_response(eta: float) -> None:
    """The lemma is the squared modulus of the filter's transfer function."""
    omega = [0.0, 0.3, 1.0, 2.5, math.pi]
    expected = [abs(eta / (1 - (1 - eta) * cmath.exp(-1j * w))) ** 2 for w in omega]
    assert filter_response(eta, omega).tolist() == pytest.approx(expected, rel=1e-12)
    assert filter_response(eta, 0.0) == pytest.approx(1.0)


@pytest.mark.parametrize("method", SETTINGS)
def test_sinusoids_through_a_tile(method: str) -> None:
    """Four frequencies, read line by line by a tile, without choppers and with them.

    Q filters what is read, whatever the signs. Sinusoids with whole periods in a segment do not
    leak, so nothing but single precision is between measurement and lemma.
    """
    reads = play(sinusoids(SKIP + 3 * SEGMENT), **SETTINGS[method])
    spectra = filter_spectra(reads, SEGMENT, SKIP)
    index = torch.tensor(BINS) - 1
    assert torch.allclose(spectra.omega[index], 2 * math.pi / SEGMENT * torch.tensor(BINS).double())
    measured = spectra.attenuation[index]
    assert torch.allclose(measured, spectra.expected[index], rtol=1e-4)
    assert measured.max() / measured.min() > 20.0
    # The Hann window has three lines, of which the middle one has two thirds of the power.
    assert torch.allclose(spectra.fast[index], torch.tensor(0.1**2 / 2 * 2 / 3).double(), rtol=1e-3)


@pytest.mark.parametrize("method", SETTINGS)
def test_sinusoids_in_read_noise(method: str) -> None:
    """The same four with noisy reads: within five standard errors (false alarm 2e-6)."""
    reads = play(sinusoids(SKIP + 3 * SEGMENT, 12, 4), noise=0.1, **SETTINGS[method])
    spectra = filter_spectra(reads, SEGMENT, SKIP)
    index = torch.tensor(BINS) - 1
    errors = spectra.attenuation_error[index]
    assert bool(((spectra.attenuation - spectra.expected)[index].abs() < 5.0 * errors).all())
    # The errors are there, and small enough to tell the lemma from another one.
    relative = errors / spectra.expected[index]
    assert float(relative.min()) > 1e-4
    assert float(relative.max()) < 0.03


@pytest.mark.parametrize("method", ["RIDER", "E-RIDER", "E-RIDER-random"])
def test_real_training(method: str) -> None:
    """Stochastic pulses, noisy reads: four frequencies away from the chopper's pi/4 and 3 pi/4.

    Five standard errors and 0.5 %. In twelve trainings each the mean deviations were below 1.2
    standard errors, largest (4.1) at the lowest frequency, where the response bends most within
    the resolution of a segment of 512 reads.
    """
    spectra = filter_spectra(noisy_training(2600, SETTINGS[method]), 512, SKIP)
    index = [(spectra.omega - omega).abs().argmin().item() for omega in (0.4, 1.2, 1.8, 2.9)]
    errors = spectra.attenuation_error[index]
    deviations = (spectra.attenuation - spectra.expected)[index].abs()
    assert bool((deviations < 5.0 * errors + 0.005 * spectra.expected[index]).all())
    assert float((errors / spectra.expected[index]).max()) < 0.03
    assert spectra.expected[index].max() / spectra.expected[index].min() > 15.0


def test_chopping_moves_the_gradient_out_of_the_way() -> None:
    """A constant gradient drags P off the symmetric point, and Q with it, unless it is chopped.

    Chopped with period 8 it is a line of P at pi/4, far above what is around, which the filter
    attenuates by what the lemma says there. (A line with whole periods in a segment does not leak;
    3 % is far more than the noise below it adds.)
    """
    point = 0.6 * (1.0 - 0.8) / (1.0 + 0.8)  # of the helpers' device
    offsets = {}
    for method in ("RIDER", "E-RIDER"):
        reads = noisy_training(800, SETTINGS[method], spread=0.0)
        # The first half is the way to the point; the second is whole chopper periods.
        offsets[method] = [x[400:].mean().item() - point for x in (reads.fast, reads.estimate)]
    assert max(offsets["RIDER"]) < -0.2
    assert max(map(abs, offsets["E-RIDER"])) < 0.02
    spectra = filter_spectra(reads, 128, 400)
    assert spectra.chop_omega == pytest.approx(math.pi / 4)
    line = 15
    assert spectra.omega[line] == pytest.approx(math.pi / 4)
    assert float(spectra.fast[line] / spectra.fast.median()) > 20.0
    assert float(spectra.attenuation[line]) == pytest.approx(
        float(filter_response(ETA, math.pi / 4)), rel=0.03
    )


def test_power_adds_up_to_the_variance() -> None:
    """White noise: the spectrum is flat and its sum the variance within a segment."""
    noise = 0.3 * torch.randn(4096, 10)
    spectra = filter_spectra(recorded(noise, noise), 64)
    # 40960 numbers: the variance is known to 0.7 %; the mean of a segment takes 1/64 away.
    assert float(spectra.fast.sum()) == pytest.approx(0.09, rel=0.05)
    # Inside, each of 31 frequencies has twice the power of the last one.
    inside = spectra.fast[1:-2]
    assert float(inside.mean() / spectra.fast[-1]) == pytest.approx(2.0, rel=0.1)
    assert torch.allclose(spectra.attenuation, torch.ones_like(spectra.omega))


def test_standard_error_is_honest() -> None:
    """Q unrelated to P: the ratio of many spectra scatters as the standard error says."""
    deviations = []
    for _ in range(5):
        fast, estimate = torch.randn(1024, 8), 0.5 * torch.randn(1024, 8)
        spectra = filter_spectra(recorded(fast, estimate), 64)
        z = (spectra.attenuation - 0.25) / spectra.attenuation_error
        deviations.append(z[1::2])  # neighbours share what leaks
    # 80 numbers, slightly skewed, of deviation 1: known to 8 %.
    assert float(torch.cat(deviations).std()) == pytest.approx(1.0, abs=0.35)


def test_default_segment() -> None:
    """A quarter of the reads, in whole periods of the chopper (8) if there is one."""
    fast = 0.1 * torch.randn(134, 3, 2)
    chopped = filter_spectra(play(fast, **CHOPPED))
    assert len(chopped.omega) == 32 // 2
    assert len(filter_spectra(play(fast, **SETTINGS["RIDER"])).omega) == 33 // 2
    few = filter_spectra(recorded(fast[:32, 0], fast[:32, 1]))
    assert len(few.omega) == 4


def test_single_sample_has_no_error() -> None:
    noise = torch.randn(64, 1)
    assert bool(filter_spectra(recorded(noise, noise), 64).attenuation_error.isnan().all())
    assert not bool(filter_spectra(recorded(noise, noise), 32).attenuation_error.isnan().any())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"segment": 7}, "segment=7"),
        ({"segment": 65}, "from 8 to 64"),
        ({"segment": 40, "skip": 30}, "34 reads after skip=30"),
        ({"skip": 64}, "0 to 63"),
        ({"skip": -1}, "skip=-1"),
        ({"skip": 40}, "a quarter of the reads is 6"),
    ],
)
def test_bad_settings(settings: Dict[str, Any], message: str) -> None:
    noise = torch.randn(64, 2)
    with pytest.raises(ArgumentError, match=message):
        filter_spectra(recorded(noise, noise), **settings)


@pytest.mark.parametrize("eta", [0.0, -0.1, 1.5, math.nan])
def test_bad_eta(eta: float) -> None:
    with pytest.raises(ArgumentError, match=r"eta=.*\(0, 1\]"):
        filter_response(eta, 0.1)


def test_expected_is_that_of_the_tile() -> None:
    """The step size travels along with the reads."""
    spectra = filter_spectra(play(0.1 * torch.randn(64, 2, 2), **CHOPPED))
    assert isinstance(spectra, FilterSpectra)
    assert spectra.eta == ETA
    assert torch.equal(spectra.expected, filter_response(ETA, spectra.omega))
