"""Recurrent networks: every tile is used once per time step before the one update."""

from __future__ import annotations

import pytest
import torch
from aihwkit.nn import (
    AnalogGRUCell,
    AnalogLinear,
    AnalogLSTMCell,
    AnalogRNN,
    AnalogSequential,
    AnalogVanillaRNNCell,
)

from aihwkit_dspt import TrackingTile
from tests.helpers import mixed_weight, quiet_config, used_weights
from tests.layers.agad import assert_same, pair
from tests.layers.networks import RNNS, fit, output, sgd
from tests.table import METHODS

N_TILES = {
    "vanilla": 2,
    "gru": 2,
    "lstm": 2,
    "lstm-combined": 1,
    "lstm-bidir": 4,
    "gru-2-layers": 4,
}


@pytest.mark.parametrize("name", RNNS)
def test_rnn_is_cpp_agad(name: str) -> None:
    """With ``gamma=0`` every state of every tile equals aihwkit's after each step."""
    theirs, ours = pair(RNNS[name])
    assert ours.analog_tile_count() == N_TILES[name]
    optimizers = sgd(theirs), sgd(ours)
    for _ in range(15):
        x, target = torch.randn(3, 5, 3), torch.randn(3, 5, 1)
        for model, optimizer in zip((theirs, ours), optimizers):
            optimizer.zero_grad()
            (0.3 * (output(model, x) - target).square().sum()).backward()
            optimizer.step()
        assert_same(theirs, ours)
    for tile in ours.analog_tiles():
        assert tile.sp_estimate.abs().max() > 0.01


CELLS = [AnalogVanillaRNNCell, AnalogGRUCell, AnalogLSTMCell]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("cell", CELLS)
def test_rnn_trains_every_tile(cell: type, method: str) -> None:
    """All fast arrays move, and forward uses the mixed weight (1e-6 is float rounding)."""
    model = AnalogRNN(cell, 3, 4, rpu_config=quiet_config(**METHODS[method]))
    fit(model, (3, 5, 3))
    for tile in model.analog_tiles():
        assert isinstance(tile, TrackingTile)
        assert tile.fast_weights.abs().max() > 0.01
        assert (used_weights(tile)[0] - mixed_weight(tile)).abs().max() <= 1e-6


@pytest.mark.parametrize("cell", CELLS)
def test_rnn_learns(cell: type) -> None:
    """A sign is remembered over an empty step: the error falls to a tenth of that of guessing.

    Both runs of each cell that were tried ended below 0.002.
    """
    settings = {**METHODS["E-RIDER"], "fast_lr": 2.0, "transfer_lr": 1.0}
    config = quiet_config(**settings)
    rnn = AnalogRNN(cell, 1, 8, bias=False, rpu_config=config)
    model = AnalogSequential(rnn, AnalogLinear(8, 1, bias=False, rpu_config=config))
    optimizer = sgd(model)
    losses = []
    for _ in range(120):
        sign = torch.randn(10, 1).sign()
        x = torch.stack([sign, torch.zeros_like(sign)])
        optimizer.zero_grad()
        loss = (model[1](rnn(x)[0][-1]) - 0.2 * sign).square().mean() / 0.2**2
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-20:]) / 20 < 0.1
