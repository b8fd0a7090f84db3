"""What conversion keeps of a model, and what it refuses."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any, List

import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError, TileError
from aihwkit.nn import AnalogLinear
from aihwkit.nn.conversion import convert_to_digital
from aihwkit.nn.modules.container import AnalogSequential, AnalogWrapper
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import InferenceRPUConfig
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, weight_norm

from aihwkit_dspt import TrackingTile, conversion_report, convert, to_inference
from tests.helpers import quiet_device
from tests.models.layers import LAYERS, config, made, tensors


class Twice(nn.Module):
    """Uses a layer, a block and an activation in several places."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.again = self.first
        self.block = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.blocks = nn.ModuleList([self.block, self.first, self.block])
        self.row = nn.Sequential(self.first, self.block[1], self.first)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all places."""
        x = self.again(self.first(x))
        for block in self.blocks:
            x = block(x)
        return self.row(x)


def test_shared_stays_shared() -> None:
    """One layer has one tile in all of its places, and nothing is lost."""
    model, x = Twice(), torch.randn(3, 4)
    analog = convert(model, config())
    assert analog.first is analog.again is analog.blocks[1] is analog.row[0] is analog.row[2]
    assert analog.block is analog.blocks[0] is analog.blocks[2]
    assert analog.row[1] is analog.block[1]
    assert len(analog.row) == 3
    assert len(list(analog.analog_tiles())) == 2
    assert (model(x) - analog(x)).abs().max() <= 1e-5
    report = conversion_report(analog)
    assert [(row.name, row.multiplications) for row in report.analog] == [
        ("first", 16 * 5),
        ("block.0", 16 * 3),
    ]
    assert type(model.first) is type(model.row[0]) is nn.Linear
    copied = deepcopy(analog)
    assert copied.first is copied.row[2] is not analog.first


@pytest.mark.parametrize("other", ["embedding", "linear"])
def test_tied_weights_are_kept_or_untied(other: str) -> None:
    """An array cannot be shared with a table: the layer stays digital, or gets a copy."""
    head = nn.Linear(4, 8, bias=False)
    first: nn.Module = nn.Embedding(8, 4) if other == "embedding" else nn.Linear(4, 8)
    nn.init.uniform_(first.weight, -0.4, 0.4)
    head.weight = first.weight
    model = nn.Sequential(first, head, nn.Linear(8, 64))
    with pytest.warns(UserWarning, match="1: stays digital.*tied='untie'"):
        kept = convert(model, config())
    assert kept[0].weight is kept[1].weight
    assert isinstance(kept[2], AnalogLinear)
    reason = next(row.reason for row in conversion_report(kept).digital if row.name == "1")
    assert reason.startswith("tied to 0.weight")
    untied = convert(model, config(), tied="untie")
    assert isinstance(untied[1], AnalogLinear)
    assert (untied[1].get_weights()[0] - first.weight).abs().max() <= 1e-6
    assert model[0].weight is model[1].weight


def test_modes_hooks_and_frozen_layers() -> None:
    """Evaluation stays evaluation, hooks are called, and what is frozen does not learn."""
    model = nn.Sequential(
        nn.Linear(4, 4), nn.GRU(4, 4), nn.Dropout(0.9), nn.Conv1d(4, 4, 1, padding="same")
    )
    called: List[str] = []
    for name in "0", "1":
        layer = model.get_submodule(name)
        layer.register_forward_hook(lambda *_, name=name: called.append(name))
    model[0].weight.requires_grad_(False)
    model[1].requires_grad_(False)
    model.eval()
    analog = convert(model, config())
    assert not any(module.training for module in analog.modules() if module is not analog)
    assert not analog.training
    x = torch.randn(5, 2, 4)
    outputs = analog[1](analog[0](x))[0]
    assert called == ["0", "1"]
    optimizer = AnalogSGD(analog.parameters(), lr=1.0)
    before = deepcopy(analog)
    for _ in range(3):
        optimizer.zero_grad()
        outputs = analog[1](analog[0](x))[0]
        analog[3](outputs.transpose(1, 2)).sum().backward()
        optimizer.step()
    for (name, tile), old in zip(analog.named_analog_tiles(), before.analog_tiles()):
        assert torch.equal(tile.fast_weights, old.fast_weights) == (not name.startswith("3"))
    assert not torch.equal(analog[0].analog_module.bias, before[0].analog_module.bias)
    assert torch.equal(
        analog[1].cells[0].ih.analog_module.bias, before[1].cells[0].ih.analog_module.bias
    )


def test_every_module_keeps_its_mode() -> None:
    """Also a frozen batch norm in a network that trains."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.BatchNorm1d(4), nn.GRU(4, 4)))
    model[1][0].eval()
    analog = convert(model, config())
    modes = {name: module.training for name, module in analog.named_modules()}
    assert [name for name, training in modes.items() if not training] == ["1.0"]


