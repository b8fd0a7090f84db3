"""What the defaults do in the first steps: writes, learning rates, scaling of errors."""

from __future__ import annotations

from itertools import cycle
from typing import Any, Dict, List

import numpy as np
import pytest
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.optim import AnalogSGD
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, StepLR

from aihwkit_dspt import PAPER_SETTINGS, TransferStart, build_config
from aihwkit_dspt.stages.settling import OVER, SETTLED
from aihwkit_dspt.tiles.link import Link
from aihwkit_dspt.tiles.pipeline import Pipeline
from tests.helpers import quiet_config, quiet_device
from tests.table import DEVICES, METHODS, PRESETS, TRACKING_ALGORITHMS, preset


def layer_of(config: Any, in_size: int = 8, out_size: int = 4) -> AnalogLinear:
    """Return a layer with learnable weights in one tile."""
    config.mapping.max_input_size = config.mapping.max_output_size = 0
    return AnalogLinear(in_size, out_size, rpu_config=config, bias=False)


def pipeline_of(layer: AnalogLinear) -> Pipeline:
    """Return the pipeline of the one tile of a layer."""
    (tile,) = layer.analog_tiles()
    pipeline: Pipeline = tile.tile.pipeline
    return pipeline


def train(layer: AnalogLinear, optimizer: AnalogSGD, batch: int, gain: float = 1.0) -> None:
    """Train one step towards a fixed direction."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(batch, layer.in_features, generator=generator)
    optimizer.zero_grad()
    (layer(x) * gain).mean().backward()
    optimizer.step()


@pytest.mark.parametrize(("name", "in_size"), zip(PRESETS, cycle([3, 64, 300])))
def test_the_slow_array_learns_from_the_first_sweep_on(name: str, in_size: int) -> None:
    """A sweep takes 64 vectors, whatever the layer; its reads go on to the slow array."""
    torch.manual_seed(1)
    layer = layer_of(preset(name), in_size)
    optimizer = AnalogSGD(layer.parameters(), lr=0.1)
    link: Link = pipeline_of(layer).link
    assert link.timing.writes(0)
    for _ in range(8):
        assert link.schedule.sweep == 0
        train(layer, optimizer, 8)
    assert (link.schedule.sweep, link.schedule.n_reads) == (1, in_size)
    # What did not leave the buffer as pulses is in it: each line with a residual has taken part.
    n_pulses = pipeline_of(layer).counters.slow_pulses
    assert n_pulses > 0 or bool((link.buffer.hidden != 0.0).any())
    if link.target.n_states > 100:
        assert n_pulses > 0


@pytest.mark.parametrize("name", ["ERIDERReRamArrayHfO2Preset", "ERIDERReRamSBPreset"])
def test_few_states_need_some_sweeps_for_a_pulse(name: str) -> None:
    """The first pulse comes within a tenth of what the paper's settings wait for (20 sweeps)."""
    torch.manual_seed(1)
    layer = layer_of(preset(name), 64)
    optimizer = AnalogSGD(layer.parameters(), lr=0.1)
    steps = 0
    while pipeline_of(layer).counters.slow_pulses == 0:
        train(layer, optimizer, 8)
        steps += 1
        assert steps < 20 * 64 / 10


def started(layer: AnalogLinear) -> AnalogLinear:
    """Return a layer whose faster start is over."""
    link = pipeline_of(layer).link
    link.schedule.sweep = SETTLED
    link.settling.load_state(OVER)
    return layer


@pytest.mark.parametrize("name", PRESETS)
def test_the_learning_rate_scales_the_gradient_pulses(name: str) -> None:
    """Linearly, from 1e-6 to 1, at the same batch, once a run has started."""
    found = []
    for lr in (1e-6, 0.1, 1.0):
        torch.manual_seed(1)
        layer = started(layer_of(preset(name)))
        train(layer, AnalogSGD(layer.parameters(), lr=lr), 8)
        found.append(float(pipeline_of(layer).fast_lr.current) / lr)
    # The output noise of the backward pass is in the errors: it is seeded by torch, but not in C++.
    assert found == pytest.approx([found[1]] * 3, rel=0.5)


@pytest.mark.parametrize("algorithm", TRACKING_ALGORITHMS)
def test_fast_weights_move_as_the_learning_rate_says(algorithm: str) -> None:
    """Mean of the fast array against lr, with pulses of a fine device in their linear range.

    Pulses of a line are shared by its cells: the ratios have a standard deviation of some 7 %.
    A square law would give 4 and 16.
    """
    moved = []
    for lr in (0.0, 0.002, 0.004, 0.008):
        layer = layer_of(build_config(algorithm, quiet_device()), 256, 256)
        pipeline = pipeline_of(layer)
        before = pipeline.fast.weights.clone()
        pipeline.learning_rate = lr
        signs = pipeline.chopper_signs(pipeline.link)
        pipeline.update_vectors(torch.ones(10, 256), torch.ones(10, 256))
        moved.append(float(((before - pipeline.fast.weights) * signs).mean()))
    assert moved[0] == 0.0
    assert moved[2] / moved[1] == pytest.approx(2.0, rel=0.3)
    assert moved[3] / moved[1] == pytest.approx(4.0, rel=0.3)


def rates_of(scheduler: Any, n_steps: int) -> Any:
    """Return learning rates and rates of the transfer over some steps of a schedule."""
    torch.manual_seed(1)
    layer = started(layer_of(preset("ERIDEREcRamPreset")))
    optimizer = AnalogSGD(layer.parameters(), lr=0.1)
    schedule = scheduler(optimizer)
    rates: List[List[float]] = []
    for _ in range(n_steps):
        lr = optimizer.param_groups[0]["lr"]
        train(layer, optimizer, 8)
        link = pipeline_of(layer).link
        fast = float(pipeline_of(layer).fast_lr.current) / float(pipeline_of(layer).fast_lr.base)
        rates.append([lr, fast, float(link.rate.to_target(lr)) / link.rate.config.transfer_lr])
        schedule.step()
    return np.array(rates).T


