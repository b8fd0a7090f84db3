"""What a tile cannot take is refused by name, before anything is changed."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError, TileError
from aihwkit.nn import AnalogConv2d, AnalogLinear
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.parameters.mapping import MappingParameter
from torch import Tensor, nn

from aihwkit_dspt import PulseMode, TrackingTile, build_config
from tests.helpers import difference, mixed_weight, quiet_config, quiet_tile, snapshot
from tests.table import METHODS

NAN, INF = float("nan"), float("inf")
NO_TENSOR: List[Any] = [None, "text", 1.5, [1.0], {}, np.ones((2, 6), np.float32), object(), 1j]


def tile(digital_bias: bool = True, bias: bool = False) -> TrackingTile:
    return quiet_tile(bias=bias, digital_bias=digital_bias, **METHODS["E-RIDER"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        *((value, "x_input is a ") for value in NO_TENSOR),
        (torch.ones(2, 5), r"x_input has shape \[2, 5\]: pass \[\*, 6\]"),
        (torch.tensor(1.0), r"x_input has shape \[\]: pass \[\*, 6\]"),
        (torch.eye(6).to_sparse(), "x_input has the layout"),
        (
            torch.nested.nested_tensor([torch.ones(2, 6)]),
            "x_input is a nested tensor: pass",
        ),
        (torch.ones(2, 6, device="meta"), "x_input is on meta, the arrays on cpu"),
    ],
)
@pytest.mark.parametrize("method", ["TT-v2", "E-RIDER"])
def test_inputs(values: Any, message: str, method: str) -> None:
    """Of a forward pass; nothing is read or counted."""
    layer = AnalogLinear(6, 4, rpu_config=quiet_config(**METHODS[method]))
    counters = layer.analog_module.tile.pipeline.counters
    before = counters.state()
    with pytest.raises(TileError, match=message):
        layer(values)
    assert counters.state() == before


@pytest.mark.parametrize("n_vectors", [1, 3, 40])
@pytest.mark.parametrize("method", ["TT-v2", "E-RIDER"])
def test_negative_by_a_bit(method: str, n_vectors: int) -> None:
    """As torch has the imaginary part of what is conjugated: the sign is not in the memory."""
    torch.manual_seed(3)
    first = quiet_tile(**METHODS[method])
    second = deepcopy(first)
    x, d = torch.rand(n_vectors, 6), torch.randn(n_vectors, 4)
    for made, inputs, errors in (
        (first, torch._neg_view(x), torch._neg_view(d)),
        (second, -x, -d),
    ):
        made.update(inputs, errors)
        results = made.tile.forward(inputs), made.tile.backward(errors), made(inputs)
        if made is first:
            expected = results
    assert difference(expected, results) is None
    assert difference(snapshot(first), snapshot(second)) is None


@pytest.mark.parametrize("use_indexed", [True, False])
def test_images_negative_by_a_bit(use_indexed: bool) -> None:
    """Convolutions take their patches from them."""
    config = quiet_config(**METHODS["E-RIDER"])
    layer = AnalogConv2d(2, 3, 2, rpu_config=config, use_indexed=use_indexed)
    images = torch.rand(2, 2, 5, 5)
    assert torch.equal(layer(torch._neg_view(images)), layer(-images))


def test_transposed_inputs() -> None:
    """A convolution hands its patches on with the vectors first."""
    layer = AnalogConv2d(3, 4, 2, rpu_config=quiet_config(**METHODS["E-RIDER"]), use_indexed=False)
    with pytest.raises(TileError, match=r"x_input has shape .*: pass \[(12, \*|\*, 12)\]"):
        layer(torch.ones(2, 5, 4, 4))


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("side", ["inputs", "errors"])
@pytest.mark.parametrize("by_batch", [True, False])
@pytest.mark.parametrize("mode", list(PulseMode))
def test_one_vector_that_is_not_finite(
    value: float, side: str, by_batch: bool, mode: PulseMode
) -> None:
    """A training goes on as before, with the learning rate that it had."""
    config = build_config(
        "e-rider", SoftBoundsDevice(dw_min=0.01), auto_scale_by_batch=by_batch, pulse_mode=mode
    )
    made = config.tile_class(4, 6, config)
    torch.manual_seed(1)
    batches = [(torch.rand(5, 6), torch.randn(5, 4)) for _ in range(3)]
    made.update(*batches[0])
    rate = float(made.tile.pipeline.fast_lr.current)
    (batches[1][0] if side == "inputs" else batches[1][1])[2, 1] = value
    made.update(*batches[1])
    before = made.fast_weights
    made.update(*batches[2])
    assert 0.5 * rate < float(made.tile.pipeline.fast_lr.current) < 2.0 * rate
    assert not torch.equal(made.fast_weights, before)
    assert torch.allclose(made.tile.get_weights(), mixed_weight(made).float(), atol=1e-6)


TRANSFORMS: Dict[str, Callable[[Any], Any]] = {
    "vmap": lambda model: torch.func.vmap(model)(torch.ones(3, 6)),
    "jacrev": lambda model: torch.func.jacrev(model)(torch.ones(6)),
    "jvp": lambda model: torch.func.jvp(model, (torch.ones(6),), (torch.ones(6),)),
    "grad": lambda model: torch.func.grad(lambda x: model(x).sum())(torch.ones(6)),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_of_torch(transform: str) -> None:
    """The way that works is named, and does."""
    layer = AnalogLinear(6, 4, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    with pytest.raises(TileError, match=r"transform of torch.func.*autograd.functional.jacobian"):
        TRANSFORMS[transform](layer)
    jacobian = torch.autograd.functional.jacobian(layer, torch.ones(6))
    assert torch.allclose(jacobian, layer.get_weights()[0], atol=1e-6)


WEIGHTS: List[Tuple[Any, Any, str]] = [
    *((value, None, "weight") for value in (None, "text", object(), {}, 1j, [[1.0], [1.0, 2.0]])),
    (1.0, None, r"weight has shape \[\]: pass \[4, 6\]"),
    (torch.ones(6, 4), torch.ones(4), r"weight has shape \[6, 4\]: pass \[4, 6\]"),
    (np.ones((6, 4)), torch.ones(4), r"weight has shape \[6, 4\]: pass \[4, 6\]"),
    (torch.ones(24), torch.ones(4), r"weight has shape \[24\]"),
    (torch.ones(2, 12), torch.ones(4), r"weight has shape \[2, 12\]"),
    (torch.ones(4, 6), torch.ones(1), r"bias has shape \[1\]: pass \[4\]"),
    (torch.ones(4, 6), 0.5, r"bias has shape \[\]: pass \[4\]"),
    (torch.ones(4, 6), "text", "bias"),
    (torch.full((4, 6), NAN), torch.ones(4), "weight has values that are not finite"),
    (torch.ones(4, 6), torch.full((4,), INF), "bias has values that are not finite"),
    (torch.ones(4, 6).to_sparse(), None, r"weight is sparse, .* pass a dense tensor of \[4, 6\]"),
    (torch.ones(4, 6, device="meta"), None, "weight is sparse, nested or on the device 'meta'"),
]


@pytest.mark.parametrize(("weight", "bias", "message"), WEIGHTS)
@pytest.mark.parametrize("digital_bias", [True, False])
def test_weights(weight: Any, bias: Any, message: str, digital_bias: bool) -> None:
    """aihwkit reshapes a transposed weight, and repeats one bias for all outputs."""
    one = tile(digital_bias, bias=True)
    one.set_weights(torch.zeros(4, 6), torch.zeros(4))
    before = snapshot(one)
    with pytest.raises((ArgumentError, TileError), match=message):
        one.set_weights(weight, torch.ones(4) if bias is None else bias)
    assert difference(before, snapshot(one)) is None
    assert torch.equal(one.get_weights()[1], torch.zeros(4))


def test_weights_that_fit() -> None:
    """Kernels of a convolution, arrays and nested lists."""
    kernels = torch.randn(4, 3, 2, 2) * 0.1
    layer = AnalogConv2d(3, 4, 2, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    layer.set_weights(kernels, np.arange(4.0))
    assert torch.allclose(layer.get_weights()[0].view_as(kernels), kernels, atol=1e-6)
    one = tile()
    one.set_weights(torch.full((4, 6), 0.25).tolist())
    assert torch.equal(one.get_weights()[0], torch.full((4, 6), 0.25))


RATES: List[Any] = [NAN, INF, -INF, -0.1, 1e39, 10**39, "0.1", [0.1], 1j, torch.ones(2)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("mapped", [False, True])
def test_learning_rates(rate: Any, mapped: bool) -> None:
    """A schedule that has become no number, or negative, is not followed.

    aihwkit's C++ has no negative rates, and what single precision does not have sends no pulses.
    """
    scaling = MappingParameter(
        weight_scaling_omega=0.5 * mapped, weight_scaling_lr_compensation=mapped
    )
    config = quiet_config(**METHODS["E-RIDER"])
    config.mapping = scaling
    layer = AnalogLinear(6, 4, rpu_config=config)
    one = next(layer.analog_tiles())
    optimizer = AnalogSGD(layer.parameters(), lr=0.1)
    held = one.get_learning_rate()
    for method in (one.set_learning_rate, one.tile.set_learning_rate):
        with pytest.raises(ArgumentError, match=r"learning rate .* is not valid: pass a number in"):
            method(rate)
    assert one.get_learning_rate() == held
    before = snapshot(one)
    optimizer.param_groups[0]["lr"] = rate
    layer(torch.ones(2, 6)).sum().backward()
    with pytest.raises((ArgumentError, OverflowError, TypeError, RuntimeError)):
        optimizer.step()
    assert torch.equal(one.fast_weights, before["fast_weights"])


def test_learning_rates_that_are_numbers() -> None:
    """Of any kind."""
    one = tile()
    for rate in (0, 1, np.float32(0.25), torch.tensor(0.25), torch.tensor([0.25])):
        one.set_learning_rate(rate)
        assert one.get_learning_rate() == pytest.approx(float(rate))


def mapped_tile() -> TrackingTile:
    """Return a tile with a mapping scale and learned scales for each output."""
    scaling = MappingParameter(
        weight_scaling_omega=0.5, learn_out_scaling=True, out_scaling_columnwise=True
    )
    config = quiet_config(**METHODS["E-RIDER"])
    config.mapping = scaling
    made = config.tile_class(4, 6, config)
    made.set_weights(torch.full((4, 6), 0.25))
    return made


SCALES: List[Any] = ["text", [1.0, 2.0], torch.ones(3), torch.full((4,), NAN), INF, 1j, {}]


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("method", ["set_scales", "set_learned_out_scales"])
def test_scales(scales: Any, method: str) -> None:
    """aihwkit takes what is no number, and fails half-way in torch's words."""
    one = mapped_tile()
    before = one.get_scales()
    with pytest.raises(TileError, match=r"(scales|alpha)(=| has )"):
        getattr(one, method)(scales)
    assert torch.equal(one.get_scales(), before)


