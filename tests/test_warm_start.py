"""Arrays of a chain join one after the other, the most significant first."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, List, Tuple

import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.nn import AnalogLinear
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
from torch import Tensor

from aihwkit_dspt import (
    DeviceDefaults,
    Listener,
    TrackingTile,
    WarmStart,
    build_config,
    join_next_array,
    operation_counts,
)
from aihwkit_dspt.stages.event import TransferEvent
from aihwkit_dspt.tiles.names import weight_names
from tests.helpers import difference, mixed_weight, quiet_tile, snapshot, train
from tests.joined_chain import N_COLUMNS, STEP, SWEEPS, chain
from tests.table import DEVICES, METHODS, TRACKING_ALGORITHMS


def weights(tile: TrackingTile) -> List[Tensor]:
    """Return copies of the weights of all arrays, the fastest first."""
    n_arrays = len(tile.tile.pipeline.arrays)
    return [tile.value(name).clone() for name in weight_names(n_arrays)]


def changed(tile: TrackingTile, before: List[Tensor]) -> List[int]:
    """Return the numbers of the arrays that have other weights than before."""
    pairs = enumerate(zip(weights(tile), before))
    return [number for number, (now, old) in pairs if not torch.equal(now, old)]


def sweeps_until(tile: TrackingTile, n_joined: int) -> int:
    """Train until so many arrays have joined; return the sweeps of the fast array by then."""
    pipeline = tile.tile.pipeline
    for _ in range(1000):
        if pipeline.joined.n_joined == n_joined:
            return int(pipeline.link.schedule.sweep)
        train(tile, 1, STEP)
    raise AssertionError(f"array {n_joined} has not joined")


class Increments(Listener):
    """Notes the increment of the buffer in each sweep."""

    def __init__(self) -> None:
        self.of_sweep: Dict[int, float] = {}

    def on_event(self, event: TransferEvent) -> None:
        """Note it; it is the same for all lines of a sweep."""
        assert self.of_sweep.setdefault(event.sweep, event.beta) == event.beta


@pytest.mark.parametrize("n_arrays", [3, 4, 6])
def test_only_the_newest_is_written(n_arrays: int) -> None:
    """Beside the fast array, which takes the gradient; the mixed weight has all of them."""
    torch.manual_seed(1)
    tile = chain(n_arrays)
    for n_joined in range(1, n_arrays):
        assert sweeps_until(tile, n_joined) == SWEEPS * (n_joined - 1)
        before = weights(tile)
        train(tile, 3 * SWEEPS - 1, STEP)
        assert changed(tile, before) == [0, n_arrays - n_joined]
        assert (tile.tile.get_weights().double() - mixed_weight(tile)).abs().max() < 1e-5
    assert tile.tile.pipeline.joined.is_complete


def test_is_two_arrays_until_the_next_joins() -> None:
    """Step by step and in every state that both have."""
    two = quiet_tile(**METHODS["E-RIDER"], units_in_mbatch=False)
    four = chain(join_sweeps=None)
    start = two.tile.get_weights()
    for tile in (two, four):
        tile.tile.set_weights(start)
        torch.manual_seed(2)
        train(tile, 60, STEP)
    for name in ("fast_weights", "slow_weights", "reference", "transfer_buffer", "chopper"):
        assert torch.equal(two.value(name), four.value(name)), name
    assert torch.equal(two.tile.get_weights(), four.tile.get_weights())
    assert not torch.equal(two.tile.get_weights(), start)


def test_links_between_transfer_once_both_have_joined() -> None:
    """Where they have a rate; the fast array then goes to the next slower one, as ever."""
    torch.manual_seed(3)
    rates = {"transfer_lr_vec": [0.3, 3.0], "transfer_every_vec": [1.0, 2.0]}
    tile = chain(3, **rates, join_sweeps=None)
    train(tile, 12, STEP)
    pipeline = tile.tile.pipeline
    assert [link.schedule.n_reads for link in pipeline.fastest_first] == [24, 0]
    tile.tile.join_next()
    train(tile, 12, STEP)
    assert [link.schedule.n_reads for link in pipeline.fastest_first] == [48, 12]
    before = weights(tile)
    train(tile, 120, STEP)
    assert changed(tile, before) == [0, 1, 2]
    assert pipeline.link.target_chopper is pipeline.links[0].chopper
    assert (tile.tile.get_weights().double() - mixed_weight(tile)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("join_sweeps", "at"),
    [(0, [3]), ([2, 0], [1, 3]), ([0, 5], [2, 3]), ([3, None], [1, 2])],
    ids=str,
)
def test_when_arrays_join(join_sweeps: Any, at: List[int]) -> None:
    """One number for all, or one for each array; 0 joins at once and ``None`` never by itself."""
    tile = chain(4, join_sweeps=join_sweeps)
    seen = [tile.tile.pipeline.joined.n_joined]
    for _ in range(30):
        train(tile, 1, STEP)
        seen.append(tile.tile.pipeline.joined.n_joined)
    assert list(dict.fromkeys(seen)) == at


def test_state() -> None:
    """A copy and a loaded state go on as the tile does, across the next join."""
    torch.manual_seed(4)
    tile = chain(4, in_chop_random=True)
    sweeps_until(tile, 2)
    train(tile, 2, STEP)
    loaded = chain(4, in_chop_random=True)
    loaded.tile.load_extra(tile.tile.dump_extra())
    others = [loaded, deepcopy(tile)]
    for each in (tile, *others):
        torch.manual_seed(5)
        train(each, 3 * SWEEPS, STEP)
    assert tile.tile.pipeline.joined.n_joined == 3
    for other in others:
        assert difference(snapshot(tile), snapshot(other)) is None
        assert operation_counts(other).total.slow_pulses == operation_counts(tile).total.slow_pulses


def test_state_of_before() -> None:
    """A chain that was saved without a warm start has all its arrays."""
    tile = chain(4, join_sweeps=None)
    extra = tile.tile.dump_extra()
    assert extra.pop("joined") == {"n_joined": 1, "joined_at": 0}
    tile.tile.load_extra(extra)
    assert tile.tile.pipeline.joined.is_complete


def model_of(n_outputs: int = 4, **settings: Any) -> AnalogLinear:
    """Return a layer on a chain of devices with four states."""
    device = SoftBoundsReferenceDevice(dw_min=0.5, w_min=-1.0, w_max=1.0, reference_std=0.2)
    return AnalogLinear(
        N_COLUMNS, n_outputs, rpu_config=build_config("e-rider", device, **settings)
    )


def n_joined(model: AnalogLinear) -> int:
    """Return how many arrays of a layer have joined."""
    tile: Any = next(iter(model.analog_tiles()))
    return int(tile.tile.pipeline.joined.n_joined)


def test_join_next_array() -> None:
    """One array at a call, until all have joined."""
    model = torch.nn.Sequential(model_of(n_arrays=4), model_of())
    assert [join_next_array(model) for _ in range(4)] == [1, 1, 0, 0]
    assert n_joined(model[0]) == 3
    with pytest.raises(TileError, match="n_arrays=3"):
        join_next_array(model[1])
    with pytest.raises(TileError, match="no TrackingTile"):
        join_next_array(torch.nn.Linear(2, 2))


def test_plateau() -> None:
    """Losses that fall by less than the threshold count as bad; after a join all starts anew."""
    model = model_of(n_arrays=4, join_sweeps=None)
    warm_start = WarmStart(model, patience=2, threshold=0.1)
    losses = [1.0, 0.8, 0.75, 0.6, 0.58, 0.57, 0.9, 0.5, 0.49, 0.48, 0.1, 0.1, 0.1]
    joined = [warm_start.step(loss) for loss in losses]
    assert [number for number, one in enumerate(joined) if one] == [5, 9]
    assert n_joined(model) == 3
    resumed = WarmStart(model, patience=2, threshold=0.1)
    resumed.load_state_dict(warm_start.state_dict())
    assert (resumed.best, resumed.n_bad) == (warm_start.best, warm_start.n_bad)


def test_the_buffer_starts_anew() -> None:
    """It held parts of pulses for another array."""
    tile = chain(join_sweeps=None)
    train(tile, 40)
    assert tile.transfer_buffer.any()
    tile.tile.join_next()
    assert not tile.transfer_buffer.any()


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_bad_loss_is_refused(loss: float) -> None:
    """And nothing changes."""
    warm_start = WarmStart(model_of(n_arrays=3, join_sweeps=None))
    warm_start.step(1.0)
    with pytest.raises(ArgumentError, match="loss="):
        warm_start.step(loss)
    assert (warm_start.best, warm_start.n_bad) == (1.0, 0)
    for bad in ({"patience": 0}, {"threshold": -0.1}, {"threshold": "a"}):
        with pytest.raises(ArgumentError, match=next(iter(bad))):
            WarmStart(warm_start.model, **bad)
    with pytest.raises(TileError, match="n_arrays=3"):
        WarmStart(model_of())


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("n_arrays", [3, 4, 5])
def test_default_rule(name: str, n_arrays: int) -> None:
    """For every device: halves between, the fast array no more than half of the one before."""
    device = DEVICES[name]()
    config = build_config("e-rider", device, n_arrays=n_arrays)
    compound = config.device
    derived = DeviceDefaults.of(device)
    between = [0.5**distance for distance in range(n_arrays - 2, 0, -1)]
    assert compound.gamma == [min(derived.gamma, between[0] / 2), *between]
    assert compound.transfer_lr_vec == [derived.transfer_lr, *[0.0] * (n_arrays - 2)]
    assert compound.join_sweeps == 10000.0
    assert config.mapping.weight_scaling_omega == derived.weight_scaling_omega / 2
    assert config.mapping.learn_out_scaling == (derived.weight_scaling_omega > 0.0)


@pytest.mark.parametrize("algorithm", TRACKING_ALGORITHMS)
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"gamma": 0.3}, {"gamma": 0.3, "join_sweeps": 10000.0}),
        ({"gamma": [0.1, 0.2, 0.3]}, {"gamma": [0.1, 0.2, 0.3]}),
        ({"transfer_lr": 0.2}, {"transfer_lr_vec": [0.2, 0.0, 0.0]}),
        ({"transfer_lr_vec": [0.1, 0.2, 0.3]}, {"transfer_lr_vec": [0.1, 0.2, 0.3]}),
        ({"join_sweeps": 0}, {"join_sweeps": 0, "transfer_lr_vec": []}),
        ({"join_sweeps": None}, {"join_sweeps": None, "transfer_lr_vec": [0.06, 0.0, 0.0]}),
        ({"transfer_every": 2.0}, {"transfer_every_vec": [2.0, 10.0, 50.0]}),
    ],
    ids=str,
)
def test_default_rule_can_be_overridden(
    algorithm: str, settings: Dict[str, Any], expected: Dict[str, Any]
) -> None:
    """Field by field, and what follows from a field follows."""
    compound = build_config(algorithm, DEVICES["ReRamArrayHfO2"](), n_arrays=4, **settings).device
    assert {name: getattr(compound, name) for name in expected} == expected


def regress(n_arrays: int) -> Tuple[float, int]:
    """Return the error of a linear regression on devices with four states, and joined arrays."""
    torch.manual_seed(6)
    settings: Dict[str, Any] = {"n_arrays": n_arrays}
    if n_arrays > 2:
        settings["join_sweeps"] = 50
    model = model_of(32, **settings)
    target = torch.empty(32, N_COLUMNS).uniform_(-0.4, 0.4)
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    optimizer.regroup_param_groups(model)
    errors = []
    for step in range(1500):
        optimizer.param_groups[0]["lr"] = 0.1 * (1.0 - step / 1500)
        x = torch.randn(10, N_COLUMNS)
        optimizer.zero_grad()
        loss = (model(x) - x @ target.t()).square().mean()
        loss.backward()
        optimizer.step()
        errors.append(loss.item())
    return sum(errors[-300:]) / 300, n_joined(model)


def test_more_arrays_have_a_smaller_error() -> None:
    """Each halves what the ones before it leave.

    Pulses are random (aihwkit seeds them by the clock). The errors are means over 300 batches
    and 32 outputs; in ten tries that of two arrays was 3.9 to 9.4 times that of four.
    """
    (two, _), (four, joined) = regress(2), regress(4)
    assert joined == 3
    assert four < 0.5 * two


def test_increments_go_on_over_the_join() -> None:
    """They fall with all sweeps, and are larger by as much as an array is less significant.

    So the same residual moves the weight in use by as much as before the join.
    """
    tile = chain(anneal_sweeps=4.0)
    link, heard = tile.tile.pipeline.link, Increments()
    with tile.listen(heard):
        sweeps_until(tile, 3)
        train(tile, 9, STEP)
    given = heard.of_sweep[3]
    gains = {sweep: heard.of_sweep[sweep] / given for sweep in range(2 * SWEEPS + 2)}
    scales = [0.5 ** (sweep // SWEEPS) for sweep in gains]
    assert gains == pytest.approx({k: (4 / (k + 1)) ** 0.5 / scales[k] for k in gains})
    assert link.target_scale == 0.25


@pytest.mark.parametrize("gamma", [0.0, [0.1, 0.0, 0.5]], ids=str)
def test_arrays_that_the_weight_in_use_does_not_have(gamma: Any) -> None:
    """They are written as the slowest one is."""
    tile = chain(gamma=gamma, anneal_sweeps=4.0)
    link, heard = tile.tile.pipeline.link, Increments()
    with tile.listen(heard):
        sweeps_until(tile, 3)
        train(tile, 9, STEP)
    assert link.target_scale == 1.0
    last = max(heard.of_sweep)
    assert heard.of_sweep[last] == pytest.approx(heard.of_sweep[3] * (4 / (last + 1)) ** 0.5)