def test_a_whole_model_can_be_excluded() -> None:
    """Then nothing in it is converted, as in any other module."""

    class OwnAttention(nn.MultiheadAttention):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x, x, x)[0]

    for model, names in ((OwnAttention(4, 2), []), (nn.Sequential(nn.Linear(4, 4)), [""])):
        with pytest.warns(UserWarning, match="0% of the multiplications became analog"):
            analog = convert(model, config(), exclude_modules=names)
        assert not list(analog.analog_tiles())
        x = torch.randn(3, 2, 4)
        assert torch.equal(analog(x), model(x))


@pytest.mark.parametrize("tiles", ["one", "several"])
@pytest.mark.parametrize("bias", ["digital", "analog"])
def test_weights_can_be_looked_at(bias: str, tiles: str) -> None:
    """Shape, data type, device and values that are in use; neither a parameter nor writable."""
    settings = config(digital_bias=bias == "digital")
    if tiles == "several":
        settings.mapping.max_input_size = 12
    layer = nn.Conv2d(2, 3, 3)
    with torch.no_grad():
        layer.weight.uniform_(-0.4, 0.4)
    analog = convert(layer, settings)
    weight = analog.weight
    assert (weight.shape, weight.dtype) == (layer.weight.shape, torch.float32)
    assert (weight.device, weight.ndim, weight.numel()) == (torch.device("cpu"), 4, 54)
    assert weight.is_floating_point()
    assert not weight.requires_grad
    assert not isinstance(weight, nn.Parameter)
    assert "weight" not in dict(analog.named_parameters())
    assert not any(name.endswith("weight") for name in analog.state_dict())
    assert torch.allclose(weight, layer.weight, atol=1e-6)
    assert torch.zeros_like(weight).shape == layer.weight.shape
    assert type(weight.norm()) is Tensor
    other = torch.empty_like(layer.weight).copy_(weight)
    assert weight[1, 0, 2, 1].item() == other[1, 0, 2, 1]
    assert [float(each) for each in weight[0, 1, 2]] == other[0, 1, 2].tolist()
    for write in (
        lambda: weight.add_(1.0),
        lambda: nn.init.normal_(weight),
        lambda: weight.data.mul_(0.0),
        lambda: weight.__setitem__(0, 1.0),
        lambda: setattr(weight, "data", other),
        lambda: setattr(weight, "requires_grad", True),
        lambda: torch.add(other, 1.0, out=weight),
        lambda: torch.nn.functional.conv2d(torch.ones(1, 2, 3, 3), weight),
        lambda: weight @ other.transpose(-1, -2),
    ):
        with pytest.raises(TileError, match="analog layer"):
            write()
    assert torch.allclose(weight, other)
    analog.set_weights(0.5 * other.flatten(1), None if bias == "digital" else torch.zeros(3))
    assert torch.allclose(weight, 0.5 * other, atol=1e-6)
    copied = deepcopy(analog)
    copied.set_weights(other.flatten(1), torch.zeros(3))
    assert torch.allclose(copied.weight, other, atol=1e-6)
    assert torch.allclose(analog.weight, 0.5 * other, atol=1e-6)