def test_schedules_reach_both_arrays() -> None:
    """StepLR, OneCycle, warm-up: P by the learning rate, W by its ratio to the largest so far."""
    lr, fast, transfer = rates_of(lambda optimizer: StepLR(optimizer, 3, 0.1), 6)
    assert transfer == pytest.approx(lr / 0.1)
    assert fast[3:].mean() / fast[:3].mean() == pytest.approx(0.1, rel=0.5)
    lr, _, transfer = rates_of(lambda optimizer: OneCycleLR(optimizer, 0.3, total_steps=9), 9)
    assert lr.max() > 2 * lr[0]
    assert transfer == pytest.approx(lr / np.maximum.accumulate(lr))
    lr, _, transfer = rates_of(
        lambda optimizer: LambdaLR(optimizer, lambda step: min((step + 1) / 4, 1.0)), 6
    )
    assert transfer == pytest.approx(np.ones(6))


def test_largest_learning_rate_is_saved() -> None:
    """A run that goes on transfers as one that was never stopped."""
    torch.manual_seed(1)
    layer, other = (layer_of(preset("ERIDEREcRamPreset")) for _ in range(2))
    for lr in (0.3, 0.03):
        train(layer, AnalogSGD(layer.parameters(), lr=lr), 8)
    other.load_state_dict(layer.state_dict())
    for found in (layer, other):
        rate = pipeline_of(found).link.rate
        assert float(rate.to_target(0.03)) == pytest.approx(0.1 * rate.config.transfer_lr)


def test_a_rate_is_that_of_the_largest_so_far() -> None:
    """Also where the same rate was used before the largest one came, in a run or by loading."""
    layers = [layer_of(preset("ERIDEREcRamPreset")) for _ in range(2)]
    first, second = (pipeline_of(layer).link.rate for layer in layers)
    for rate in (first, second):
        before = rate(0.03, np.float32(1.0), 1)
    pipeline_of(layers[0]).follow_learning_rate(0.3)
    assert first(0.03, np.float32(1.0), 1) == pytest.approx(0.1 * before)
    layers[1].load_state_dict(layers[0].state_dict())
    # Loading may build the tile anew.
    second = pipeline_of(layers[1]).link.rate
    assert second(0.03, np.float32(1.0), 1) == pytest.approx(0.1 * before)


@pytest.mark.parametrize("gain", [1e-4, 1.0, 1e4])
def test_errors_of_any_size(gain: float) -> None:
    """A loss times a factor is the same training: its averages hold the factor."""
    layer = layer_of(quiet_config(**METHODS["E-RIDER"], auto_scale=True, auto_scale_by_batch=True))
    train(layer, AnalogSGD(layer.parameters(), lr=0.1), 8, gain)
    fast_lr = pipeline_of(layer).fast_lr
    product = float(fast_lr.current) * float(fast_lr.m_x) * float(fast_lr.m_d)
    assert product == pytest.approx(float(fast_lr.base), rel=1e-4)


@pytest.mark.parametrize("batch", [1, 4])
def test_single_vectors_are_scaled_as_in_cpp(batch: int) -> None:
    """At once and one by one are the same in every state where each vector is transferred."""
    states = []
    for by_batch in (False, True):
        scaling: Dict[str, Any] = {"auto_scale": True, "auto_scale_by_batch": by_batch}
        scaling.update(units_in_mbatch=False, transfer_every=1.0)
        config = quiet_config(**METHODS["E-RIDER"], **scaling)
        torch.manual_seed(1)
        pipeline = pipeline_of(layer_of(config))
        generator = torch.Generator().manual_seed(1)
        for _ in range(30):
            x = torch.randn(batch, 8, generator=generator)
            pipeline.update_vectors(x, torch.randn(batch, 4, generator=generator))
        link = pipeline.link
        weights = [pipeline.fast.weights, pipeline.slow.weights]
        states.append([*weights, *link.named_values().values(), link.chopper.in_sign])
    for one, other in zip(*states):
        assert torch.equal(one, other)


@pytest.mark.parametrize("device", list(DEVICES))
def test_the_papers_settings_stay_reachable(device: str) -> None:
    """By one dictionary; then the timing is that of C++ AGAD."""
    config = build_config("e-rider", DEVICES[device], **PAPER_SETTINGS)
    link = pipeline_of(layer_of(config)).link
    assert config.device.start is TransferStart.AFTER_PERIOD
    assert (link.timing.first_sweep, link.timing.period, link.schedule.sweep_every) == (21, 20, 0.0)
    assert [link.timing.gain(sweep) for sweep in (0, 100)] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("settings", "in_batches"),
    [
        ({"transfer_every": 2.0}, True),
        # Ten columns after each batch; vectors could not be counted so.
        ({"transfer_every": 0.1}, True),
        ({"units_in_mbatch": True}, True),
        ({"transfer_every": 2.0, "units_in_mbatch": False}, False),
        ({"n_arrays": 3, "transfer_every_vec": [0.25, 1.0]}, True),
    ],
    ids=str,
)
def test_transfers_counted_otherwise(settings: Any, in_batches: bool) -> None:
    """Whoever says when to transfer is not overruled by the default sweep, and counts batches."""
    device = build_config("e-rider", DEVICES["EcRam"], **settings).device
    assert device.sweep_every == 0.0
    assert device.units_in_mbatch is in_batches
