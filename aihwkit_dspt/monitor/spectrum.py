"""The symmetric-point estimate as a filter: its response in theory and as measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional, Sequence, Union

import torch
from aihwkit.exceptions import ArgumentError
from torch import Tensor

from aihwkit_dspt.configs.checks import require_argument, require_whole, shown
from aihwkit_dspt.configs.tensor_checks import require_numbers
from aihwkit_dspt.monitor.reads import RecordedReads

SHORTEST = 8
"""Fewest reads in a segment."""


def filter_response(eta: float, omega: Union[float, Sequence[float], Tensor]) -> Tensor:
    r"""Return the power response of the symmetric-point estimate (paper, Lemma 3.10).

    .. math:: |H(e^{j\omega})|^2 = \frac{\eta^2}{1 + (1-\eta)^2 - 2(1-\eta)\cos\omega}

    Args:
        eta: step size :math:`\eta` of the estimate, in (0, 1].
        omega: angular frequencies :math:`\omega` in radians per read of a line; numbers or tensor.

    Returns:
        power of Q over power of P at these frequencies, in double precision.

    Raises:
        ArgumentError: if ``eta`` is not in (0, 1] or ``omega`` has something else than numbers.
    """
    eta = require_argument("eta", eta, 0.0, 1.0, low_open=True)
    cosine = require_numbers("omega", omega).double().cos()
    return eta**2 / (1.0 + (1.0 - eta) ** 2 - 2.0 * (1.0 - eta) * cosine)


@dataclass(frozen=True)
class FilterSpectra:
    """Measured spectra of the reads P and of the estimate Q, ``[n_frequencies]`` each."""

    omega: Tensor
    """Angular frequencies in radians per read, from one period per segment to pi."""

    fast: Tensor
    """Mean power of P per cell and frequency, in squared weight units. It adds up to the variance
    within a segment."""

    estimate: Tensor
    """Mean power of Q, in the same way."""

    attenuation: Tensor
    """Power of Q over power of P."""

    attenuation_error: Tensor
    """Standard error of the attenuation, from the scatter between segments and between lines (the
    cells of a line share inputs and choppers); ``nan`` for a single segment of a single line."""

    eta: float
    """Step size of the estimate."""

    chop_omega: Optional[float]
    """Fundamental frequency of the recorded chopper signs, if they flip regularly: pi over the
    number of reads between flips."""

    @property
    def expected(self) -> Tensor:
        """Attenuation by Lemma 3.10 at the measured frequencies."""
        return filter_response(self.eta, self.omega)


def filter_spectra(
    reads: RecordedReads, segment: Optional[int] = None, skip: int = 0
) -> FilterSpectra:
    r"""Measure the spectra of the reads P and of the estimate Q, and the attenuation between them.

    By Welch's method: periodograms :math:`|\mathrm{DFT}(w_n (x_n - \bar x))|^2` of Hann-windowed
    segments that overlap by half, averaged over segments and cells. The choppers are left in: what
    the filter gets is P as it is read.

    A segment of n reads resolves frequencies to about :math:`3\pi/n`, and the attenuation is a mean
    over that: make :math:`n \gg 2\pi/\eta`, so that the response hardly bends within (the bias goes
    as :math:`1/n^2`, and is not part of the standard error). Right beside a line, such as that of a
    regular chopper, the mean is the attenuation of the line.

    Args:
        reads: what :func:`~aihwkit_dspt.record_reads` recorded.
        segment: reads in a segment; ``None`` for a quarter of the reads, in whole periods of a
            regular chopper if that is more than one, so that its lines are sharp.
        skip: reads to leave out at the start, e.g. :math:`5/\eta` until Q has forgotten where it
            started.

    Returns:
        the spectra at the frequencies :math:`2\pi k / n`, :math:`k = 1 ... \lfloor n/2 \rfloor`.

    Raises:
        ArgumentError: if there are too few reads, or ``segment`` or ``skip`` are not valid.
        TileError: if nothing was recorded.
    """
    if not isinstance(reads, RecordedReads):
        raise ArgumentError(
            f"reads={shown(reads)} is not valid: pass what record_reads(tile) recorded"
        )
    require_whole("skip", skip, 0)
    if segment is not None:
        segment = require_whole("segment", segment, 1)
    fast, estimate = (_after(values, skip) for values in (reads.fast, reads.estimate))
    chop_omega = _chop_omega(reads.chopper[skip:])
    n_reads = len(fast)
    length = segment if segment is not None else n_reads // 4
    if segment is None and chop_omega is not None:
        period = round(2.0 * math.pi / chop_omega)
        length -= length % period if length >= period else 0
    if not SHORTEST <= length <= n_reads:
        given = "a quarter of the reads" if segment is None else f"segment={segment}"
        raise ArgumentError(
            f"{given} is {length} of the {n_reads} reads after skip={skip}: record more reads, or "
            f"pass a segment from {SHORTEST} to {max(n_reads, SHORTEST)}"
        )
    # One sample per segment and line, [n_frequencies, n_samples].
    fast_power, estimate_power = _power(fast, length), _power(estimate, length)
    attenuation = estimate_power.sum(1) / fast_power.sum(1)
    n_samples = fast_power.shape[1]
    deviations = estimate_power - attenuation.unsqueeze(1) * fast_power
    error = deviations.square().sum(1).sqrt() / fast_power.sum(1)
    error *= math.sqrt(n_samples / (n_samples - 1)) if n_samples > 1 else math.nan
    return FilterSpectra(
        2.0 * math.pi / length * torch.arange(1, length // 2 + 1, dtype=torch.double, device="cpu"),
        fast_power.mean(1),
        estimate_power.mean(1),
        attenuation,
        error,
        reads.eta,
        chop_omega,
    )


def _after(values: Tensor, skip: int) -> Tensor:
    """Return ``[n_reads, n_lines, out_size]`` values without the first reads."""
    if not 0 <= skip < len(values):
        raise ArgumentError(
            f"skip={skip} is not valid: pass a number from 0 to {len(values) - 1}, there are "
            f"{len(values)} reads"
        )
    return values[skip:].double()


def _power(values: Tensor, length: int) -> Tensor:
    """Return the mean power of the cells of a line, ``[n_frequencies, n_segments * n_lines]``."""
    parts = values.unfold(0, length, max(length // 2, 1))  # the reads of a segment come last
    window = torch.hann_window(length, dtype=torch.double, device="cpu")
    # One-sided: all frequencies but the last of an even length occur twice.
    scale = torch.full((length // 2,), 2.0, dtype=torch.double, device="cpu")
    if length % 2 == 0:
        scale[-1] = 1.0
    spectrum = torch.fft.rfft((parts - parts.mean(-1, keepdim=True)) * window)[..., 1:]
    power = spectrum.abs().square().mean(2) * scale / (length * window.square().sum())
    result: Tensor = power.flatten(0, 1).t()
    return result


def _chop_omega(signs: Tensor) -> Optional[float]:
    """Return the frequency of regular flips, ``None`` if there are none or they are irregular."""
    flips = (signs[1:] != signs[:-1]).flatten(1)
    intervals = {
        interval
        for cell in torch.unique(flips.t(), dim=0)
        for interval in cell.nonzero().flatten().diff().tolist()
    }
    return math.pi / intervals.pop() if len(intervals) == 1 else None
