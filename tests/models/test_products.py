"""Models that take the weight and the bias of a layer in place of calling the layer."""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Any, Callable, Dict

import pytest
import torch
import torch.nn.functional as F
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogLinear
from aihwkit.nn.conversion import convert_to_digital
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs import FloatingPointRPUConfig
from torch import Tensor, nn

from aihwkit_dspt import conversion_report, convert
from tests.models.layers import config


def linear(bias: bool = True) -> nn.Linear:
    """Return a layer that fits into the arrays."""
    layer = nn.Linear(4, 6, bias=bias)
    for value in layer.parameters():
        nn.init.uniform_(value, -0.4, 0.4)
    return layer


BIAS = torch.arange(6.0)

PRODUCTS: Dict[str, Callable[[Any, Tensor], Tensor]] = {
    "linear": lambda layer, x: F.linear(x, layer.weight),
    "its bias": lambda layer, x: F.linear(x, layer.weight, layer.bias),
    "another bias": lambda layer, x: F.linear(input=x, weight=layer.weight, bias=BIAS),
    "a copy of its bias": lambda layer, x: F.linear(
        x, layer.weight, BIAS if layer.bias is None else layer.bias.clone() + BIAS
    ),
    "weight.T": lambda layer, x: x @ layer.weight.T,
    "weight.t()": lambda layer, x: torch.matmul(x, layer.weight.t()),
    "transpose": lambda layer, x: x @ layer.weight.transpose(-2, -1).contiguous(),
    "permute": lambda layer, x: x @ layer.weight.permute(1, 0),
    "there and back": lambda layer, x: F.linear(x, layer.weight.mT.T),
    "to": lambda layer, x: x @ layer.weight.to(x.dtype).T,
    "in bfloat16": lambda layer, x: (x.bfloat16() @ layer.weight.bfloat16().T).float(),
    "mm": lambda layer, x: torch.mm(x[0], layer.weight.t()),
    "addmm": lambda layer, x: torch.addmm(BIAS, x[0], layer.weight.t()),
    "from the left": lambda layer, x: layer.weight @ x.transpose(1, 2),
    "one vector": lambda layer, x: layer.weight @ x[0, 0],
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", PRODUCTS)
def test_products_with_all_weights_are_those_of_the_layer(name: str, bias: bool) -> None:
    """Outputs, gradients of input and bias are torch's, and the array learns."""
    layer, call = linear(bias), PRODUCTS[name]
    analog = convert(layer, config())
    results = []
    for each in layer, analog:
        x = torch.linspace(-1.0, 1.0, 24).view(2, 3, 4).requires_grad_()
        y = call(each, x)
        y.square().mean().backward()
        results += [y.detach(), x.grad]
    tolerance = 0.02 if name == "in bfloat16" else 1e-5  # eight bits, outputs of up to one
    assert (results[0] - results[2]).abs().max() <= tolerance
    assert (results[1] - results[3]).abs().max() <= tolerance
    if name in ("its bias", "a copy of its bias") and bias:
        assert torch.allclose(analog.bias.grad, layer.bias.grad, atol=1e-5)
    before = analog.analog_module.fast_weights
    AnalogSGD(analog.parameters(), lr=1.0).step()
    assert not torch.equal(analog.analog_module.fast_weights, before)


@pytest.mark.parametrize(
    "call",
    [
        lambda layer, x: x @ layer.weight[:2].T,
        lambda layer, x: torch.ones(2, 6) @ layer.weight,
        lambda layer, x: F.linear(x, layer.weight.view(4, 6)),
        lambda layer, x: F.conv1d(x.transpose(1, 2), layer.weight.unsqueeze(-1)),
        lambda layer, x: [x @ part.T for part in layer.weight.chunk(2)],
        lambda layer, x: torch.einsum("bti,oi->bto", x, layer.weight),
        lambda layer, x: layer.weight @ layer.weight.T,
    ],
)
def test_other_products_are_refused(call: Callable[[Any, Tensor], Any]) -> None:
    """Those with a part of the weights, or from the other side, would not train the array."""
    analog = convert(nn.Sequential(linear()), config())
    with pytest.raises(TileError, match=r"'0', an analog layer.*exclude_modules=\['0'\]"):
        call(analog[0], torch.ones(2, 3, 4))
    assert not analog[0].analog_module.analog_ctx.has_gradient()
    with pytest.raises(TileError, match=r"an analog layer.*exclude_modules of convert"):
        call(convert(linear(), config()), torch.ones(2, 3, 4))


class Mixer(nn.Module):
    """Hands on the weight of its convolution, as Mamba does."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 4, 3, **settings)

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution without its padding."""
        return F.conv1d(x, self.conv.weight, self.conv.bias, groups=self.conv.groups)


@pytest.mark.filterwarnings("ignore:.*became analog")
@pytest.mark.parametrize(
    "settings", [{"groups": 4}, {}, {"padding": 2, "padding_mode": "circular"}]
)
def test_a_refused_product_of_a_convolution_says_what_to_exclude(settings: Any) -> None:
    """What it says is enough: the model runs."""
    model = nn.Sequential(nn.Conv1d(4, 4, 1), nn.ModuleDict({"mixer": Mixer(**settings)})["mixer"])
    analog, x = convert(model, config()), torch.randn(2, 4, 5)
    message = r"conv1d with the weight of '1.conv', .*exclude_modules=\['1.conv'\]"
    with pytest.raises(TileError, match=message):
        analog(x)
    with pytest.raises(TileError, match=r"div_ would not reach the arrays of '1\.conv'"):
        analog[1].conv.weight.div_(2.0)
    excluded = convert(model, config(), exclude_modules=["1.conv"])
    assert excluded(x).shape == (2, 4, 3)


def test_product_without_an_analog_bias_is_refused() -> None:
    """The array has the bias in it; with its own bias the product is the layer's."""
    layer, x = linear(), torch.randn(2, 4)
    analog = convert(layer, config(digital_bias=False))
    assert (F.linear(x, analog.weight, analog.bias) - layer(x)).abs().max() <= 1e-5
    assert torch.allclose(analog.bias, layer.bias, atol=1e-6)
    with pytest.raises(TileError, match="digital_bias=True"):
        F.linear(x, analog.weight)


@pytest.mark.parametrize("tiles", ["one", "several"])
def test_bias_can_be_looked_at(tiles: str) -> None:
    """It is the parameter of the tile, or ``None``, and follows copies; it is not written to."""
    settings = config()
    if tiles == "several":
        settings.mapping.max_input_size = 2
    layer = linear()
    analog = convert(layer, settings)
    assert convert(linear(bias=False), settings).bias is None
    assert torch.equal(analog.bias, layer.bias)
    assert (analog.bias.shape, analog.bias.dtype) == (layer.bias.shape, layer.bias.dtype)
    assert analog.bias.requires_grad
    assert [name for name, _ in analog.named_parameters() if name == "bias"] == []
    for write in (analog.bias.data.zero_, lambda: nn.init.zeros_(analog.bias)):
        with pytest.raises(TileError, match="set_weights"):
            write()
    for copied in (deepcopy(analog), pickle.loads(pickle.dumps(analog))):
        copied.set_weights(torch.zeros(6, 4), torch.ones(6))
        assert torch.equal(copied.bias, torch.ones(6))
    assert torch.equal(analog.bias, layer.bias)


CONVOLUTIONS = {
    "1d": lambda: nn.Conv1d(4, 6, 3, padding=1),
    "groups": lambda: nn.Conv2d(4, 6, 3, groups=2),
    "reflect": lambda: nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"),
    "3d, groups": lambda: nn.Conv3d(4, 4, 2, groups=4, bias=False),
    "transposed": lambda: nn.ConvTranspose2d(4, 6, 2, stride=2),
    "transposed, groups": lambda: nn.ConvTranspose1d(4, 6, 2, groups=2),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_show_what_torch_has(name: str) -> None:
    """Weight, bias and settings, also where other layers took the place of the convolution."""
    layer = CONVOLUTIONS[name]()
    analog = convert(layer, FloatingPointRPUConfig())
    found = analog.module if hasattr(analog, "module") else analog
    assert (found.weight.shape, found.weight.dtype) == (layer.weight.shape, torch.float32)
    assert found.weight.device == layer.weight.device
    assert torch.allclose(found.weight, layer.weight, atol=1e-6)
    assert (found.bias is None) == (layer.bias is None)
    assert layer.bias is None or torch.equal(found.bias, layer.bias)
    for setting in ("in_channels", "kernel_size", "stride", "dilation", "groups", "padding_mode"):
        assert getattr(found, setting) == getattr(layer, setting)
    with pytest.raises(TileError, match="analog layer"):
        found.weight.add_(1.0)


ASSIGNMENTS: Dict[str, Callable[[Any], Any]] = {
    "weight": lambda model: setattr(model[0], "weight", nn.Parameter(torch.zeros(4, 2, 1, 1))),
    "bias": lambda model: setattr(model[0], "bias", nn.Parameter(torch.zeros(4))),
    "fusion": lambda model: nn.utils.fuse_conv_bn_eval(*model),
}


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_parameters_cannot_be_assigned(name: str) -> None:
    """They would be taken and not used; the layer goes on as it was, also in a copy."""
    layers = nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4)).eval()
    analog = convert(layers, config())
    x = torch.randn(3, 2, 5, 5)
    for each in (analog, deepcopy(analog), pickle.loads(pickle.dumps(analog))):
        before, weight, bias = each(x), each[0].weight.detach(), each[0].bias.detach()
        with pytest.raises(TileError, match=r"set_weights\(weight, bias\)"):
            ASSIGNMENTS[name](each)
        assert torch.equal(each[0].weight, weight)
        assert torch.equal(each[0].bias, bias)
        assert torch.equal(each(x), before)
    fused = nn.utils.fuse_conv_bn_eval(*convert_to_digital(analog).eval())
    assert (fused(x) - analog(x)).abs().max() <= 1e-5


