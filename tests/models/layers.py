"""One row for each kind of layer that becomes analog, in every setting that changes its forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Tuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from tests.helpers import quiet_config
from tests.table import METHODS


def config(**settings: Any) -> Any:
    """Return a configuration whose products are exact."""
    return quiet_config(**{**METHODS["E-RIDER"], **settings})


@dataclass(frozen=True)
class Row:
    """A layer, the call that is made of it, and how many tiles it takes."""

    make: Callable[[], nn.Module]
    shape: Tuple[int, ...]
    n_tiles: int = 1
    call: Callable[[nn.Module, Tensor], Any] = lambda layer, x: layer(x)


def packed(layer: nn.Module, x: Tensor) -> Any:
    """Call with sequences of several lengths, not in order."""
    lengths = torch.tensor([3, x.shape[0], 1])
    return layer(pack_padded_sequence(x, lengths, enforce_sorted=False))


def twice(layer: nn.Module, x: Tensor) -> Any:
    """Take two steps, the first one from no state."""
    return layer(x, layer(x))


def with_state(*shapes: Tuple[int, ...]) -> Callable[[nn.Module, Tensor], Any]:
    """Return a call that passes a state other than zeros."""
    generator = torch.Generator().manual_seed(3)
    states = tuple(torch.randn(shape, generator=generator) for shape in shapes)

    def call(layer: nn.Module, x: Tensor) -> Any:
        placed = tuple(state.to(x.device) for state in states)
        return layer(x, placed if len(placed) > 1 else placed[0])

    return call


def attends(n_keys: int = 0, **settings: Any) -> Callable[[nn.Module, Tensor], Any]:
    """Return a call of an attention: of itself, or of keys and values of their own."""

    def call(layer: nn.Module, x: Tensor) -> Any:
        placed = {
            name: value.to(x.device) if isinstance(value, Tensor) else value
            for name, value in settings.items()
        }
        if not n_keys:
            return layer(x, x, x, **placed)
        generator = torch.Generator().manual_seed(3)
        key, value = (torch.randn(n_keys, 2, n, generator=generator) for n in (6, 5))
        return layer(x, key.to(x.device), value.to(x.device), **placed)

    return call


def causal(n: int) -> Tensor:
    """Return a mask that hides what comes later."""
    return torch.triu(torch.ones(n, n, dtype=torch.bool), 1)


HIDDEN_LAST = torch.tensor([[False, False, False, True], [False, False, True, True]])
LINEAR: Dict[str, Row] = {
    "linear": Row(lambda: nn.Linear(6, 4), (5, 6)),
    "linear, no bias": Row(lambda: nn.Linear(6, 4, bias=False), (5, 2, 6)),
    "linear, subclass": Row(
        lambda: nn.modules.linear.NonDynamicallyQuantizableLinear(6, 4), (5, 6)
    ),
    "linear, larger than a tile": Row(lambda: nn.Linear(520, 4), (5, 520), 2),
}


def conv(kind: Any, *args: Any, n_tiles: int = 1, size: int = 7, **settings: Any) -> Row:
    """Return a row for a convolution of four channels to four or six."""
    n_dims = int(kind.__name__[-2])
    n_out = args[0] if args else 4
    return Row(lambda: kind(4, n_out, 3, **settings), (2, 4, *[size] * n_dims), n_tiles)


CONVOLUTIONS: Dict[str, Row] = {
    **{
        f"{kind.__name__}, {name}": conv(kind, **settings)
        for kind in (nn.Conv1d, nn.Conv2d, nn.Conv3d)
        for name, settings in {
            "strides": {"stride": 2, "padding": 1, "size": 5},
            "dilation": {"dilation": 2, "size": 5},
            "same": {"padding": "same", "dilation": 2, "size": 5},
            "reflect": {"padding": 1, "padding_mode": "reflect", "size": 4},
        }.items()
    },
    "Conv2d, valid": conv(nn.Conv2d, padding="valid"),
    "Conv2d, same, even kernel": Row(lambda: nn.Conv2d(2, 3, (2, 4), padding="same"), (2, 2, 5, 6)),
    "Conv2d, same, replicate": conv(nn.Conv2d, padding="same", padding_mode="replicate"),
    "Conv2d, circular": conv(nn.Conv2d, padding=2, padding_mode="circular", bias=False),
    "Conv2d, reflect, no batch": Row(
        lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 5, 6)
    ),
    "Conv2d, groups": conv(nn.Conv2d, 6, groups=2, n_tiles=2),
    "Conv2d, depthwise, circular": conv(
        nn.Conv2d, 8, groups=4, padding=1, padding_mode="circular", n_tiles=4
    ),
    "Conv2d, groups, no batch": Row(lambda: nn.Conv2d(4, 6, 3, groups=2), (4, 5, 5), 2),
    "Conv1d, groups": conv(nn.Conv1d, 6, groups=2, n_tiles=2),
    "Conv1d, more than a tile": Row(lambda: nn.Conv1d(192, 3, 3, padding=1), (2, 192, 5), 2),
    "Conv1d, no batch": Row(lambda: nn.Conv1d(3, 4, 3, padding=1), (3, 5)),
    "Conv1d, same, even kernel": Row(lambda: nn.Conv1d(3, 4, 2, padding="same"), (2, 3, 5)),
    "Conv3d, more than a tile": Row(lambda: nn.Conv3d(24, 2, 3), (1, 24, 3, 3, 3), 2),
    "ConvTranspose1d": conv(nn.ConvTranspose1d, stride=2, padding=1, output_padding=1),
    "ConvTranspose2d": conv(nn.ConvTranspose2d, 6, stride=2, dilation=2, bias=False),
    "ConvTranspose2d, groups": conv(nn.ConvTranspose2d, 6, groups=2, padding=2, n_tiles=2),
    "ConvTranspose2d, much output padding": conv(
        nn.ConvTranspose2d, stride=1, dilation=3, output_padding=2
    ),
    "ConvTranspose2d, output size": Row(
        lambda: nn.ConvTranspose2d(3, 2, 3, stride=3, padding=1),
        (2, 3, 4, 5),
        call=lambda layer, x: layer(x, [12, 14]),
    ),
    "ConvTranspose2d, no batch": Row(lambda: nn.ConvTranspose2d(3, 2, 2, stride=2), (3, 4, 5)),
    "ConvTranspose3d": conv(nn.ConvTranspose3d, stride=2, size=3),
}

ATTENTION: Dict[str, Row] = {
    "attention": Row(lambda: nn.MultiheadAttention(8, 2), (4, 2, 8), 4, attends()),
    "attention, batch first": Row(
        lambda: nn.MultiheadAttention(8, 2, batch_first=True),
        (2, 4, 8),
        4,
        attends(average_attn_weights=False),
    ),
    "attention, no batch": Row(lambda: nn.MultiheadAttention(8, 2), (4, 8), 4, attends()),
    "attention, no weights": Row(
        lambda: nn.MultiheadAttention(8, 2, bias=False), (4, 2, 8), 4, attends(need_weights=False)
    ),
    "attention, masks": Row(
        lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True, add_zero_attn=True),
        (4, 2, 8),
        4,
        attends(attn_mask=causal(4), key_padding_mask=HIDDEN_LAST),
    ),
    "attention, causal": Row(
        lambda: nn.MultiheadAttention(8, 2),
        (4, 2, 8),
        4,
        attends(attn_mask=causal(4), is_causal=True, need_weights=False),
    ),
    "attention, mask for each head": Row(
        lambda: nn.MultiheadAttention(8, 2),
        (4, 2, 8),
        4,
        attends(attn_mask=torch.linspace(-1, 1, 64).view(4, 4, 4), need_weights=False),
    ),
    "attention, other keys": Row(
        lambda: nn.MultiheadAttention(8, 2, kdim=6, vdim=5), (4, 2, 8), 4, attends(n_keys=3)
    ),
    "encoder": Row(
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 12, 0.0, batch_first=True), 2
        ),
        (2, 4, 8),
        12,
        lambda layer, x: layer(x, src_key_padding_mask=HIDDEN_LAST.to(x.device)),
    ),
    "encoder, norm first": Row(
        lambda: nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", norm_first=True), (4, 2, 8), 6
    ),
    "decoder": Row(
        lambda: nn.TransformerDecoderLayer(8, 2, 12, 0.0),
        (4, 2, 8),
        10,
        lambda layer, x: layer(x, 2 * x, tgt_mask=causal(4).to(x.device), tgt_is_causal=True),
    ),
}

RECURRENT: Dict[str, Row] = {
    **{
        f"{kind.__name__}, {name}": Row(
            lambda kind=kind, settings=settings: kind(3, 4, **settings), (5, 3, 3), n_tiles, call
        )
        for kind in (nn.LSTM, nn.GRU, nn.RNN)
        for name, settings, n_tiles, call in (
            ("plain", {}, 2, lambda layer, x: layer(x)),
            ("two layers, both ways", {"num_layers": 2, "bidirectional": True}, 8, packed),
            ("batch first", {"batch_first": True, "bias": False}, 2, lambda layer, x: layer(x)),
        )
    },
    "LSTM, projections": Row(
        lambda: nn.LSTM(3, 4, 2, proj_size=2),
        (5, 3, 3),
        6,
        with_state((2, 3, 2), (2, 3, 4)),
    ),
    "GRU, state": Row(lambda: nn.GRU(3, 4), (5, 3, 3), 2, with_state((1, 3, 4))),
    "LSTM, no batch": Row(lambda: nn.LSTM(3, 4), (5, 3), 2, with_state((1, 4), (1, 4))),
    "RNN, relu": Row(lambda: nn.RNN(3, 4, nonlinearity="relu"), (5, 3, 3), 2),
    "LSTMCell": Row(lambda: nn.LSTMCell(3, 4), (2, 3), 2, with_state((2, 4), (2, 4))),
    "GRUCell": Row(lambda: nn.GRUCell(3, 4), (2, 3), 2, with_state((2, 4))),
    "RNNCell": Row(lambda: nn.RNNCell(3, 4), (3,), 2, with_state((4,))),
    "RNNCell, no state": Row(lambda: nn.RNNCell(3, 4, False, "relu"), (2, 3), 2, twice),
}


def hugging_face() -> nn.Module:
    """Return GPT-2's linear layer."""
    return pytest.importorskip("transformers.pytorch_utils").Conv1D(4, 6)


