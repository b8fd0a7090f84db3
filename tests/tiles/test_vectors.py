"""From layer inputs to vectors: transposes, analog bias, and indexed convolutions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogConv1d, AnalogConv2d, AnalogConv3d
from torch.nn.functional import unfold

from aihwkit_dspt.reads.indexed import gather_indexed
from aihwkit_dspt.tiles.vectors import as_vectors
from tests.helpers import quiet_config
from tests.table import METHODS


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (0, 4)])
def test_batch_first(shape: Any, bias: bool) -> None:
    """Any leading dimensions become one batch; a bias input of one comes last."""
    values = torch.randn(shape)
    copy = values.clone()
    vectors = as_vectors(values, False, 4 + bias, bias, "x_input")
    assert torch.equal(vectors[:, :4], values.reshape(-1, 4))
    assert vectors.shape == (values.numel() // 4, 4 + bias)
    assert vectors.is_contiguous()
    assert torch.equal(values, copy)
    if bias:
        assert torch.equal(vectors[:, 4], torch.ones(len(vectors)))


@pytest.mark.parametrize("shape", [(4,), (4, 3), (4, 2, 3)])
def test_transposed(shape: Any) -> None:
    """With the vector dimension first the result is the same as for the transpose."""
    values = torch.randn(shape)
    vectors = as_vectors(values, True, 4, False, "x_input")
    assert torch.equal(vectors, values.reshape(4, -1).t())
    assert vectors.is_contiguous()


@pytest.mark.parametrize(("transposed", "shape"), [(False, (4, 3)), (True, (3, 4)), (False, ())])
def test_wrong_size(transposed: bool, shape: Any) -> None:
    """The message names the input, its shape and the expected one."""
    with pytest.raises(TileError, match=r"d_input has shape .*: pass \["):
        as_vectors(torch.zeros(shape), transposed, 4, False, "d_input")


CONVOLUTIONS = [
    {"kernel_size": 3},
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 2)},
    {"kernel_size": 2, "dilation": 2, "padding": 1},
]


@pytest.mark.parametrize("settings", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("bias", ["none", "digital", "analog"])
def test_gather_equals_unfold(settings: Any, bias: str) -> None:
    """aihwkit's index matrix gathers what torch unfolds, patch by patch."""
    config = quiet_config(digital_bias=bias != "analog", **METHODS["E-RIDER"])
    layer = AnalogConv2d(2, 3, bias=bias != "none", rpu_config=config, use_indexed=True, **settings)
    images = torch.randn(4, 2, 7, 6)
    copy = images.clone()
    layer(images)
    tile = next(iter(layer.analog_tiles())).tile
    expected = unfold(
        images,
        layer.kernel_size,
        padding=layer.padding,
        stride=layer.stride,
        dilation=layer.dilation,
    )
    expected = expected.transpose(1, 2).reshape(-1, expected.size(1))
    if bias == "analog":
        expected = torch.cat([expected, torch.ones(len(expected), 1)], dim=1)
    # aihwkit appends C_in times too many ones for an analog bias; the surplus is not used.
    indices = tile.indices[: tile.x_size * (len(expected) // len(images))]
    assert torch.equal(gather_indexed(images, indices, tile.x_size), expected)
    assert torch.equal(images, copy)


@pytest.mark.parametrize(("layer_class", "n_dims"), [(AnalogConv1d, 1), (AnalogConv3d, 3)])
def test_gather_in_one_and_three_dimensions(layer_class: Any, n_dims: int) -> None:
    """The gathered vectors times the weights are the convolution."""
    config = quiet_config(**METHODS["E-RIDER"])
    layer = layer_class(2, 3, 3, padding=1, stride=2, rpu_config=config, bias=False)
    images = torch.randn(2, 2, *([5] * n_dims))
    output = layer(images)
    tile = next(iter(layer.analog_tiles())).tile
    vectors = gather_indexed(images, tile.indices, tile.x_size)
    found = (vectors @ tile.get_weights().t()).reshape(2, -1, 3).transpose(1, 2)
    assert torch.allclose(found, output.flatten(2), atol=1e-5)
