"""aihwkit's own ``convert_to_analog`` with a configuration of this package."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from typing import Any, Callable, Dict, List

import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.nn import AnalogConv1d, AnalogConv2d, AnalogLinear, AnalogSequential
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import SingleRPUConfig
from aihwkit.simulator.parameters.mapping import MappingParameter
from torch import nn

from aihwkit_dspt import ERIDEREcRamPreset, TrackingRPUConfig, convert


def config(**fields: Any) -> TrackingRPUConfig:
    return ERIDEREcRamPreset(**fields)


CONVOLUTIONS: Dict[str, Callable[[], nn.Module]] = {
    "groups=2": lambda: nn.Conv2d(4, 4, 3, groups=2),
    "groups=4": lambda: nn.Conv1d(4, 4, 3, groups=4),
    "padding_mode='reflect'": lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
    "padding='same'": lambda: nn.Conv2d(4, 4, 3, padding="same"),
    "padding='valid'": lambda: nn.Conv3d(4, 4, 3, padding="valid"),
    "dilation=(2,)": lambda: nn.Conv1d(4, 4, 3, dilation=2),
    "600 inputs and 8 outputs": lambda: nn.Conv1d(200, 8, 3),
}


@pytest.mark.parametrize("fault", CONVOLUTIONS)
def test_convolution_without_an_analog_layer(fault: str) -> None:
    """It is refused by its name in the model, and the way that is advised works."""
    model = nn.Sequential(nn.Sequential(nn.ReLU(), CONVOLUTIONS[fault]()))
    with pytest.raises(ConfigError) as raised:
        convert_to_analog(model, config())
    message = str(raised.value)
    assert message.startswith("0.1 (Conv")
    assert fault in message
    assert "convert(model, rpu_config)" in message
    convert(model, config())
    assert convert_to_analog(model, config(), exclude_modules=["0.1"])[0][1] is not None


def test_convolutions_that_are_built() -> None:
    """Those that would fail when they are called are refused, too."""
    with pytest.raises(ConfigError, match=r"^AnalogConv2d has padding='same'.*nn\.Conv2d"):
        AnalogConv2d(4, 4, 3, padding="same", rpu_config=config())
    with pytest.raises(ConfigError, match=r"^AnalogConv1d has 600 inputs and 8 outputs"):
        AnalogConv1d(200, 8, 3, rpu_config=config())
    one = config(mapping=MappingParameter(max_input_size=0, max_output_size=0))
    assert AnalogConv1d(200, 8, 3, rpu_config=one)(torch.rand(2, 200, 5)).shape == (2, 8, 3)


def test_configuration_of_one_layer() -> None:
    """What a function says of a layer decides, not the configuration of the others."""
    one = config(mapping=MappingParameter(max_input_size=0, max_output_size=0))
    model = convert_to_analog(
        nn.Sequential(nn.Conv1d(200, 8, 3)),
        config(),
        specific_rpu_config_fun=lambda name, layer, rpu_config: one,
    )
    assert model(torch.rand(2, 200, 5)).shape == (2, 8, 3)


class Two(nn.Module):
    """A layer under two names."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.first = layer
        self.second = layer


def shared_models() -> List[nn.Module]:
    layer, activation = nn.Linear(4, 4), nn.ReLU()
    return [
        nn.Sequential(layer, nn.ReLU(), layer),
        nn.Sequential(layer, activation, nn.Linear(4, 4), activation),
        Two(layer),
        nn.Sequential(nn.Sequential(layer), nn.Sequential(layer)),
        nn.ModuleList([nn.Linear(3, 3), Two(nn.Sequential(layer))]),
    ]


@pytest.mark.parametrize("number", range(5))
def test_module_in_several_places(number: int) -> None:
    """aihwkit would drop it, or make several of it."""
    model = shared_models()[number]
    with pytest.raises(ConfigError, match=r"are one (Linear|ReLU|Sequential), and aihwkit's"):
        convert_to_analog(model, config())
    with pytest.raises(ConfigError, match="are one"):
        convert_to_analog(model, config())  # again
    convert_to_analog(model, SingleRPUConfig())  # is not ours to refuse


