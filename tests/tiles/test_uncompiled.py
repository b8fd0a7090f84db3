"""``torch.compile`` compiles what is around tiles; exports take digital copies."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn.conversion import convert_to_analog, convert_to_digital
from aihwkit.simulator.configs.configs import InferenceRPUConfig
from torch import nn

from aihwkit_dspt import analog_optimizer, convert, states_in_tensors, to_inference
from tests.helpers import difference, quiet_config
from tests.optim.models import batch, loss_of, states, tracking_network


class Block(nn.Module):
    """Two analog layers with digital ones between them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = tracking_network()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, norm, activation, last = self.layers
        return last(activation(norm(first(x))))


def test_a_compiled_model_trains_as_a_plain_one() -> None:
    """Bit for bit; the graphs hold the digital layers."""
    plain = Block()
    model = deepcopy(plain)
    operations: List[str] = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        operations.extend(str(node.target) for node in graph.graph.nodes)
        return graph.forward

    torch._dynamo.reset()
    compiled: Any = torch.compile(model, backend=backend)
    optimizers = analog_optimizer(plain), analog_optimizer(model)
    for _ in range(3):
        data = batch()
        for each, optimizer in zip((plain, compiled), optimizers):
            torch.manual_seed(1)
            loss_of(each, *data).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert difference(states(plain.layers), states(model.layers)) is None
    found = " ".join(operations)
    assert "layer_norm" in found
    assert "tanh" in found
    torch._dynamo.reset()


def test_compiled_convolutions() -> None:
    """aihwkit's layer asks in its forward where its tile is."""
    model = convert_to_analog(nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh()), quiet_config())
    x = torch.randn(2, 2, 5, 5)
    torch._dynamo.reset()
    compiled: Any = torch.compile(model, backend="eager")
    assert torch.equal(compiled(x), model(x))
    assert not model[0].analog_module.is_cuda
    torch._dynamo.reset()


EXPORTS = {
    "torch.export": lambda model, x: torch.export.export(model, (x,), strict=False),
    "strict": lambda model, x: torch.export.export(model, (x,), strict=True),
    "trace": lambda model, x: torch.jit.trace(model, (x,)),
    "script": lambda model, _: torch.jit.script(model),
    "fx": lambda model, _: torch.fx.symbolic_trace(model),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_export_is_refused(name: str) -> None:
    """With the way that works; the model can be used as before."""
    model, x = tracking_network().eval(), batch()[0]
    # Strict exports wrap the error and quote it.
    expected = Exception if name == "strict" else TileError
    with pytest.raises(expected, match=r"cannot be exported.*convert_to_digital\(model\)"):
        EXPORTS[name](model, x)
    model(x)
    model.train()
    loss_of(model, *batch()).backward()


@pytest.mark.parametrize("through_inference", [False, True])
@pytest.mark.parametrize("name", EXPORTS)
def test_a_digital_copy_is_exported(name: str, through_inference: bool) -> None:
    """It gives the same outputs."""
    model, (x, _) = tracking_network().eval(), batch()
    source = to_inference(model, InferenceRPUConfig()) if through_inference else model
    digital: nn.Module = convert_to_digital(source).eval()
    exported = EXPORTS[name](digital, x)
    run = exported.module() if isinstance(exported, torch.export.ExportedProgram) else exported
    with torch.no_grad():
        assert torch.allclose(run(x), model(x), atol=1e-5)


LAYERS: Dict[str, Callable[[], nn.Module]] = {
    "Linear": lambda: nn.Linear(8, 4),
    "Linear, several arrays": lambda: nn.Linear(600, 4),
    "Conv2d": lambda: nn.Conv2d(2, 3, 3),
    "Conv2d, groups": lambda: nn.Conv2d(4, 4, 3, groups=4),
    "Conv2d, padded": lambda: nn.Conv2d(2, 3, 3, padding="same", padding_mode="reflect"),
    "Conv1d": lambda: nn.Conv1d(2, 3, 3),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(2, 3, 2, 2),
    "LSTM": lambda: nn.LSTM(4, 4),
    "GRUCell": lambda: nn.GRUCell(4, 4),
    "TransformerEncoder": lambda: nn.TransformerEncoder(
        nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), 1
    ),
}


@pytest.mark.parametrize("name", ["script", "fx"])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_are_refused_alike(layer: str, name: str) -> None:
    """Whatever the layers around tiles do with their inputs; alone and within others."""
    model = convert(nn.Sequential(nn.Tanh(), LAYERS[layer]()), quiet_config())
    for module in (model, model[1]):
        with pytest.raises(TileError, match=r"cannot be exported.*convert_to_digital\(model\)"):
            EXPORTS[name](module, None)
    names = [each for each, _ in model.named_modules()]
    assert any("analog_module" in each for each in names)


def test_onnx_by_traces(tmp_path: Path) -> None:
    """The old exporter asks for tensors first; with states in tensors it comes to the tile."""
    pytest.importorskip("onnx")
    model, (x, _) = tracking_network().eval(), batch()
    path = tmp_path / "model.onnx"
    for each in (model, states_in_tensors(deepcopy(model))):
        with pytest.raises(TileError, match=r"cannot be exported.*convert_to_digital\(model\)"):
            torch.onnx.export(each, (x,), str(path), dynamo=False)
    with pytest.raises(TileError, match="states_in_tensors"):
        model.state_dict()["0.analog_module.analog_tile_state"].detach()
    torch.onnx.export(convert_to_digital(model).eval(), (x,), str(path), dynamo=False)
    assert path.stat().st_size > 0


def test_onnx(tmp_path: Path) -> None:
    """Of a digital copy, and the refusal of the model itself."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    model, (x, _) = tracking_network().eval(), batch()
    path = tmp_path / "model.onnx"
    with pytest.raises(torch.onnx.OnnxExporterError, match=r"convert_to_digital\(model\)"):
        torch.onnx.export(model, (x,), path, dynamo=True)
    torch.onnx.export(convert_to_digital(model).eval(), (x,), path, dynamo=True)
    operations = {node.op_type for node in onnx.load(path).graph.node}
    assert {"Gemm", "Tanh"} <= operations
