"""Acceptance 2: the weights that are really used are ``W + gamma*c*(P - Q~)``, always.

Forward and backward are probed with identity inputs under perfect IO; W, P, Q~ and c come from the
public properties, in double precision. Weights are of order 0.6 and gamma at most 1, so a few
single-precision roundings of 6e-8 stay below the tolerance of 1e-6.
"""

from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any, Dict

import pytest
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.configs.devices import ConstantStepDevice, SoftBoundsDevice
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.presets.compounds import PCMPresetUnitCell
from aihwkit.simulator.presets.devices import ReRamArrayHfO2PresetDevice

from aihwkit_dspt import (
    ReferenceSync,
    ReferenceType,
    TrackingRPUConfig,
    TrackingTile,
    TrackingTransferCompound,
    TransferScope,
)
from aihwkit_dspt.tiles.names import named_values
from tests.helpers import (
    draw_batch,
    mixed_weight,
    perfect,
    quiet_device,
    quiet_tile,
    used_weights,
)
from tests.table import METHODS

TOLERANCE = 1e-6
N_FUZZ = 120
N_FUZZ_DEFAULT = 60
"""So many of them in the default run."""

N_UPDATES = 25
N_BATCHED = 100
"""Reads of each unit vector that go through the batched product, whatever the size of the tile."""


def assert_algebra(tile: TrackingTile, when: str) -> None:
    """Compare what is used, what is reported and what it has to be."""
    expected = mixed_weight(tile)
    for repeats in (1, N_BATCHED):
        for name, used in zip(("forward", "backward"), used_weights(tile, repeats)):
            error = (used - expected).abs().max().item()
            assert error <= TOLERANCE, f"{name} differs by {error} {when}, {repeats} repeats"
    assert (tile.tile.get_weights() - expected).abs().max() <= TOLERANCE, when
    choppers = [name for name in named_values(tile.tile.pipeline) if name.endswith("chopper")]
    assert all((tile.value(name).abs() == 1.0).all() for name in choppers)


def noisy_device() -> SoftBoundsDevice:
    """Return a device with variation, cycle-to-cycle noise, write noise, decay and diffusion."""
    return SoftBoundsDevice(
        dw_min=0.02, write_noise_std=1.0, up_down_dtod=0.2, lifetime=100.0, diffusion=0.01
    )


DEVICES = {
    "quiet": quiet_device,
    "noisy": noisy_device,
    "HfO2": ReRamArrayHfO2PresetDevice,
    # A pulse into one cell may refresh others.
    "PCM": PCMPresetUnitCell,
}


def draw_settings(random: Random) -> Dict[str, Any]:
    """Return random valid settings of the compound."""
    choose = random.choice
    reference = choose([ReferenceType.DYNAMIC] * 3 + [ReferenceType.ZERO, ReferenceType.STATIC])
    dynamic = reference is ReferenceType.DYNAMIC
    settings: Dict[str, Any] = {
        "reference": reference,
        "gamma": choose([0.0, 0.1, 1.0]),
        "in_chop_prob": choose([0.5, 0.3, 0.0]),
        "in_chop_random": choose([True, False]),
        "out_chop_prob": choose([0.0, 0.4]),
        "transfer_columns": choose([True, False]),
        "transfer_scope": choose(list(TransferScope)),
        "transfer_every": choose([1.0, 0.5, 2.5, 4.0, 0.0, -0.02]),
        "units_in_mbatch": choose([True, False]),
        "forget_buffer": choose([True, False]),
        "momentum": choose([0.0, 0.3]),
        "buffer_cap": choose([0.0, 0.5]),
        "no_buffer": random.random() < 0.15,
        "auto_scale": choose([True, False]),
        "auto_granularity": choose([0.0, 20.0]),
        "correct_gradient_magnitudes": random.random() < 0.3,
        "scale_fast_lr": choose([True, False]),
        "scale_transfer_lr": choose([True, False]),
        "fast_lr": choose([0.0, 0.5, 2.0]),
        "transfer_lr": choose([0.3, 3.0]),
        "step": choose([1.0, 2.0]),
        "construction_seed": choose([0, 5]),
    }
    if dynamic:
        settings["reference_sync"] = choose(list(ReferenceSync))
        settings["experimental_correct_accumulation"] = random.random() < 0.2
        if settings["in_chop_prob"] == 0.0:
            settings["reference_sync"] = ReferenceSync.EVERY_READ
            settings["eta"] = 0.3
    if reference is not ReferenceType.ZERO and random.random() < 0.4:
        settings["reference_device"] = choose([ConstantStepDevice(dw_min=0.01), noisy_device()])
    return settings


