"""Trainings with torch's tools on a GPU are those on the CPU, where nothing is random."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import InferenceRPUConfig
from aihwkit.simulator.presets.devices import ReRamArrayHfO2PresetDevice
from torch import nn
from torch.optim import AdamW

from aihwkit_dspt import (
    AveragedWeights,
    PulseMode,
    SymmetricPointDrift,
    SymmetricPointMonitor,
    TrackingTile,
    analog_grad_norms,
    analog_optimizer,
    at_slow_weights,
    build_config,
    convert,
    load_checkpoint,
    save_checkpoint,
    symmetric_points,
    to_inference,
    training_plan,
)
from aihwkit_dspt.tiles.of_model import tracking_tiles
from tests.drift.law import LAW
from tests.gpu.device import GPU, needs_gpu
from tests.gpu.twins import assert_equal, assert_near, on_gpu, update, weights_of
from tests.helpers import difference, draw_batch, perfect, quiet_config, quiet_device, quiet_tile
from tests.models.layers import LAYERS, made, passes
from tests.models.networks import NETWORKS, loss_of
from tests.optim.models import batch, network, tracking_network
from tests.optim.models import loss_of as classified
from tests.parallel.models import CASES, data
from tests.table import METHODS

pytestmark = needs_gpu

N_STEPS = 8


@pytest.mark.parametrize("name", CASES)
def test_tools(name: str) -> None:
    """Schedules, clipping, accumulation, scaled losses, frozen arrays, recomputed activations."""
    case = CASES[name]
    cpu = case.model()
    gpu, before = on_gpu(cpu), weights_of(cpu)
    for model in (cpu, gpu):
        case.train(model)
    assert_near(before, weights_of(cpu), weights_of(gpu))
    x = data(99, case.shape)[0]
    with torch.no_grad():
        expected = cpu(x)
        assert_near(torch.zeros_like(expected), expected, gpu(x.to(GPU)))


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    """Outputs, input gradients, norms of gradients, and what a step changes."""
    row = LAYERS[name]
    cpu, x = convert(made(row), quiet_config(**METHODS["E-RIDER"])), torch.randn(row.shape)
    gpu, before = on_gpu(cpu), weights_of(cpu)
    found = [passes(model, row, x.to(place)) for model, place in ((cpu, "cpu"), (gpu, GPU))]
    for one, other in zip([*found[0][0], found[0][1]], [*found[1][0], found[1][1]]):
        assert (one - other.cpu()).abs().max() <= 1e-4
    norms = analog_grad_norms(cpu)
    assert analog_grad_norms(gpu) == pytest.approx(norms, rel=1e-3)
    for model in (cpu, gpu):
        AnalogSGD(model.parameters(), lr=2.0).step()
    assert_near(before, weights_of(cpu), weights_of(gpu))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str) -> None:
    """Vision and language models train with the defaults."""
    torch.manual_seed(1)
    row = NETWORKS[name]
    model = convert(row.make(), build_config("e-rider", quiet_device()), **row.settings).to(GPU)
    optimizer = analog_optimizer(model, AdamW, lr=1e-3, analog_lr=row.lr)
    before = weights_of(model)
    x, y = (values.to(GPU) for values in row.data())
    for _ in range(3):
        optimizer.zero_grad()
        loss = loss_of(model, x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        assert bool(loss.isfinite())
    assert not torch.equal(weights_of(model), before)


def trained(model: nn.Module, n_steps: int = N_STEPS, average: Any = None) -> Any:
    """Train digital parameters and arrays, the same way wherever the model is."""
    generator = torch.Generator().manual_seed(2)
    optimizer = analog_optimizer(model, AdamW, lr=0.01, analog_lr=0.2)
    place = next(iter(tracking_tiles(model).values())).tile.pipeline.fast.weights.device
    for _ in range(n_steps):
        x = torch.randn(8, 6, generator=generator)
        y = torch.randint(3, (8,), generator=generator)
        optimizer.zero_grad()
        classified(model, x.to(place), y.to(place)).backward()
        optimizer.step()
        if average is not None:
            average.update_parameters(model)
    return optimizer


@pytest.mark.parametrize("decay", [None, 0.9])
def test_averages(decay: Any) -> None:
    """The digital copy is where the model is, and has its averages."""
    cpu = tracking_network()
    gpu, x = on_gpu(cpu), batch()[0]
    outputs = []
    for model in (cpu, gpu):
        average = AveragedWeights(model, decay)
        trained(model, average=average)
        with torch.no_grad():
            outputs.append(average(x.to(next(average.module.parameters()).device)).cpu())
    assert_near(torch.zeros_like(outputs[0]), *outputs)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype: torch.dtype) -> None:
    """With ``GradScaler``: outputs are those in single precision, roughly; arrays learn."""
    model = tracking_network().to(GPU)
    x, y = (values.to(GPU) for values in batch())
    optimizer = analog_optimizer(model, AdamW, lr=0.01, analog_lr=0.2)
    scaler = torch.amp.GradScaler(GPU, init_scale=2.0**8)
    before = weights_of(model)
    expected = model(x).detach()
    for _ in range(3):
        optimizer.zero_grad()
        with torch.autocast(GPU, dtype):
            output = model(x)
            loss = nn.functional.cross_entropy(output, y)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        assert nn.utils.clip_grad_norm_(model.parameters(), 1.0) > 0.0
        scaler.step(optimizer)
        scaler.update()
        if expected is not None:
            assert torch.allclose(output.float(), expected, atol=0.1)
            expected = None
    after = weights_of(model)
    assert after.isfinite().all()
    assert not torch.equal(after, before)


def test_slow_weights_and_inference() -> None:
    """W alone, inference tiles and a digital copy have the outputs that they have on the CPU."""
    cpu = tracking_network()
    trained(cpu, 30)
    gpu, x = on_gpu(cpu.eval()), batch()[0]
    for inside in (False, True):
        outputs = []
        for model in (cpu, gpu):
            given = x.to(next(model.parameters()).device)
            with torch.no_grad(), at_slow_weights(model):
                if inside:
                    outputs.append(model(given).cpu())
                    inference = to_inference(model, InferenceRPUConfig(forward=perfect()))
            with torch.no_grad():
                if not inside:
                    inference = to_inference(model, InferenceRPUConfig(forward=perfect()))
                    outputs.append(model(given).cpu())
                moved = inference.to(given.device)(given).cpu()
                assert torch.allclose(moved, outputs[-1], atol=1e-4)
        assert torch.allclose(*outputs, atol=1e-4)


@pytest.mark.parametrize("n_devices", [2, 3])
def test_drift(n_devices: int) -> None:
    """Points and devices move as on the CPU; weights stay."""
    torch.manual_seed(3)
    devices = [quiet_device() for _ in range(n_devices)]
    cpu = quiet_tile(**METHODS["E-RIDER"], unit_cell_devices=devices)
    gpu = on_gpu(cpu)
    drifts = [SymmetricPointDrift(tile, **LAW, seed=4) for tile in (cpu, gpu)]
    for _ in range(10):
        vectors = draw_batch(cpu)
        for tile, drift in zip((cpu, gpu), drifts):
            update(tile, *vectors)
            before = tile.tile.pipeline.fast.weights.clone()
            drift.advance()
            assert torch.equal(tile.tile.pipeline.fast.weights, before)
    # Moves take hidden parameters to and fro in single precision.
    assert_equal(cpu, gpu, 1e-4)
    points, theirs = symmetric_points(cpu), symmetric_points(gpu)
    for one, other in ((points.fast, theirs.fast), (points.slow, theirs.slow)):
        assert torch.allclose(one.values, other.values.cpu(), atol=1e-4)


def test_drift_below_write_noise_is_left_on_the_cpu() -> None:
    """aihwkit would clip the cells on a GPU; on the CPU batched pulses hold their weights."""
    config = build_config("e-rider", ReRamArrayHfO2PresetDevice(), pulse_mode=PulseMode.BATCHED)
    tile = TrackingTile(4, 6, config)
    drift = SymmetricPointDrift(tile, walk=0.1, arrays=[0])
    drift.advance()
    with pytest.raises(ConfigError, match="write_noise_std=0, or train on the CPU"):
        SymmetricPointDrift(on_gpu(tile), walk=0.1)
    tile.to(GPU)
    before = tile.get_hidden_parameters()
    with pytest.raises(ConfigError, match="write_noise_std=0, or train on the CPU"):
        drift.advance()
    assert difference(before, tile.get_hidden_parameters()) is None


def test_monitor() -> None:
    """It measures what it measures on the CPU."""
    histories = []
    cpu = tracking_network()
    for model in (cpu, on_gpu(cpu)):
        with SymmetricPointMonitor(model, every=2) as monitor:
            trained(model)
        histories.append(monitor.to_dict())
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        if name.endswith("_error_rms"):
            assert histories[1][name] == pytest.approx(values, rel=0.05), name
    assert histories[0]["step"] == histories[1]["step"]


def test_plan() -> None:
    """What a training will do, from a batch on the GPU."""
    cpu, (x, y) = tracking_network(), batch()
    plans = [
        training_plan(model, loss=lambda m, p=place: classified(m, x.to(p), y.to(p)), steps=500)
        for model, place in ((cpu, "cpu"), (on_gpu(cpu), GPU))
    ]
    for expected, found in zip(plans[0].tiles.values(), plans[1].tiles.values()):
        numbers, theirs = asdict(expected), asdict(found)
        assert numbers.pop("warnings") == theirs.pop("warnings")
        assert theirs == pytest.approx(numbers, rel=1e-2)


@pytest.mark.parametrize("saved_on", ["cpu", "gpu"])
def test_checkpoints_go_to_and_fro(saved_on: str, tmp_path: Path) -> None:
    """A training goes on where it was saved, and on the other device."""
    cpu = tracking_network()
    start = cpu if saved_on == "cpu" else on_gpu(cpu)
    optimizer = trained(start)
    save_checkpoint(tmp_path / "run.pt", start, optimizer, note="kept")
    resumed = []
    for place in ("cpu", GPU):
        model = network(quiet_config(**METHODS["E-RIDER"])).to(place)
        again = analog_optimizer(model, AdamW, lr=0.01, analog_lr=0.2)
        assert load_checkpoint(tmp_path / "run.pt", model, again)["note"] == "kept"
        assert {tile.tile.pipeline.fast.weights.device.type for tile in model.analog_tiles()} == {
            place
        }
        for one, other in zip(start.analog_tiles(), model.analog_tiles()):
            assert torch.equal(one.tile.get_hidden_parameters(), other.tile.get_hidden_parameters())
        before = weights_of(model)
        trained(model)
        resumed.append(weights_of(model))
    assert_near(before, *resumed)


def test_a_copy_in_between() -> None:
    """A copy of a trained model on the GPU trains on as the model does."""
    torch.manual_seed(5)
    model = tracking_network().to(GPU)
    trained(model)
    copied, before = deepcopy(model), weights_of(model)
    trained(model)
    assert torch.equal(weights_of(copied), before)
    trained(copied)
    assert_near(before, weights_of(model), weights_of(copied))