def test_scales_that_fit() -> None:
    """A number counts where there are scales, too, which aihwkit does not take over."""
    one = mapped_tile()
    held = one.tile.get_weights()
    for scales in (2.0, 3, [1.0, 2.0, 3.0, 4.0], np.ones(4), torch.ones(4).double()):
        one.set_scales(scales)
        expected = torch.as_tensor(scales).float().expand(4)
        assert torch.equal(one.get_scales().expand(4), expected)
        assert torch.allclose(one.get_weights()[0], held * expected[:, None])
    with pytest.raises(TileError, match="scales has zeros"):
        one.set_scales(torch.tensor([1.0, 0.0, 1.0, 1.0]))
    one.set_learned_out_scales([1.0, 0.0, 3.0, 4.0])
    assert one.get_learned_out_scales().tolist() == [1.0, 0.0, 3.0, 4.0]


@pytest.mark.parametrize("value", [INF, NAN, -INF])
def test_scales_of_first_weights_need_not_be_numbers(value: float) -> None:
    """aihwkit's mapped layers map memory that nobody has set, and then their first weights."""
    config = quiet_config(**METHODS["E-RIDER"])
    config.mapping = MappingParameter(weight_scaling_omega=0.5)
    made = config.tile_class(4, 6, config)
    made.set_weights(torch.full((4, 6), value))
    made.set_weights(torch.full((4, 6), 0.25))
    assert torch.allclose(made.get_weights()[0], torch.full((4, 6), 0.25))
    with pytest.raises(TileError, match="weight"):
        made.set_weights(torch.full((4, 6), value))
    with pytest.raises(TileError, match="scales"):
        made.set_scales(value)


