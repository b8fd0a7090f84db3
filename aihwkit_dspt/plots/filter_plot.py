"""The frequency response of the estimate, in theory and as measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Optional

import torch
from aihwkit.exceptions import ArgumentError

from aihwkit_dspt.monitor.spectrum import FilterSpectra, filter_response
from aihwkit_dspt.plots.style import COLOURS, GREY, axes_or_new, finish

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_POINTS = 12
"""Frequencies at which the attenuation is marked."""


def filter_spectrum(spectra: FilterSpectra, ax: Optional[Axes] = None) -> Axes:
    r"""Draw the measured spectra of P and Q and the attenuation between them.

    The spectra are relative to the strongest component of P; the attenuation is the ratio of the
    two, beside :math:`|H(e^{j\omega})|^2` of Lemma 3.10. Bars are two standard errors. This is
    the paper's Fig. 3, measured.

    Args:
        spectra: what :func:`~aihwkit_dspt.filter_spectra` returned.
        ax: where to draw, ``None`` for a new figure.

    Returns:
        the axes.

    Raises:
        ImportError: if matplotlib is not installed.
        ArgumentError: if ``spectra`` is something else.
    """
    if not isinstance(spectra, FilterSpectra):
        raise ArgumentError(
            f"spectra={type(spectra).__name__} is not valid: pass what filter_spectra() returned"
        )
    ax = axes_or_new(ax)
    omega = spectra.omega
    reference = spectra.fast.max()
    for power, label, colour in (
        (spectra.fast, "P, as it is read (chopped)", COLOURS[4]),
        (spectra.estimate, "Q, the estimate", COLOURS[0]),
    ):
        ax.plot(omega.tolist(), (power / reference).tolist(), color=colour, label=label)
    fine = torch.linspace(0.0, math.pi, 400, dtype=torch.double, device="cpu")
    response = filter_response(spectra.eta, fine)
    label = rf"$|H|^2$, Lemma 3.10, $\eta$ = {spectra.eta:.3g}"
    ax.plot(fine.tolist(), response.tolist(), color="black", linestyle="--", label=label)
    chosen = torch.linspace(0, len(omega) - 1, min(N_POINTS, len(omega)), device="cpu").long()
    ax.errorbar(
        omega[chosen].tolist(),
        spectra.attenuation[chosen].tolist(),
        yerr=(2.0 * spectra.attenuation_error[chosen]).tolist(),
        fmt="o",
        markersize=5,
        color=COLOURS[1],
        capsize=3,
        label="measured power of Q over P",
    )
    if spectra.chop_omega is not None:
        ax.axvline(spectra.chop_omega, color=GREY, linewidth=1, linestyle=":", label="chopper")
    ax.set_yscale("log")
    ax.set_xlim(0.0, math.pi)
    ax.set_xticks([0, math.pi / 4, math.pi / 2, 3 * math.pi / 4, math.pi])
    ax.set_xticklabels(["0", "π/4", "π/2", "3π/4", "π"])
    return finish(
        ax,
        "The estimate as a low-pass filter of the reads",
        "frequency [radians per read of a line]",
        "relative power (peak of P = 1), power ratio",
    )