@pytest.mark.parametrize("name", ["linear", "Conv2d, reflect", "attention", "LSTM, plain"])
def test_to_digital_and_to_inference(name: str) -> None:
    """aihwkit's way back, and inference tiles, have the outputs of the layer."""
    row = LAYERS[name]
    x = torch.randn(row.shape)
    analog = convert(nn.ModuleList([made(row)]), config()).eval()
    expected = tensors(row.call(analog[0], x))
    for other in (convert_to_digital(analog), to_inference(analog, InferenceRPUConfig())):
        assert not any(isinstance(module, TrackingTile) for module in other.modules())
        if isinstance(other.get_submodule("0"), nn.Linear):
            assert other[0].weight.shape == analog[0].weight.shape
    for one, two in zip(expected, tensors(row.call(convert_to_digital(analog)[0], x))):
        assert (one - two).abs().max() <= 2e-5


class OwnForward(nn.Linear):
    """Does something else than a linear layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Return twice the product."""
        return 2.0 * super().forward(x)


def pruned(layer: nn.Module, name: str) -> nn.Module:
    """Return a layer of which half a parameter is held at zero."""
    return prune.l1_unstructured(layer, name, 0.5)  # type: ignore[no-any-return, no-untyped-call]


def attention() -> nn.Module:
    """Return an attention of two heads."""
    return nn.MultiheadAttention(4, 2)


class ToSame(nn.Conv2d):
    """Pads in a way of its own."""

    def _conv_forward(self, *args: Any) -> Tensor:
        return -super()._conv_forward(*args)


@pytest.mark.parametrize(
    ("make", "shape", "reason"),
    [
        (lambda: OwnForward(4, 4), (2, 4), "OwnForward has a forward of its own"),
        (lambda: ToSame(2, 2, 1), (1, 2, 2, 2), "ToSame has a forward of its own"),
        (lambda: weight_norm(nn.Linear(4, 4)), (2, 4), "its weight is computed"),
        (lambda: parametrizations.weight_norm(nn.Linear(4, 4)), (2, 4), "its weight is computed"),
        (lambda: parametrizations.spectral_norm(nn.Linear(4, 4)), (2, 4), "its weight is comput"),
        (lambda: nn.utils.spectral_norm(nn.Linear(4, 4)), (2, 4), "its weight is computed"),
        (lambda: pruned(nn.Linear(4, 4), "bias"), (2, 4), "its bias is computed"),
        (lambda: weight_norm(nn.LSTM(4, 4), "weight_hh_l0"), (2, 4), "its weight_hh_l0 is comput"),
        (
            lambda: parametrizations.weight_norm(nn.GRU(4, 4), "weight_ih_l0"),
            (2, 4),
            "its weight_ih_l0 is computed",
        ),
        (lambda: weight_norm(attention(), "in_proj_weight"), (), "its in_proj_weight is computed"),
        (lambda: nn.Conv2d(40, 40, 3, groups=40), (1, 40, 3, 3), "40 groups.*max_groups=40"),
        (lambda: nn.LazyLinear(4), (), "its weight had no size yet"),
        (lambda: nn.Bilinear(4, 4, 4), (), "bilinear"),
        (lambda: nn.Linear(4, 0), (2, 4), "its weight has no entries"),
        (lambda: nn.Linear(0, 4), (2, 0), "its weight has no entries"),
        (lambda: nn.Conv1d(4, 0, 1), (), "its weight has no entries"),
    ],
)
@pytest.mark.filterwarnings(
    "ignore:.*weight_norm:FutureWarning", "ignore:Lazy modules", "ignore:Initializing zero"
)
def test_what_does_something_else_stays_digital(make: Any, shape: Any, reason: str) -> None:
    """It is named in the report and in a warning, and gives what it gave."""
    model = nn.Sequential(make()).eval()
    with pytest.warns(UserWarning, match="0% of the multiplications became analog"):
        analog = convert(model, config())
    assert not list(analog.analog_tiles())
    assert any(re.match(reason, row.reason) for row in conversion_report(analog).digital)
    if shape:
        x = torch.randn(shape)
        assert torch.equal(tensors(model(x))[0], tensors(analog(x))[0])