@pytest.mark.parametrize("omega", [NAN, INF, -1.0, "1", True])
def test_largest_weight(omega: Any) -> None:
    """Weights are not scaled to what is no number, or negative."""
    one = mapped_tile()
    before = snapshot(one)
    calls = (
        lambda: one.remap_weights(omega),
        lambda: one.set_weights(torch.ones(4, 6), weight_scaling_omega=omega),
        lambda: one.set_weights(torch.ones(4, 6), None, True, False, omega),
    )
    for call in calls:
        with pytest.raises(ArgumentError, match="weight_scaling_omega="):
            call()
    assert difference(before, snapshot(one)) is None


@pytest.mark.parametrize("value", NO_TENSOR)
def test_what_is_no_batch(value: Any) -> None:
    """Of an update by hand."""
    one = tile()
    before = snapshot(one)
    for pair in ((value, torch.ones(2, 4)), (torch.ones(2, 6), value)):
        with pytest.raises(TileError, match=r"(x|d)_input is a "):
            one.update(*pair)
    assert difference(before, snapshot(one)) is None


CONSTRUCTIONS: List[Tuple[Tuple[Any, ...], str]] = [
    *(((size, 3), "out_size=") for size in (None, "3", 2.5, NAN, -1, True, torch.tensor(3))),
    *(((3, size), "in_size=") for size in (None, "3", 2.5, NAN, -1, [3])),
    *(((3, 3, config), "rpu_config=") for config in (None, "e-rider", 3, {}, torch.ones(2))),
    *(((3, 3, None, flag), "rpu_config=|bias=") for flag in (None, "yes", 2, torch.ones(2))),
]