def draw_tile(random: Random) -> TrackingTile:
    """Return a tile of random settings, sizes, devices and bias."""
    n_arrays, settings = random.choice([2, 2, 3, 4]), draw_settings(random)
    if n_arrays > 2 and random.random() < 0.5:
        settings["gamma"] = [random.choice([0.0, 0.3, 1.0]) for _ in range(n_arrays - 1)]
    if n_arrays > 2 and random.random() < 0.7:
        settings["transfer_every_vec"] = [random.choice([1.0, 2.5, -0.02])] * (n_arrays - 1)
    compound = TrackingTransferCompound(
        unit_cell_devices=[DEVICES[random.choice(list(DEVICES))]() for _ in range(n_arrays)],
        transfer_forward=random.choice([perfect(), IOParameters()]),
        transfer_update=UpdateParameters(desired_bl=random.choice([1, 3])),
        **settings,
    )
    bias = random.choice([False, True])
    config = TrackingRPUConfig(
        device=compound,
        forward=perfect(),
        backward=perfect(),
        update=UpdateParameters(desired_bl=random.choice([5, 31])),
        mapping=MappingParameter(digital_bias=False),
    )
    tile = TrackingTile(random.choice([1, 4]), random.choice([1, 6]), config, bias)
    tile.set_learning_rate(random.choice([0.1, 0.5]))
    tile.tile.set_weights_uniform_random(-0.2, 0.2)
    return tile


def assert_algebra_while_training(tile: TrackingTile, random: Random, when: str) -> None:
    """Update with changing batch sizes and check each time."""
    for index in range(N_UPDATES):
        tile.update(*draw_batch(tile, random.choice([1, 3, 10])))
        assert_algebra(tile, f"{when}, after update {index}")


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=[] if seed < N_FUZZ_DEFAULT else [pytest.mark.slow])
        for seed in range(N_FUZZ)
    ],
)
def test_fuzz(seed: int) -> None:
    """Random settings: while training, and after everything that sets or changes a weight."""
    random = Random(seed)
    torch.manual_seed(seed)
    tile = draw_tile(random)
    assert_algebra(tile, "after set_weights")
    assert_algebra_while_training(tile, random, "training")
    simulator = tile.tile
    sizes = simulator.d_size, simulator.x_size

    simulator.set_weights(torch.empty(sizes).uniform_(-0.3, 0.3))
    assert_algebra(tile, "after set_weights in between")
    if tile.rpu_config.device.reference is not ReferenceType.ZERO:
        for array in range(len(simulator.pipeline.links)):
            simulator.set_reference(torch.empty(sizes).uniform_(-0.3, 0.3), array)
        assert_algebra(tile, "after set_reference")
    assert_algebra_while_training(tile, random, "after setting")
    simulator.decay_weights(1.0)
    assert_algebra(tile, "after decay_weights")
    simulator.diffuse_weights()
    assert_algebra(tile, "after diffuse_weights")
    simulator.reset_columns(0, 1, 1.0)
    assert_algebra(tile, "after reset_columns")
    tile.post_update_step()
    assert_algebra(tile, "after post_update_step")

    copy = deepcopy(tile)
    assert_algebra(copy, "after deepcopy")
    loaded = TrackingTile(tile.out_size, tile.in_size, tile.rpu_config, tile.analog_bias)
    loaded.tile.load_extra(simulator.dump_extra())
    assert_algebra(loaded, "after load_extra")
    for other in (copy, loaded):
        assert (mixed_weight(other) - mixed_weight(tile)).abs().max() == 0.0
    hidden = simulator.get_hidden_parameters()
    loaded.tile.set_hidden_parameters(hidden)
    assert_algebra(loaded, "after set_hidden_parameters")
    fresh = TrackingTile(tile.out_size, tile.in_size, tile.rpu_config, tile.analog_bias)
    fresh.tile.set_hidden_parameters(hidden)
    assert_algebra(fresh, "after set_hidden_parameters of a fresh tile")
    for name in named_values(simulator.pipeline):
        assert torch.equal(fresh.value(name), tile.value(name)), name
    assert_algebra_while_training(copy, random, "after deepcopy")
    assert_algebra_while_training(loaded, random, "after loading")


