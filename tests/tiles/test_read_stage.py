"""Products go through a batch or through C++, whichever is faster, with the same result."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.nn import AnalogConv1d, AnalogConv2d, AnalogConv3d, AnalogLinear, AnalogLinearMapped
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.io import IOParameters
from torch import Tensor, nn

from aihwkit_dspt import ReadMode, TrackingTransferCompound
from aihwkit_dspt.tiles import read_stage
from aihwkit_dspt.tiles.batched_read import BatchedRead
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.read_stage import ReadStage
from tests.helpers import quiet_config, quiet_tile

OUT, IN = 5, 7
QUIET = IOParameters(out_noise=0.0)


@pytest.fixture
def always_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the batched product for tiles and batches of any size."""
    for name in ("BATCHED_FROM", "MIN_VECTORS"):
        monkeypatch.setattr(read_stage, name, 0)


def stages() -> Any:
    """Return a stage that multiplies batches and one that does not, on the same array."""
    crossbar = Crossbar(IN, OUT, IdealDevice(), QUIET, QUIET)
    crossbar.weights.normal_()
    return [ReadStage(crossbar, QUIET, QUIET, mode) for mode in (ReadMode.AUTO, ReadMode.CPP)]


def layouts(size: int) -> Any:
    """Return vectors of a size in all layouts that layers pass, vector dimension last."""
    return {
        "matrix": torch.randn(6, size),
        "vector": torch.randn(size),
        "three dimensions": torch.randn(2, 3, size),
        "unfolded": torch.randn(2, size, 3).transpose(1, 2),
        "four dimensions": torch.randn(2, 2, 2, size),
        "strided": torch.randn(6, 2 * size)[:, ::2],
        "one": torch.randn(1, size),
        "none": torch.randn(0, size),
    }


@pytest.mark.usefixtures("always_batched")
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("trans", [False, True])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("layout", layouts(1))
def test_layouts(layout: str, backward: bool, trans: bool, bias: bool) -> None:
    """Shapes and values are those of C++; inputs stay as they are."""
    torch.manual_seed(1)
    batched, cpp = stages()
    vectors: Tensor = layouts(OUT if backward else IN - int(bias))[layout]
    if trans:
        if layout == "none":
            pytest.skip("aihwkit's tile cannot take an empty transposed batch")
        vectors = vectors.movedim(-1, 0).contiguous()
    before = vectors.clone()

    def product(stage: ReadStage, values: Tensor) -> Tensor:
        if backward:
            return stage.backward(values, bias, trans, trans)
        return stage.forward(values, bias, trans, trans, False)

    found, expected = product(batched, vectors), product(cpp, vectors.contiguous())
    assert found.shape == expected.shape
    assert torch.equal(vectors, before)
    n_close = torch.isclose(found, expected, rtol=1e-5, atol=1e-5).sum()
    assert n_close >= 0.95 * found.numel()


def test_small_products_take_cpp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few vectors, or few cells, do not go through the batch; many do."""
    calls = []
    plain = BatchedRead.__call__

    def counted(self: BatchedRead, *arguments: Any, **keywords: Any) -> Tensor:
        calls.append(len(arguments[1]))
        return plain(self, *arguments, **keywords)

    monkeypatch.setattr(BatchedRead, "__call__", counted)
    batched, cpp = stages()
    for n_vectors in (1, 3, 10, 1000):
        x, d = torch.randn(n_vectors, IN), torch.randn(n_vectors, OUT)
        for stage in (batched, cpp):
            stage.forward(x, False, False, False, False)
            stage.backward(d, False, False, False)
    assert calls == [1000, 1000]


@pytest.mark.usefixtures("always_batched")
@pytest.mark.parametrize("name", ["linear", "mapped", "conv1d", "conv2d", "conv3d"])
def test_layers(name: str) -> None:
    """Outputs and input gradients of layers equal those of aihwkit's tile."""
    torch.manual_seed(2)
    layers: Any = {
        "linear": (lambda c: AnalogLinear(6, 4, rpu_config=c), (3, 6)),
        "mapped": (lambda c: AnalogLinearMapped(6, 4, rpu_config=c), (3, 6)),
        "conv1d": (lambda c: AnalogConv1d(2, 3, 3, rpu_config=c), (3, 2, 8)),
        "conv2d": (lambda c: AnalogConv2d(2, 3, 3, padding=1, rpu_config=c), (3, 2, 6, 5)),
        "conv3d": (lambda c: AnalogConv3d(2, 3, 2, rpu_config=c), (3, 2, 4, 4, 3)),
    }
    make, shape = layers[name]
    found = []
    state = None
    x = torch.randn(shape)
    for mode in (ReadMode.CPP, ReadMode.AUTO):
        config = quiet_config(gamma=0.2, read_mode=mode)
        config.mapping.max_input_size = config.mapping.max_output_size = 3 * (name == "mapped")
        layer: nn.Module = make(config)
        state = layer.state_dict() if state is None else state
        layer.load_state_dict(state)
        own = x.clone().requires_grad_()
        output = layer(own)
        output.square().sum().backward()
        found.append((output.detach(), own.grad))
    for expected, other in zip(*found):
        assert other.shape == expected.shape
        assert torch.allclose(other, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "read=batched"),
        ({"read_mode": ReadMode.CPP}, "read=cpp(read_mode=ReadMode.CPP)"),
    ],
)
def test_repr_tells(change: Any, text: str) -> None:
    """A user sees what is used."""
    assert text in repr(quiet_tile(**change))


def test_repr_names_the_obstacle() -> None:
    """And which setting stands in the way."""
    crossbar = Crossbar(IN, OUT, IdealDevice(), QUIET, QUIET)
    stage = ReadStage(crossbar, IOParameters(ir_drop=1.0), QUIET, ReadMode.AUTO)
    assert stage.describe() == "cpp(ir_drop=1.0)/batched"


def test_wrong_mode_is_refused() -> None:
    """As every misspelled setting."""
    with pytest.raises(ConfigError, match="read_mode"):
        TrackingTransferCompound(read_mode="auto")  # type: ignore[arg-type]