class Named(nn.Linear):
    """A linear layer with an attribute of its own."""

    def __init__(self) -> None:
        super().__init__(4, 4)
        self.gain = 3.0


def test_attributes_of_a_layer_are_kept() -> None:
    """Code around a subclass may read them."""
    analog = convert(nn.Sequential(Named()), config())
    assert isinstance(analog[0], AnalogLinear)
    assert analog[0].gain == 3.0


def swin() -> nn.Module:
    """Return a torchvision Swin transformer, which hands on weight and bias of its layers."""
    package = pytest.importorskip("torchvision.models.swin_transformer")
    return package.SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4], num_classes=4)


def swin_v2() -> nn.Module:
    """Return one that copies the bias and writes into the copy."""
    package = pytest.importorskip("torchvision.models.swin_transformer")
    kinds = {
        "block": package.SwinTransformerBlockV2,
        "downsample_layer": package.PatchMergingV2,
    }
    return package.SwinTransformer([4, 4], 16, [1, 1], [2, 2], [4, 4], num_classes=4, **kinds)


def beit() -> nn.Module:
    """Return a BEiT of timm, which joins a bias of other parameters."""
    package = pytest.importorskip("timm.models.beit")
    return package.Beit(32, 8, num_classes=4, embed_dim=32, depth=1, num_heads=4, qkv_bias=True)


