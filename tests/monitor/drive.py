"""Trainings of single tiles whose reads are recorded."""

from __future__ import annotations

from typing import Any, Dict

import torch
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.training import UpdateParameters
from torch import Tensor

from aihwkit_dspt import RecordedReads, TrackingTile, record_reads
from tests.helpers import quiet_config, quiet_device
from tests.table import METHODS

ETA = 0.2
CHOPPED: Dict[str, Any] = {**METHODS["E-RIDER"], "eta": ETA, "in_chop_prob": 0.25}
SETTINGS: Dict[str, Dict[str, Any]] = {
    "RIDER": {**METHODS["RIDER"], "eta": ETA},
    "E-RIDER": CHOPPED,
    "E-RIDER-random": {**CHOPPED, "in_chop_random": True},
    "E-RIDER-outputs": {**CHOPPED, "out_chop_prob": 0.25},
}
"""Without choppers and with each kind of them."""


def noisy_read(std: float) -> IOParameters:
    """Return a read with noise and without quantisation."""
    return IOParameters(out_noise=std, inp_res=-1, out_res=-1, inp_bound=0.0, out_bound=0.0)


def play(fast: Tensor, noise: float = 0.0, **settings: Any) -> RecordedReads:
    """Put the fast weights where they are told, let them be read, and record that.

    Args:
        fast: ``[n_reads, out_size, in_size]`` weights, one array per sweep.
        noise: standard deviation of the read noise.
        settings: settings of the compound.
    """
    if noise > 0.0:
        settings["transfer_forward"] = noisy_read(noise)
    _, out_size, in_size = fast.shape
    tile = TrackingTile(out_size, in_size, quiet_config(**settings))
    tile.set_learning_rate(0.1)
    # Without gradient nothing but the transfers happens.
    x, d = torch.zeros(1, in_size), torch.zeros(1, out_size)
    with record_reads(tile) as reads:
        for weights in fast:
            tile.tile.pipeline.fast.place(weights)
            for _ in range(in_size):
                tile.update(x, d)
    return reads


def noisy_training(n_reads: int, settings: Dict[str, Any], spread: float = 0.3) -> RecordedReads:
    """Train with gradients of mean above zero, stochastic pulses and noisy reads.

    Args:
        n_reads: number of reads of each of the three lines.
        settings: settings of the compound.
        spread: standard deviation of the errors, whose mean is 0.3.
    """
    device = quiet_device(dw_min=0.002, dw_min_std=0.3)
    config = quiet_config(
        **{**settings, "unit_cell_devices": [device, device], "transfer_forward": noisy_read(0.02)}
    )
    config.update = UpdateParameters(desired_bl=5)
    tile = TrackingTile(8, 3, config)
    tile.set_learning_rate(0.1)
    n_updates = 3 * n_reads
    x, d = torch.rand(n_updates, 1, 3), torch.randn(n_updates, 1, 8) * spread + 0.3
    with record_reads(tile) as reads:
        for x_input, d_input in zip(x, d):
            tile.update(x_input, d_input)
    return reads
