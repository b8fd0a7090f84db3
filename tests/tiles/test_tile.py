"""What the tile shows: properties, orientation, and what it prints."""

from __future__ import annotations

from typing import Tuple

import pytest
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.simulator.tiles.analog import AnalogTile
from torch import nn

from aihwkit_dspt import TrackingTile
from tests.helpers import PROPERTIES, quiet_config, quiet_tile, train
from tests.table import METHODS


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_properties_have_the_orientation_of_the_layer(bias: bool, columns: bool) -> None:
    """``[out, in (+ 1)]``, contiguous copies on the CPU, for columns and rows."""
    settings = {**METHODS["E-RIDER"], "transfer_columns": columns, "digital_bias": False}
    tile = quiet_tile(bias=bias, **settings)
    train(tile, 20)
    for name in PROPERTIES:
        value = getattr(tile, name)
        assert value.shape == (4, 6 + bias)
        assert value.is_contiguous()
        assert getattr(tile, name).data_ptr() != value.data_ptr()


@pytest.mark.parametrize("columns", [True, False])
def test_lines_are_columns_or_rows(columns: bool) -> None:
    """The first event reads the first column (row): only there the estimate moves."""
    tile = quiet_tile(**{**METHODS["E-RIDER"], "transfer_columns": columns, "transfer_every": 1.0})
    train(tile, 1, n_batch=1)
    moved = tile.sp_estimate != 0.0
    expected = torch.zeros(4, 6, dtype=torch.bool)
    (expected.t() if columns else expected)[0] = True
    assert not moved[~expected].any()
    assert moved.any()
    assert (tile.transfer_buffer != 0.0)[~expected].sum() == 0


@pytest.mark.parametrize("method", METHODS)
def test_starting_point(method: str) -> None:
    """Fast array, reference, estimate and buffer are zero, choppers +1; W is the weight."""
    layer = AnalogLinear(6, 4, rpu_config=quiet_config(**METHODS[method]))
    tile = next(iter(layer.analog_tiles()))
    for name in ("fast_weights", "reference", "sp_estimate", "transfer_buffer"):
        assert not getattr(tile, name).any(), name
    assert torch.equal(tile.chopper, torch.ones(4, 6))
    assert torch.equal(tile.slow_weights, layer.get_weights()[0])
    assert tile.slow_weights.abs().max() > 0.0


def test_replaces_aihwkits_tile() -> None:
    """It is an ``AnalogTile``, and no name contains the word that aihwkit's tests skip by."""
    tile = quiet_tile(**METHODS["E-RIDER"])
    assert isinstance(tile, AnalogTile)
    assert "Torch" not in type(tile).__name__ + type(tile.tile).__name__
    assert tile.get_brief_info() == tile.tile.get_brief_info()
    text = repr(tile)
    assert "reference=Dynamic" in text
    assert "gamma=0.1" in text
    assert "SoftBoundsDevice" in text


def test_sp_estimate_finds_the_symmetric_point() -> None:
    """With fair random pulses the fast array drifts to its SP, and Q and Q~ follow.

    A soft-bounds device with slopes a_p, a_m and bounds 0.6 has ``G(w) = 0`` at
    ``0.6 (a_p - a_m)/(a_p + a_m)`` = 0.6 * 0.2/1.8 (paper eq. (103)). The fluctuation of P is of
    order ``sqrt(dw_min * w_max) = 0.08``, Q averages over 1/eta = 50 reads and the test over 24
    cells, so 0.03 is beyond 5 standard deviations.
    """
    settings = {**METHODS["RIDER"], "eta": 0.02, "transfer_lr": 0.0001}
    tile = TrackingTile(4, 6, quiet_config(**settings))
    names, hidden = tile.tile.get_hidden_parameter_names(), tile.tile.get_hidden_parameters()
    up, down = (hidden[names.index(f"dwmin_{way}_0")] for way in ("up", "down"))
    expected = (0.6 * (up - down) / (up + down)).mean().item()
    assert abs(expected) > 0.06
    tile.set_learning_rate(0.1)
    for _ in range(1500):
        tile.update(torch.randn(6, 6).sign() * 0.2, torch.randn(6, 4).sign())
    for value in (tile.sp_estimate, tile.reference):
        assert value.mean().item() == pytest.approx(expected, abs=0.03)


def test_cpu_only() -> None:
    """Moving to the CPU does nothing; without CUDA in aihwkit the move to a GPU is refused."""
    from aihwkit.exceptions import CudaError
    from aihwkit.simulator.rpu_base import cuda

    tile = quiet_tile(**METHODS["E-RIDER"])
    assert tile.cpu() is tile
    assert tile.to("cpu") is tile
    if not cuda.is_compiled():
        with pytest.raises(CudaError, match="CUDA"):
            tile.cuda()


@pytest.mark.parametrize("is_frozen", [False, True])
@pytest.mark.parametrize("shape", [(8,), (3, 8), (2, 3, 8), (8, 8, 8), (2, 4, 8, 8)])
def test_outputs_can_be_written_into(shape: Tuple[int, ...], is_frozen: bool) -> None:
    """As those of a digital layer (``output += adapter(x)``), however they were read."""
    layer = convert_to_analog(nn.Linear(8, 8, bias=False), quiet_config())
    layer.requires_grad_(not is_frozen)
    added = torch.zeros(8, requires_grad=True)
    x = torch.rand(shape)
    output = layer(x)
    expected = output.detach().clone()
    output += added
    output.sum().backward()
    assert torch.equal(output, expected)
    assert added.grad is not None
    assert torch.equal(added.grad, torch.full((8,), x.numel() / 8.0))
    assert layer.analog_module.analog_ctx.has_gradient() is not is_frozen