@pytest.mark.parametrize(("most", "n_tiles"), [(4, 0), (5, 5), (6, 5)])
@pytest.mark.filterwarnings("ignore:.*of the multiplications became analog")
def test_as_many_groups_as_are_asked_for(most: int, n_tiles: int) -> None:
    """An array each, or all of them digital."""
    analog = convert(nn.Sequential(nn.Conv2d(5, 5, 3, groups=5)), config(), max_groups=most)
    assert len(list(analog.analog_tiles())) == n_tiles


@pytest.mark.filterwarnings("ignore:Initializing zero")
def test_small_softmax_of_many_classes() -> None:
    """Its tails get no features where there are few: aihwkit's tiles end the process there."""
    model, x, y = nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10]), torch.randn(3, 8), torch.arange(3)
    for value in model.parameters():
        nn.init.uniform_(value, -0.4, 0.4)
    analog = convert(model, config())
    assert isinstance(analog.head, AnalogLinear)
    assert type(analog.tail[1][1]) is nn.Linear
    assert (model(x, 7 * y).output - analog(x, 7 * y).output).abs().max() <= 1e-5


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("make", [nn.LazyBatchNorm1d, nn.LazyInstanceNorm1d])
def test_lazy_buffers_are_refused(make: Any) -> None:
    """torch cannot copy them; after a call of the model they have a size."""
    model = nn.Sequential(nn.Linear(4, 4), make())
    with pytest.raises(ArgumentError, match=rf"1 \({make.__name__}\).*call the model once before"):
        convert(model, config())
    model(torch.randn(2, 4, 4))
    assert conversion_report(convert(model, config())).analog_share == 1.0


def test_excluded_modules() -> None:
    """Excluded ones stay as they are with all they hold; names of parts and of places count."""
    model = nn.ModuleDict(
        {"a": nn.Linear(4, 4), "b": nn.MultiheadAttention(4, 2), "c": nn.Sequential(nn.GRU(4, 4))}
    )
    model["d"] = model["a"]
    with pytest.warns(UserWarning, match="25% of the multiplications became analog. b "):
        analog = convert(model, config(), exclude_modules=["d", "b", "c.0.cells.0.ih"])
    assert type(analog["a"]) is nn.Linear
    assert type(analog["b"]) is nn.MultiheadAttention
    assert isinstance(analog["c"][0].cells[0].hh, AnalogLinear)
    assert type(analog["c"][0].cells[0].ih) is nn.Linear
    reasons = {row.name: row.reason for row in conversion_report(analog).digital}
    assert set(reasons) == {"a", "b", "b.out_proj", "c.0.cells.0.ih"}
    assert set(reasons.values()) == {"excluded by name"}


def test_configuration_of_a_layer() -> None:
    """The function sees parts by their names, and may choose other tiles."""
    seen: List[str] = []

    def choose(name: str, module: nn.Module, rpu_config: Any) -> Any:
        seen.append(name)
        return InferenceRPUConfig() if name == "0.out_proj" else rpu_config

    analog = convert(
        nn.Sequential(nn.MultiheadAttention(4, 2)), config(), specific_rpu_config_fun=choose
    )
    assert {"0.q_proj", "0.out_proj"} <= set(seen)
    assert isinstance(analog[0].q_proj.analog_module, TrackingTile)
    assert not isinstance(analog[0].out_proj.analog_module, TrackingTile)


