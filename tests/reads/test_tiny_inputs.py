"""Errors that went back through many time steps are next to nothing, down to denormal numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from aihwkit.nn import AnalogConv2d
from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt import ReadMode, TrackingTile
from tests.helpers import quiet_config

SCALES = 10.0 ** -torch.arange(30.0, 46.0)
"""From normal numbers to the smallest denormal ones."""


@pytest.mark.parametrize("bounds", [BoundManagementType.NONE, BoundManagementType.ITERATIVE])
@pytest.mark.parametrize("mode", [ReadMode.CPP, ReadMode.AUTO, ReadMode.TORCH])
@pytest.mark.parametrize("n_vectors", [1, 8, 64])
def test_products_are_finite(n_vectors: int, mode: ReadMode, bounds: Any) -> None:
    """A vector of denormal numbers counts as next to nothing, and the others are as ever."""
    config = quiet_config(digital_bias=False, read_mode=mode)
    config.forward = config.backward = IOParameters(
        noise_management=NoiseManagementType.ABS_MAX, bound_management=bounds, out_noise=0.0
    )
    torch.manual_seed(2)
    tile = TrackingTile(48, 40, config)
    tile.set_weights(torch.randn(48, 40) * 0.1)
    for read, size in ((tile.tile.forward, 40), (tile.tile.backward, 48)):
        usual = torch.rand(n_vectors, size)
        for scale in SCALES:
            vectors = torch.cat([torch.randn(n_vectors, size) * scale, usual])
            output = read(vectors)
            assert output.isfinite().all()
            assert output[:n_vectors].abs().max() <= 100.0 * scale
            torch.testing.assert_close(output[n_vectors:], read(usual), rtol=0.05, atol=0.05)
            assert read(vectors[:1]).isfinite().all()
            assert read(vectors[:1].reshape(1, 1, size)).isfinite().all()


@pytest.mark.parametrize("scale", SCALES.tolist())
def test_indexed_convolutions_are_finite(scale: float) -> None:
    """Convolutions with an index matrix, too."""
    config = quiet_config(read_mode=ReadMode.CPP)
    layer = AnalogConv2d(2, 3, 2, rpu_config=config, use_indexed=True)
    x = torch.randn(2, 2, 4, 4, requires_grad=True)
    layer(x).backward(torch.randn(2, 3, 3, 3) * scale)
    assert x.grad is not None
    assert x.grad.isfinite().all()