def falcon() -> nn.Module:
    """Return a Falcon, whose linear layers have a forward of their own."""
    package = pytest.importorskip("transformers")
    sizes = {"vocab_size": 16, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4}
    config = package.FalconConfig(**sizes, bos_token_id=0, eos_token_id=1)
    return package.FalconForCausalLM(config)


def mamba() -> nn.Module:
    """Return a Mamba, which multiplies from the left; of 64 channels."""
    package = pytest.importorskip("transformers")
    sizes = {"vocab_size": 16, "hidden_size": 32, "num_hidden_layers": 1, "state_size": 4}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    return package.MambaForCausalLM(package.MambaConfig(**sizes, **ends))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*stays digital")
@pytest.mark.parametrize("make", [swin, swin_v2, beit, falcon, mamba])
def test_models_that_multiply_with_weights_of_layers(make: Callable[[], nn.Module]) -> None:
    """They give what they gave, and most of them is analog."""
    model = make().eval()
    analog = convert(model, FloatingPointRPUConfig())
    x = torch.randint(16, (2, 5)) if make in (falcon, mamba) else torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        outputs = [getattr(y, "logits", y) for y in (model(x), analog(x))]
    assert (outputs[0] - outputs[1]).abs().max() <= 1e-4
    share = conversion_report(analog).analog_share
    assert share is not None
    assert share > 0.6