def test_models_with_the_same_name() -> None:
    """aihwkit keeps one wrapper for each name; every model keeps its own class."""

    def make(sign: float) -> nn.Module:
        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.fc = nn.Linear(4, 4)

            def forward(self, x: Tensor) -> Tensor:
                return sign * self.fc(x)

        return Net()

    x = torch.randn(2, 4)
    for sign in (1.0, -1.0):
        model = make(sign)
        analog = convert(model, config())
        assert isinstance(analog, type(model))
        assert torch.allclose(analog(x), model(x), atol=1e-5)
        assert type(convert(model, config())) is type(analog)
        assert "AnalogWrapperNet" not in AnalogWrapper.SUBCLASSES


def test_sequential_as_aihwkit_converts_it() -> None:
    """Sequences become aihwkit's; an analog model is converted no second time."""
    analog = convert(nn.Sequential(nn.Sequential(nn.Linear(4, 4)), nn.Linear(4, 4)), config())
    assert isinstance(analog[0], AnalogSequential)
    again = convert(analog, config())
    assert type(again) is AnalogSequential
    assert len(list(again.analog_tiles())) == 2
    weights = analog[1].get_weights()[0]
    again[1].set_weights(torch.zeros(4, 4), torch.zeros(4))
    assert torch.equal(analog[1].weight, weights)


class Broken(nn.Module):
    """A layer within a layer, for the name in messages."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"layer": layer})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": 3}, "model=3 is not valid"),
        ({"rpu_config": "agad"}, "rpu_config='agad' is not valid"),
        ({"tied": "cut"}, "tied='cut' is not known"),
        ({"max_groups": 0}, "max_groups=0 is not valid"),
        ({"exclude_modules": ["inner.lyer"]}, "'inner.lyer'.*did you mean 'inner.layer'"),
        ({"model": Broken(nn.Linear(4, 4).double())}, r"inner.layer \(Linear\).*float64"),
        ({"model": Broken(nn.Linear(4, 4, device="meta"))}, r"inner.layer .Linear. is on the meta"),
    ],
)
def test_refused_arguments(arguments: Any, message: str) -> None:
    """By name, before anything is converted."""
    defaults = {"model": Broken(nn.Linear(4, 4)), "rpu_config": config()}
    with pytest.raises(ArgumentError, match=message):
        convert(**{**defaults, **arguments})


@pytest.mark.parametrize("returned", [None, 3, "e-rider", quiet_device()])
def test_configuration_that_is_not_returned(returned: Any) -> None:
    """aihwkit has a configuration of its own for ``None``, so that the method would be left out."""

    def choose(name: str, layer: nn.Module, rpu_config: Any) -> Any:
        return returned if name == "1.0" else rpu_config

    model = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.Conv2d(1, 2, 3)))
    with pytest.raises(ArgumentError, match=r"1\.0 \(Conv2d\): specific_rpu_config_fun returned"):
        convert(model, config(), specific_rpu_config_fun=choose)


def test_configuration_of_a_container() -> None:
    """Is not asked for."""

    def choose(name: str, layer: nn.Module, rpu_config: Any) -> Any:
        return rpu_config if "weight" in layer._parameters else None

    model = convert(nn.Sequential(nn.Linear(4, 3)), config(), specific_rpu_config_fun=choose)
    assert isinstance(next(model.analog_tiles()), TrackingTile)


def test_errors_of_tiles_name_the_layer() -> None:
    """They keep their kind, and the model is as it was."""

    def choose(name: str, module: nn.Module, rpu_config: Any) -> Any:
        if name == "inner.layer":
            rpu_config.device.unit_cell_devices = [quiet_device()]
        return rpu_config

    model = Broken(nn.Linear(4, 4))
    with pytest.raises(ConfigError, match=r"inner.layer \(Linear\) cannot become analog") as error:
        convert(model, config(), specific_rpu_config_fun=choose)
    assert "exclude_modules=['inner.layer']" in str(error.value)
    assert type(model.inner["layer"]) is nn.Linear