def experts() -> nn.Module:
    """Return the experts of a small Mixtral."""
    package = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    config = package.MixtralConfig(hidden_size=6, intermediate_size=4, num_local_experts=3)
    return package.MixtralExperts(config)


def mixed(layer: nn.Module, x: Tensor) -> Tensor:
    """Return what two experts, one or none of them make of each vector."""
    numbers = torch.tensor([[0, 1], [2, 0], [1, 2], [3, 3], [0, 3]])
    weights = torch.tensor([[0.7, 0.3], [0.4, 0.6], [0.5, 0.5], [0.2, 0.8], [0.9, 0.1]])
    return layer(x, numbers, weights)


LAYERS: Dict[str, Row] = {
    **LINEAR,
    **CONVOLUTIONS,
    **ATTENTION,
    **RECURRENT,
    "Hugging Face's Conv1D": Row(hugging_face, (5, 2, 6)),
    "Hugging Face's experts": Row(experts, (5, 6), 6, mixed),
}
"""Name -> row."""


def made(row: Row) -> nn.Module:
    """Return the layer with weights that the devices of the tests can hold, and biases."""
    layer = row.make()
    with torch.no_grad():
        for name, value in layer.named_parameters():
            if "norm" not in name:
                value.uniform_(-0.4, 0.4)
    return layer


def tensors(output: Any) -> List[Tensor]:
    """Return all tensors of an output."""
    if isinstance(output, PackedSequence):
        return [output.data]
    if isinstance(output, (tuple, list)):
        return [tensor for part in output for tensor in tensors(part)]
    return [] if output is None else [output]


def passes(layer: nn.Module, row: Any, x: Tensor) -> Tuple[List[Tensor], Tensor]:
    """Return the outputs and the gradient of the input."""
    x = x.clone().requires_grad_()
    outputs = tensors(row.call(layer, x))
    generator = torch.Generator().manual_seed(1)
    weights = [torch.randn(out.shape, generator=generator).to(x.device) for out in outputs]
    sum((out * weight).sum() for out, weight in zip(outputs, weights)).backward()
    return [out.detach() for out in outputs], x.grad