CHAIN: Dict[str, Any] = {
    "unit_cell_devices": [quiet_device() for _ in range(3)],
    "gamma": 0.5,
    "transfer_every_vec": [1.0, 2.0],
}


@pytest.mark.parametrize("chain", [{}, CHAIN], ids=["two arrays", "three arrays"])
@pytest.mark.parametrize("method", METHODS)
def test_layer_uses_it(method: str, chain: Dict[str, Any]) -> None:
    """What a layer computes, and its gradient, use the mixed weight; also through a state dict."""
    config = quiet_tile(**{**METHODS[method], **chain}).rpu_config

    def make() -> AnalogLinear:
        return AnalogLinear(6, 4, bias=False, rpu_config=config)

    layer, loaded = make(), make()
    tile = next(iter(layer.analog_tiles()))
    tile.set_learning_rate(0.1)
    for _ in range(40):
        tile.update(*draw_batch(tile))
        x = torch.eye(6, requires_grad=True)
        output = layer(x)
        expected = mixed_weight(tile).float()
        assert torch.allclose(output, expected.t(), atol=TOLERANCE)
        gradient = torch.randn(6, 4)
        output.backward(gradient)
        assert torch.allclose(x.grad, gradient @ expected, atol=5 * TOLERANCE)
        # The backward pass of the layer leaves the update to the optimiser.
        assert torch.equal(mixed_weight(tile).float(), expected)
    loaded.load_state_dict(layer.state_dict())
    assert torch.allclose(loaded(torch.eye(6)), expected.t(), atol=TOLERANCE)
    assert torch.allclose(deepcopy(layer)(torch.eye(6)), expected.t(), atol=TOLERANCE)


@pytest.mark.parametrize("method", ["residual", "RIDER", "E-RIDER"])
def test_residual_matters(method: str) -> None:
    """The tests above are not empty: the residual part is far above the tolerance."""
    tile = quiet_tile(**METHODS[method])
    largest = 0.0
    for _ in range(40):
        tile.update(*draw_batch(tile))
        largest = max(largest, (mixed_weight(tile) - tile.slow_weights).abs().max().item())
    assert largest > 1e-3


def test_set_weights_sets_the_mixed_weight() -> None:
    """Within the bounds the new weight is used exactly, whatever was learned before."""
    for method, settings in METHODS.items():
        tile = quiet_tile(**settings)
        for _ in range(40):
            tile.update(*draw_batch(tile))
        weight = torch.empty(4, 6).uniform_(-0.4, 0.4)
        chopper, estimate = tile.chopper, tile.sp_estimate
        tile.set_weights(weight)
        assert (used_weights(tile)[0] - weight).abs().max() <= TOLERANCE, method
        assert not tile.transfer_buffer.any()
        assert torch.equal(tile.chopper, chopper)
        assert torch.equal(tile.sp_estimate, estimate)
