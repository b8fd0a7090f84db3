"""The order of the stages: what happens when within one update."""

from __future__ import annotations

from typing import Any, List

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.simulator.configs.devices import IdealDevice

from aihwkit_dspt import Listener, TrackingTile
from tests.helpers import (
    PROPERTIES,
    difference,
    draw_batch,
    quiet_config,
    quiet_tile,
    snapshot,
    train,
)
from tests.table import METHODS


def record(tile: TrackingTile, monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """Return a list that the names of the operations are appended to, in order."""
    events: List[str] = []
    simulator = tile.tile
    # Where somebody listens, a read and what becomes of it are not one compiled call.
    simulator.pipeline.link.listeners.append(Listener())
    for owner, method, name in (
        (simulator.pipeline.fast, "pulses", "FAST"),
        (simulator.pipeline.link.line_reads, "read", "read"),
        (simulator.pipeline.link.transfer_stages, "take", "BUFFER, ESTIMATE"),
        (simulator.pipeline.link.lines, "pulse", "SLOW"),
        (simulator.pipeline.link.chopper, "due", "flip"),
        (simulator.pipeline.link.reference, "sync", "sync"),
    ):
        call = getattr(owner, method)

        def recorded(*args: Any, call: Any = call, name: str = name, **kwargs: Any) -> Any:
            events.append(name)
            return call(*args, **kwargs)

        monkeypatch.setattr(owner, method, recorded)
    return events


def test_order_of_the_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradient first; the buffer sees the reference as it was; the sync comes last."""
    settings = {**METHODS["RIDER"], "transfer_lr": 100.0, "scale_transfer_lr": False}
    tile = quiet_tile(**settings, transfer_every=1.0)
    train(tile, 20, n_batch=1)
    events = record(tile, monkeypatch)
    train(tile, 1, n_batch=1)
    assert events == ["FAST", "read", "BUFFER, ESTIMATE", "SLOW", "flip", "sync"]


@pytest.mark.parametrize("n_batch", [1, 3, 10])
@pytest.mark.parametrize("transfer_every", [1.0, 2.5, 4.0])
def test_batches_do_not_matter(n_batch: int, transfer_every: float) -> None:
    """With units of vectors a batch is the same as its vectors one at a time."""
    settings = {**METHODS["E-RIDER"], "transfer_every": transfer_every}
    whole, single = quiet_tile(**settings), quiet_tile(**settings)
    single.tile.load_extra(whole.tile.dump_extra())
    for _ in range(20):
        x, d = draw_batch(whole, n_batch)
        whole.update(x, d)
        for row in range(n_batch):
            single.update(x[row : row + 1], d[row : row + 1])
    for name in PROPERTIES:
        assert torch.equal(getattr(whole, name), getattr(single, name)), name
    assert whole.tile.pipeline.link.schedule.state() == single.tile.pipeline.link.schedule.state()


def test_nothing_is_written_before_the_first_reference() -> None:
    """As C++ AGAD: with a reference that is synced on flips, W rests for the first period."""
    tile = quiet_tile(**METHODS["E-RIDER"], transfer_every=1.0)
    start, period = tile.slow_weights, tile.rpu_config.device.chop_period()
    train(tile, 6 * (period + 1), n_batch=1)
    assert torch.equal(tile.slow_weights, start)
    train(tile, 6 * 4, n_batch=1)
    assert not torch.equal(tile.slow_weights, start)


def test_sync_happens_on_the_flip_only() -> None:
    """E-RIDER: the reference of a column changes exactly when its chopper flips, to Q."""
    tile = quiet_tile(**METHODS["E-RIDER"], transfer_every=1.0)
    flips = 0
    for _ in range(100):
        chopper, reference = tile.chopper, tile.reference
        train(tile, 1, n_batch=1)
        flipped = (tile.chopper != chopper).all(0)
        assert torch.equal(tile.reference[:, ~flipped], reference[:, ~flipped])
        assert torch.equal(tile.reference[:, flipped], tile.sp_estimate[:, flipped])
        flips += int(flipped.sum())
    # 16 full sweeps over six columns; each fourth flips all of them.
    assert flips == 16 // 4 * 6


def test_output_flips_sync_their_rows() -> None:
    """The reference of an output changes where its sign flips, to Q, in all columns."""
    tile = quiet_tile(**METHODS["E-RIDER"], transfer_every=1.0, out_chop_prob=0.5)
    chopper, flips = tile.tile.pipeline.link.chopper, 0
    for _ in range(100):
        signs = chopper.in_sign.clone(), chopper.out_sign.clone()
        reference = tile.reference
        train(tile, 1, n_batch=1)
        columns, rows = chopper.in_sign != signs[0], chopper.out_sign != signs[1]
        synced = columns | rows.unsqueeze(1)
        assert torch.equal(tile.reference, tile.sp_estimate.where(synced, reference))
        flips += int(rows.sum())
    assert 0 < flips < 16 * 4  # at the end of 16 sweeps, half of the four rows on average


def test_reference_follows_each_read() -> None:
    """RIDER: Q~ = Q at all times."""
    tile = quiet_tile(**METHODS["RIDER"])
    for _ in range(30):
        train(tile, 1)
        assert torch.equal(tile.reference, tile.sp_estimate)
    assert tile.reference.abs().max() > 0.01


@pytest.mark.parametrize("method", METHODS)
def test_estimate_moves_only_when_dynamic(method: str) -> None:
    """Zero and static references never change while training."""
    tile = quiet_tile(**METHODS[method])
    if method == "two-stage":
        tile.set_reference(torch.full((4, 6), 0.1))
    before = tile.reference, tile.sp_estimate
    train(tile, 60)
    dynamic = method in ("AGAD", "RIDER", "E-RIDER")
    assert torch.equal(tile.reference, before[0]) != dynamic
    assert torch.equal(tile.sp_estimate, before[1]) != dynamic


@pytest.mark.parametrize("method", METHODS)
def test_arrays(method: str) -> None:
    """gamma=0 reads the slow array itself, everything else an ideal copy of the mixed weight."""
    simulator = quiet_tile(**METHODS[method]).tile
    if METHODS[method].get("gamma", 0.0) == 0.0:
        assert simulator.pipeline.mixed_array is simulator.pipeline.slow
        assert simulator.pipeline.mixer is None
    else:
        assert isinstance(simulator.pipeline.mixed_array.device_config, IdealDevice)
    assert (simulator.get_x_size(), simulator.get_d_size()) == (6, 4)


def test_gradient_pushes_against_the_error() -> None:
    """A positive error times a positive input lowers P, and after transfers W (paper (11a))."""
    for method in METHODS:
        tile = quiet_tile(**METHODS[method], units_in_mbatch=True, transfer_every=1.0)
        tile.tile.set_weights(torch.zeros(4, 6))
        start = tile.slow_weights
        x, d = torch.full((1, 6), 0.2), torch.full((1, 4), 0.2)
        tile.update(x, d)
        assert (tile.fast_weights < 0.0).all(), method
        for _ in range(150):
            tile.update(x, d)
        assert (tile.slow_weights - start).mean() < 0.0, method


def test_single_calls() -> None:
    """Learning rate ``None`` is kept; empty batches do nothing; names match the parameters."""
    tile = quiet_tile(**METHODS["E-RIDER"])
    tile.tile.set_learning_rate(None)
    assert tile.tile.get_learning_rate() == 0.1
    before = snapshot(tile)
    tile.update(torch.zeros(0, 6), torch.zeros(0, 4))
    assert difference(before, snapshot(tile)) is None
    names = tile.tile.get_hidden_parameter_names()
    assert len(names) == len(set(names)) == len(tile.tile.get_hidden_parameters())


def test_set_weights_restarts_the_count() -> None:
    """As C++: the next event comes a full length later and reads the first line."""
    tile = quiet_tile(**METHODS["E-RIDER"], transfer_every=4.0)
    train(tile, 3, n_batch=3)
    tile.tile.set_weights(torch.zeros(4, 6))
    estimate = tile.sp_estimate
    train(tile, 1, n_batch=3)
    assert torch.equal(tile.sp_estimate, estimate)
    train(tile, 1, n_batch=1)
    assert not torch.equal(tile.sp_estimate[:, 0], estimate[:, 0])
    assert torch.equal(tile.sp_estimate[:, 1:], estimate[:, 1:])


def test_uninitialised_weights_are_taken_once() -> None:
    """aihwkit's mapped convolutions set uninitialised memory before they initialise.

    So the first weights may be anything; after that, values that are not finite are refused.
    """
    tile = TrackingTile(4, 6, quiet_config(**METHODS["E-RIDER"]))
    garbage = torch.full((4, 6), float("nan"))
    garbage[0, :3] = torch.tensor([float("inf"), 1e38, 0.1])
    tile.set_weights(garbage)
    weights = tile.get_weights()[0]
    assert weights.isfinite().all()
    assert weights[0, 2] == pytest.approx(0.1)
    with pytest.raises(TileError, match="not finite"):
        tile.set_weights(garbage)
    assert torch.equal(tile.get_weights()[0], weights)