@pytest.mark.parametrize(("arguments", "message"), CONSTRUCTIONS, ids=str)
def test_construction(arguments: Tuple[Any, ...], message: str) -> None:
    """Sizes, configuration and flags."""
    sizes, config, flags = arguments[:2], arguments[2:3] or (quiet_config(),), arguments[3:]
    if flags:
        config = (quiet_config(),)
    with pytest.raises((ArgumentError, ConfigError), match=message):
        TrackingTile(*sizes, *config, *flags)


CALLS: Dict[str, Tuple[Callable[[Any, Any], Any], List[Any]]] = {
    "decay_weights": (lambda one, x: one.decay_weights(x), [NAN, INF, -1.0, "1", None]),
    "drift_weights": (lambda one, x: one.drift_weights(x), [NAN, INF, -1.0, "1", None]),
    "reset_columns start": (lambda one, x: one.reset_columns(x), [-1, 6, 1.5, None]),
    "reset_columns number": (lambda one, x: one.reset_columns(0, x), [-2, 7, 1.5, None]),
    "reset_columns prob": (lambda one, x: one.reset_columns(0, 1, x), [-0.1, 1.1, NAN, None]),
}


@pytest.mark.parametrize("name", CALLS)
def test_changes_of_arrays(name: str) -> None:
    """Numbers of decay, drift and resets; the arrays stay as they were."""
    one = tile()
    before = snapshot(one)
    call, wrong = CALLS[name]
    for value in wrong:
        with pytest.raises(ArgumentError, match="is not valid: pass"):
            call(one.tile, value)
    assert difference(before, snapshot(one)) is None


def network() -> Any:
    digital = nn.Sequential(nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2))
    return convert_to_analog(digital, quiet_config(**METHODS["E-RIDER"]))


def test_memory_format() -> None:
    """``channels_last`` is for the digital layers; arrays have an order of their own."""
    model = network().to(memory_format=torch.channels_last)
    images: Tensor = torch.rand(2, 2, 4, 4)
    expected = model(images)
    assert torch.equal(model(images.to(memory_format=torch.channels_last)), expected)


def test_moves_that_arrays_cannot_follow() -> None:
    """They stay usable."""
    model = network()
    with pytest.raises(TileError, match="cannot be on the device 'meta'"):
        model.to("meta")
    with pytest.raises(TileError, match="cannot be in shared memory"):
        model.share_memory()
    assert bool(next(model.analog_tiles())(torch.rand(8)).isfinite().all())
