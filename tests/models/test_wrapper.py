"""Models of a class of one's own, which aihwkit wraps."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
import torch
from aihwkit.nn.modules.container import AnalogSequential, AnalogWrapper
from aihwkit.simulator.configs import InferenceRPUConfig
from torch import Tensor, nn

from aihwkit_dspt import convert, to_inference
from tests.helpers import quiet_config
from tests.saved_copies import COPIES
from tests.table import METHODS


class Net(nn.Module):
    """A model of a class of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Conv1d(4, 4, 1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of both layers."""
        return self.second(self.first(x).unsqueeze(-1)).squeeze(-1)


class Stateful(Net):
    """Pickles in a way of its own."""

    def __getstate__(self) -> Dict[str, Any]:
        return {**vars(self), "seen": True}


WAYS: Dict[str, Callable[[Any], Any]] = {
    **COPIES,
    "the oldest protocol": lambda model: pickle.loads(pickle.dumps(model, 0)),
}


@pytest.mark.parametrize("make", [Net, Stateful, lambda: nn.Conv2d(4, 4, 1, groups=2)])
@pytest.mark.parametrize("way", WAYS)
def test_a_model_can_be_saved_whole(way: str, make: Callable[[], nn.Module]) -> None:
    """It comes back as the same class, with the same arrays."""
    analog = convert(make(), quiet_config(**METHODS["E-RIDER"]))
    again = WAYS[way](analog)
    assert type(again) is type(analog)
    assert isinstance(again, AnalogWrapper)
    assert getattr(again, "seen", False) == isinstance(analog, Stateful)
    for one, other in zip(analog.analog_tiles(), again.analog_tiles()):
        assert torch.equal(one.get_weights()[0], other.get_weights()[0])
    x = torch.randn(2, 4, 3, 3) if isinstance(analog, nn.Conv2d) else torch.randn(2, 4)
    assert not isinstance(analog, Net) or torch.equal(analog(x), again(x))


def test_another_process_loads_it(tmp_path: Path) -> None:
    """That process has converted nothing, so it has no class of the wrapper yet."""
    torch.save(convert(Net(), quiet_config(**METHODS["E-RIDER"])), tmp_path / "model.pt")
    script = (
        "import sys, torch; model = torch.load(sys.argv[1], weights_only=False); "
        "print(type(model).__name__, len(list(model.analog_tiles())))"
    )
    path = str(tmp_path / "model.pt")
    command = [sys.executable, "-c", script, path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["AnalogWrapperNet", "3"], done.stderr


def test_inference_models_can_be_saved() -> None:
    """As the training model can."""
    inner = convert(nn.Sequential(nn.Linear(4, 4)), quiet_config(**METHODS["E-RIDER"]))[0]
    model = Net()
    model.first, model.second = inner, nn.Identity()
    inference = to_inference(model, InferenceRPUConfig())
    assert isinstance(inference, AnalogWrapper)
    assert type(COPIES["torch.save"](inference)) is type(inference)


def test_a_sequence_keeps_all_that_it_has() -> None:
    """Hooks of its backward pass, buffers, parameters and attributes."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    called = []
    for module in (model, model[0]):
        module.register_full_backward_hook(lambda *_: called.append("full"))
        module.register_full_backward_pre_hook(lambda *_: called.append("before"))
    model.register_buffer("steps", torch.ones(3))
    model.register_parameter("scale", nn.Parameter(torch.ones(3)))
    model.note = "mine"
    analog = convert(model, quiet_config(**METHODS["E-RIDER"]))
    assert isinstance(analog, AnalogSequential)
    analog(torch.randn(2, 4, requires_grad=True)).sum().backward()
    assert called == ["before", "before", "full", "full"]
    assert analog.note == "mine"
    assert torch.equal(analog.steps, model.steps)
    assert "scale" in dict(analog.named_parameters())
