"""Random valid configurations and random sequences of what users do to a layer.

Whatever happens: no crash, no value that is not finite, and forward and backward use
:math:`W + \\gamma\\, c\\, (P - \\tilde Q)` of the quantities that the tile shows.
"""

from __future__ import annotations

import io
from copy import deepcopy
from typing import Any, Callable, Dict, List

import torch
from aihwkit.exceptions import ConfigError
from aihwkit.nn import AnalogConv2d, AnalogLinear
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from aihwkit_dspt import (
    ReferenceSync,
    ReferenceType,
    TrackingRPUConfig,
    TrackingTile,
    TrackingTransferCompound,
    TransferScope,
)
from tests.device_table import ALL_VARIED
from tests.helpers import PROPERTIES, mixed_weight, perfect, tile_of

TOLERANCE = 2e-6
"""Weights are of order 1, in single precision, and the identity has three terms."""

devices = st.sampled_from(list(ALL_VARIED)).map(lambda name: deepcopy(ALL_VARIED[name]))
booleans = st.booleans()

compounds = st.fixed_dictionaries(
    {
        "unit_cell_devices": st.tuples(devices, devices).map(list),
        "gamma": st.sampled_from([0.0, 0.1, 1.0]),
        "reference": st.sampled_from(list(ReferenceType)),
        "reference_sync": st.sampled_from(list(ReferenceSync)),
        "eta": st.sampled_from([None, 0.05, 1.0]),
        "reference_device": st.one_of(st.none(), devices),
        "transfer_scope": st.sampled_from(list(TransferScope)),
        "in_chop_prob": st.sampled_from([0.0, 0.1, 0.5, 1.0]),
        "out_chop_prob": st.sampled_from([0.0, 0.3]),
        "in_chop_random": booleans,
        "transfer_every": st.sampled_from([-1.0, 0.0, 1.0, 2.5, 7.0]),
        "units_in_mbatch": booleans,
        "transfer_columns": booleans,
        "fast_lr": st.sampled_from([0.0, 0.1, 1.0]),
        "transfer_lr": st.sampled_from([0.0, 0.3, 2.0]),
        "scale_fast_lr": booleans,
        "scale_transfer_lr": booleans,
        "auto_scale": booleans,
        "auto_granularity": st.sampled_from([0.0, 100.0]),
        "buffer_granularity": st.sampled_from([0.0, 0.5]),
        "momentum": st.sampled_from([0.0, 0.5]),
        "forget_buffer": booleans,
        "no_buffer": booleans,
        "correct_gradient_magnitudes": booleans,
    }
)
mappings = st.fixed_dictionaries(
    {
        "digital_bias": booleans,
        "learn_out_scaling": booleans,
        "weight_scaling_omega": st.sampled_from([0.0, 0.3]),
        "weight_scaling_columnwise": booleans,
    }
)
Layers = Dict[str, nn.Module]


def _config(compound: Dict[str, Any], mapping: Dict[str, Any]) -> TrackingRPUConfig:
    """Return the configuration, or give the example up if the settings contradict each other."""
    try:
        device = TrackingTransferCompound(**compound)
    except ConfigError:
        assume(False)
    noisy = IOParameters(inp_res=1 / 126, out_noise=0.06)
    return TrackingRPUConfig(
        device=device,
        forward=noisy,
        backward=noisy,
        update=UpdateParameters(desired_bl=5),
        mapping=MappingParameter(**mapping),
    )


def _make(kind: str, config: TrackingRPUConfig) -> nn.Module:
    if kind == "linear":
        return AnalogLinear(5, 4, rpu_config=config)
    return AnalogConv2d(1, 4, 2, use_indexed=kind == "indexed", rpu_config=config)


def _input(layer: nn.Module) -> Tensor:
    return torch.rand(3, 5) if isinstance(layer, AnalogLinear) else torch.rand(2, 1, 3, 3)


def _train(layer: nn.Module) -> nn.Module:
    optimizer = AnalogSGD(layer.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(_input(layer)).square().mean().backward()
        optimizer.step()
    return layer


def _save_and_load(layer: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    layer.load_state_dict(torch.load(file, weights_only=True))
    return layer


def _set_weights(layer: nn.Module) -> nn.Module:
    weight, bias = layer.get_weights()
    layer.set_weights(0.5 * weight, None if bias is None else 0.5 * bias)
    return layer


def _evaluate(layer: nn.Module) -> nn.Module:
    layer.eval()
    with torch.no_grad():
        layer(_input(layer))
    return layer.train()


def _remap(layer: nn.Module) -> nn.Module:
    layer.remap_analog_weights()
    return layer


ACTIONS: Dict[str, Callable[[nn.Module], nn.Module]] = {
    "train": _train,
    "save and load": _save_and_load,
    "deepcopy": deepcopy,
    "set weights": _set_weights,
    "evaluate": _evaluate,
    "remap": _remap,
}


def check(layer: nn.Module) -> None:
    """Assert that all is finite and forward and backward use the mixed weight."""
    tile = tile_of(layer)
    for name in PROPERTIES:
        assert getattr(tile, name).isfinite().all(), name
    expected = mixed_weight(tile)
    assert (tile.tile.get_weights() - expected).abs().max() <= TOLERANCE
    quiet = _without_noise(tile)
    forward = quiet.forward(torch.eye(tile.tile.get_x_size())).t()
    backward = quiet.backward(torch.eye(tile.tile.get_d_size()))
    assert (forward - expected).abs().max() <= TOLERANCE
    assert (backward - expected).abs().max() <= TOLERANCE


def _without_noise(tile: TrackingTile) -> Any:
    """Return a copy of the simulator tile that is read without non-idealities."""
    config = deepcopy(tile.rpu_config)
    config.forward = config.backward = perfect()
    copied = tile._recreate_simulator_tile(*reversed(tile.tile.pipeline.sizes()), config)
    copied.load_extra(tile.tile.dump_extra())
    return copied


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(["linear", "conv", "indexed"]),
    compound=compounds,
    mapping=mappings,
    actions=st.lists(st.sampled_from(list(ACTIONS)), min_size=3, max_size=8),
)
def test_no_sequence_breaks_a_layer(
    kind: str, compound: Dict[str, Any], mapping: Dict[str, Any], actions: List[str]
) -> None:
    """30 configurations with up to 8 actions each; hypothesis' own seed is fixed."""
    layer = _train(_make(kind, _config(compound, mapping)))
    check(layer)
    for action in actions:
        layer = ACTIONS[action](layer)
        check(layer)