def test_shared_module_that_stays_one() -> None:
    """An activation in two attributes, or a container that aihwkit changes in place."""
    two = Two(nn.ReLU())
    two.layer = nn.Linear(4, 4)
    analog = convert_to_analog(two, config())
    assert analog.first is analog.second
    block = nn.ModuleList([nn.Linear(3, 3)])
    analog = convert_to_analog(Two(block), config())
    assert analog.first[0] is analog.second[0]


def test_layers_that_stay_digital() -> None:
    """One warning names them, at the line of the caller."""
    model = nn.Sequential(nn.Linear(4, 8), nn.LSTM(8, 8), nn.ConvTranspose1d(2, 2, 3))
    with pytest.warns(UserWarning, match="leaves 1 .LSTM., 2 .ConvTranspose1d. digital") as caught:
        convert_to_analog(model, config())
    assert len(caught) == 1
    assert caught[0].filename == __file__
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), 2)
    with pytest.warns(
        UserWarning, match=r"layers\.1\.self_attn .MultiheadAttention. digital"
    ) as caught:
        convert_to_analog(encoder, config())
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_tied_weights_come_apart() -> None:
    """The warning names the layer and the table."""
    table, head = nn.Embedding(8, 4), nn.Linear(4, 8, bias=False)
    head.weight = table.weight
    with pytest.warns(UserWarning, match=r"gives 1 \(tied to 0\.weight\) a copy"):
        convert_to_analog(nn.Sequential(table, head), config())


def test_no_warning() -> None:
    """Nothing is said of what was left out by name, of whole conversions, and of ``convert``."""
    model = nn.Sequential(nn.Linear(4, 8), nn.LSTM(8, 8), nn.Embedding(3, 4), nn.LayerNorm(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert_to_analog(model, config(), exclude_modules=["1"])
        convert_to_analog(model, SingleRPUConfig())
        convert(model, config())


def test_weight_is_shown() -> None:
    """Layers from aihwkit's conversion, and those that are built and put into a model, show it."""
    digital = nn.Sequential(nn.Linear(4, 3), nn.Conv2d(1, 2, 3, bias=False))
    analog = convert_to_analog(digital, config())
    for layer, former in zip(analog, digital):
        assert layer.weight.shape == former.weight.shape
        assert layer.weight.dtype is torch.float32
        weight = layer.get_weights()[0].reshape(former.weight.shape)
        assert torch.equal(layer.weight.clone(), weight)
    assert torch.equal(analog[0].bias.clone(), analog[0].get_weights()[1])
    assert analog[1].bias is None
    assert set(analog.state_dict()) == set(convert(digital, config()).state_dict())
    built = AnalogSequential(AnalogLinear(4, 3, rpu_config=config()))
    assert built[0].weight.shape == (3, 4)
    split = config(mapping=MappingParameter(max_input_size=3))
    assert convert_to_analog(nn.Linear(8, 2), split).weight.shape == (2, 8)


def test_shown_weight_belongs_to_its_layer() -> None:
    """Copies show their own arrays."""
    model = convert_to_analog(nn.Sequential(nn.Linear(4, 3)), config())
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), loaded):
        other[0].set_weights(torch.full((3, 4), 0.1), torch.zeros(3))
        assert torch.equal(other[0].weight.clone(), other[0].get_weights()[0])
        assert not torch.equal(other[0].weight.clone(), model[0].weight.clone())


@pytest.mark.parametrize("training", [True, False])
def test_encoder(training: bool) -> None:
    """torch's fast path in evaluation asks for the weights, and goes the usual way."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    with pytest.warns(UserWarning, match="MultiheadAttention"):
        model = convert_to_analog(nn.TransformerEncoder(layer, 1), config())
    model.train(training)
    x = torch.rand(3, 5, 8)
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[1, 3:] = True
    with torch.set_grad_enabled(training):
        assert model(x).shape == x.shape
        output = model(x, src_key_padding_mask=padding)
    assert output.shape == x.shape
    if training:
        before = model.layers[0].linear1.weight.clone()
        output.square().sum().backward()
        optimizer = AnalogSGD(model.parameters(), lr=1.0)
        optimizer.step()
        assert not torch.equal(before, model.layers[0].linear1.weight.clone())
