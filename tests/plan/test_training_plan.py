"""A plan says what a real run counts, and warns where nothing can be learned."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any, Dict, List, Tuple

import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.nn import AnalogConv2d, AnalogLinear
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from torch import nn

from aihwkit_dspt import (
    Listener,
    TrainingPlan,
    estimate_coincidences,
    training_plan,
)
from aihwkit_dspt.configs.enums import ReferenceSync, ReferenceType, TransferScope, TransferStart
from aihwkit_dspt.stages.event import TransferEvent
from aihwkit_dspt.tiles.of_model import tracking_tiles
from tests.helpers import quiet_config, quiet_device

STEPS, BATCH = 60, 3


class Writes(Listener):
    """Counts the reads that may write, and notes the step of the first of them."""

    def __init__(self) -> None:
        self.step, self.first, self.writes = 1, 0, 0

    def on_event(self, event: TransferEvent) -> None:
        """Note it if it writes."""
        if event.writes:
            self.first = self.first or self.step
            self.writes += event.lines.stop - event.lines.start

    def on_step(self, n_vectors: int) -> None:
        """Count the step."""
        self.step += 1


def small_model(**settings: Any) -> nn.Sequential:
    """Return a model of two analog layers of different width."""
    torch.manual_seed(1)
    config = quiet_config(**settings)
    model: nn.Sequential = convert_to_analog(
        nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)), config
    )
    return model


def batch(n: int = BATCH) -> Tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and targets."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 5, generator=generator), torch.randn(n, 2, generator=generator)


def mse(model: nn.Module) -> torch.Tensor:
    """Return the loss of the batch."""
    x, y = batch()
    return nn.functional.mse_loss(model(x), y)


def train(model: nn.Module, steps: int, lr: float = 0.1) -> None:
    """Train on one batch."""
    optimizer = AnalogSGD(model.parameters(), lr=lr)
    optimizer.regroup_param_groups(model)
    for _ in range(steps):
        optimizer.zero_grad()
        mse(model).backward()
        optimizer.step()


SCHEDULES: Dict[str, Dict[str, Any]] = {
    "batches": {"units_in_mbatch": True, "transfer_every": 1.0},
    "parts of batches": {"units_in_mbatch": True, "transfer_every": 0.4},
    "vectors": {"units_in_mbatch": False, "transfer_every": 2.0},
    "automatic": {"transfer_every": -0.1},
    "regular": {"in_chop_random": False, "in_chop_prob": 0.5},
    "both choppers": {"in_chop_prob": 0.3, "out_chop_prob": 0.5},
    "rows": {"transfer_columns": False},
    "every read": {"reference_sync": ReferenceSync.EVERY_READ, "in_chop_prob": 0.0, "eta": 0.1},
    "whole array": {"transfer_scope": TransferScope.ARRAY},
    "chain": {"unit_cell_devices": [quiet_device() for _ in range(3)]},
    "sweeps": {"sweep_every": 7.0, "start": TransferStart.FIRST_SWEEP, "anneal_sweeps": 3.0},
    "sweeps of a chain": {
        "unit_cell_devices": [quiet_device() for _ in range(3)],
        "sweep_every": 2.5,
    },
    "never": {"transfer_every": 0.0},
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.filterwarnings("ignore")
def test_schedule_is_that_of_a_run(name: str) -> None:
    """Reads, writes, sweeps and programmed cells are those that a run counts, to the last one."""
    model = small_model(**SCHEDULES[name])
    plan = training_plan(model, BATCH, steps=STEPS)
    heard: List[Tuple[str, Any, Writes]] = []
    for key, tile in tracking_tiles(model).items():
        listener = Writes()
        tile.tile.pipeline.link.listeners.append(listener)
        heard.append((key, tile, listener))
    train(model, STEPS)
    for key, tile, listener in heard:
        own, link = plan.tiles[key], tile.tile.pipeline.link
        assert own.vectors_per_step * STEPS == tile.tile.pipeline.counters.update_cycles
        assert own.reads_per_step * STEPS == pytest.approx(link.schedule.n_reads)
        cells = own.programmed_lines * STEPS * link.reference.values.shape[1]
        assert cells == pytest.approx(link.reference.n_synced_cells)
        if listener.first:
            assert own.first_write == listener.first
        else:
            assert own.first_write is None or own.first_write > STEPS
        if link.schedule.n_reads:
            assert own.steps_per_sweep == pytest.approx(
                STEPS * link.schedule.in_size / link.schedule.n_reads
            )
        else:
            assert own.steps_per_sweep is None


@pytest.mark.filterwarnings("ignore")
def test_goes_on_from_the_present_state() -> None:
    """A plan of a trained model is about the steps that come, which stay as they would have been.

    The chopper flips at random: the plan must not draw from its generator.
    """
    model = small_model(in_chop_prob=0.3, units_in_mbatch=True, transfer_every=0.4)
    train(model, 7)
    twin = deepcopy(model)
    plan = training_plan(model, BATCH, steps=9)
    pipelines = [tile.tile.pipeline for tile in tracking_tiles(model).values()]
    before = [pipeline.link.schedule.n_reads for pipeline in pipelines]
    train(model, 9)
    train(twin, 9)
    for own, pipeline, n_reads in zip(plan.tiles.values(), pipelines, before):
        assert own.reads_per_step * 9 == pytest.approx(pipeline.link.schedule.n_reads - n_reads)
    for tile, other in zip(tracking_tiles(model).values(), tracking_tiles(twin).values()):
        assert torch.equal(tile.fast_weights, other.fast_weights)
        assert torch.equal(tile.slow_weights, other.slow_weights)
        assert torch.equal(tile.chopper, other.chopper)


@pytest.mark.parametrize("auto_scale", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_batch_is_measured(auto_scale: bool) -> None:
    """With a batch the pulses on P are those that the counters expect of that step."""
    model = small_model(auto_scale=auto_scale, fast_lr=0.05)
    plan = training_plan(model, steps=STEPS, loss=mse)
    estimate_coincidences(model)
    train(model, 1)
    for own, tile in zip(plan.tiles.values(), tracking_tiles(model).values()):
        pipeline = tile.tile.pipeline
        expected = float(pipeline.counters.expected_coincidences) / pipeline.fast.weights.numel()
        assert own.fast_pulses == pytest.approx(expected, rel=1e-5)
        assert own.vectors_per_step == BATCH
    x, y = batch()
    layer = nn.Linear(5, 2, bias=False)
    analog = convert_to_analog(layer, quiet_config())
    own = training_plan(
        analog, steps=1, loss=lambda model: nn.functional.mse_loss(model(x), y)
    ).tiles["analog_module"]
    error = 2.0 * (analog(x) - y).detach() / y.numel()
    assert own.product == pytest.approx(float((x.abs().mean(1) * error.abs().mean(1)).mean()))


@pytest.mark.parametrize(
    ("product", "transfer_lr", "anneal_sweeps"),
    [(0.02, 0.01, 0.0), (0.02, 0.01, 4.0), (9.0, 0.01, 0.0), (9.0, 0.5, 0.0), (9.0, 0.5, 4.0)],
)
@pytest.mark.filterwarnings("ignore")
def test_numbers_of_a_plan(product: float, transfer_lr: float, anneal_sweeps: float) -> None:
    """Pulses on P, no more than a train has, and pulses on W, no more than a transfer has.

    Four sweeps over five lines, without a chopper: the residual grows to half of the range at most.
    """
    settings = {"reference": ReferenceType.ZERO, "in_chop_prob": 0.0, "units_in_mbatch": True}
    rates = {"fast_lr": 0.05, "transfer_lr": transfer_lr, "scale_transfer_lr": False}
    model = small_model(**settings, **rates, transfer_every=1.0, anneal_sweeps=anneal_sweeps)
    plan = training_plan(model, 3, steps=20, product=product)
    own = plan.tiles["0.analog_module"]
    step, n_states = 0.01, 120.0
    fast = 3 * min(product * 0.05 / step, 31.0)
    residual = 0.5 * min(20 * fast, n_states) * step
    read = min(transfer_lr / step * residual, 1.0)
    gains = [min((anneal_sweeps / k) ** 0.5, 4.0) if anneal_sweeps else 1.0 for k in range(1, 5)]
    assert own.fast_pulses == pytest.approx(fast)
    assert own.slow_total == pytest.approx(read * sum(gains))
    assert own.slow_pulses == pytest.approx(read * sum(gains) / 20)
    assert own.fast_share == pytest.approx(min(20 * fast / n_states, 1.0))
    assert own.slow_share == pytest.approx(min(read * sum(gains) / n_states, 1.0))


@pytest.mark.filterwarnings("ignore")
def test_slow_pulses_are_a_bound() -> None:
    """No run sends more pulses to W; one of constant gradients sends a tenth of the bound."""
    settings = {"in_chop_random": False, "in_chop_prob": 0.5, "fast_lr": 0.1}
    model = small_model(**settings)
    plan = training_plan(model, steps=STEPS, loss=mse)
    train(model, STEPS)
    for own, tile in zip(plan.tiles.values(), tracking_tiles(model).values()):
        pipeline = tile.tile.pipeline
        counted = float(pipeline.counters.slow_pulses) / pipeline.slow.weights.numel()
        assert own.learns
        assert 0.1 * own.slow_total < counted <= own.slow_total


def test_vectors_of_layers() -> None:
    """Convolutions see batch x positions: by the shape of the input, or by name."""
    torch.manual_seed(1)
    config = quiet_config()
    model = nn.Sequential(
        AnalogConv2d(1, 2, 3, rpu_config=config),
        nn.Flatten(),
        AnalogLinear(2 * 4 * 4, 2, rpu_config=config),
    )
    vectors = [4 * 16, 4]
    plan = training_plan(model, input_shape=(4, 1, 6, 6), steps=2000)
    assert [own.vectors_per_step for own in plan.tiles.values()] == vectors
    named = training_plan(model, {"0": 64, "2": 4}, steps=2000)
    assert named.to_dict() == plan.to_dict()
    for tile in tracking_tiles(model).values():
        assert tile.tile.pipeline.counters.forward_mvms == 0


def test_table_and_warning() -> None:
    """A late first write stands in the table and in a warning, which the first step repeats."""
    model = small_model(in_chop_prob=0.05, units_in_mbatch=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = training_plan(model, BATCH, steps=100)
    # 20 sweeps of 5 columns, and the one in which the reference is used for the first time.
    assert plan.tiles["0.analog_module"].first_write == 21 * 5 + 1
    text = str(plan)
    assert "0: W is written for the first time after step 105; the run has 100" in text
    assert "first write of W, step" in text
    assert "106" in text
    with pytest.warns(UserWarning, match="W of 0 learns nothing in 100 steps") as caught:
        train(model, 3)
    assert len([one for one in caught if "learns nothing" in str(one.message)]) == 1
    assert all(not tile.tile.pipeline.link.listeners for tile in tracking_tiles(model).values())


def test_new_plan_forgets_the_warning() -> None:
    """A plan of a run that is long enough warns of nothing, and takes back what another said."""
    model = small_model(in_chop_prob=0.5, transfer_lr=1.0)
    assert training_plan(model, BATCH, steps=2).idle_tiles
    assert training_plan(model, BATCH, steps=1000).idle_tiles == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(model, 2)


WORDS: Dict[str, Tuple[Dict[str, Any], Dict[str, Any], str]] = {
    "off": ({"transfer_lr": 0.0}, {}, "no line of P is read"),
    "slow": ({"transfer_lr": 1e-6, "in_chop_prob": 0.5}, {}, "raise transfer_lr"),
    "few pulses": ({"fast_lr": 1e-7, "in_chop_prob": 0.5}, {}, "a cell of P gets"),
    "bounds": ({"fast_lr": 2.0, "in_chop_prob": 0.5}, {"product": 0.5}, "P can cross its range"),
}


@pytest.mark.parametrize("name", WORDS)
def test_words(name: str) -> None:
    """Each fault is named with its layer and a remedy."""
    settings, arguments, words = WORDS[name]
    plan = training_plan(small_model(**settings), 50, steps=100, **arguments)
    assert any(words in warning and warning.startswith("0") for warning in plan.warnings)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "exactly one"),
        ({"vectors_per_step": 3, "input_shape": (1, 5)}, "exactly one"),
        ({"vectors_per_step": 0}, "vectors_per_step"),
        ({"vectors_per_step": {"0": 3}}, "no number for"),
        ({"vectors_per_step": {"0": 3, "2": 3, "fc": 1}}, "'fc'"),
        ({"input_shape": (1, 7)}, "input_shape"),
        ({"vectors_per_step": 3, "steps": 0}, "steps"),
        ({"vectors_per_step": 3, "lr": -1.0}, "lr"),
    ],
)
def test_bad_arguments(arguments: Dict[str, Any], words: str) -> None:
    """Arguments that say nothing, too much or something wrong are refused by name."""
    with pytest.raises(ArgumentError, match=words):
        training_plan(small_model(), **{"steps": 10, **arguments})


def test_needs_a_tracking_tile() -> None:
    """A digital model has no plan."""
    with pytest.raises(TileError, match="no TrackingTile"):
        training_plan(nn.Linear(2, 2), 1, steps=1)
    assert isinstance(training_plan(small_model(), 1, steps=1), TrainingPlan)
