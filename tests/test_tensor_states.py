"""States for tools that save tensors only."""

from __future__ import annotations

from copy import copy, deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.optim import AnalogSGD
from torch import Tensor, nn

from aihwkit_dspt import states_in_tensors
from tests.helpers import difference
from tests.optim.models import KINDS, batch, loss_of, network, states, tracking_network


def trained(kind: str) -> Any:
    """Return a model after some steps."""
    model = network(KINDS[kind]())
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    for _ in range(5):
        loss_of(model, *batch()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def untrained(kind: str) -> Any:
    """Return such a model before its first step."""
    return network(KINDS[kind]())


def weights(model: Any) -> Any:
    """Return what all kinds of tiles show."""
    return [
        [tile.get_weights()[0], *tile.get_hidden_parameters().values()]
        for tile in model.analog_tiles()
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_state(kind: str) -> None:
    """Each value is a tensor of its own; the state loads into any model, nested or not."""
    model = trained(kind)
    loaded = network(KINDS[kind]())
    loaded.load_state_dict(model.state_dict())  # aihwkit's own tiles lose a part of it
    state = states_in_tensors(model).state_dict()
    assert all(type(value) is Tensor and value.is_contiguous() for value in state.values())
    assert len({value.data_ptr() for value in state.values()}) == len(state)
    others = [states_in_tensors(network(KINDS[kind]())) for _ in range(2)]
    others[0].load_state_dict(state)
    around = nn.ModuleDict({"part": others[1]})
    around.load_state_dict(nn.ModuleDict({"part": model}).state_dict())
    for other in others:
        assert difference(weights(loaded), weights(other)) is None
    for other in (model, deepcopy(model)):
        assert all(type(value) is Tensor for value in other.state_dict().values())


def test_usual_states_load_as_before() -> None:
    """And a tracking tile takes both forms, whether the model was told or not."""
    model = states_in_tensors(trained("E-RIDER"))
    for source, target in ((trained("E-RIDER"), model), (model, tracking_network())):
        target.load_state_dict(source.state_dict())
        assert difference(states(source), states(target)) is None


def test_asked_twice() -> None:
    """The same as once."""
    model = states_in_tensors(states_in_tensors(trained("E-RIDER")))
    other = tracking_network()
    other.load_state_dict(model.state_dict())
    assert difference(states(model), states(other)) is None


@pytest.mark.parametrize("kind", KINDS)
def test_safetensors(kind: str, tmp_path: Path) -> None:
    """The file holds what the state does; without chance a run goes on as if never stopped."""
    safetensors = pytest.importorskip("safetensors.torch")
    model, other = (states_in_tensors(make(kind)) for make in (trained, untrained))
    safetensors.save_model(model, str(tmp_path / "model.safetensors"))
    safetensors.load_model(other, str(tmp_path / "model.safetensors"))
    loaded = states_in_tensors(untrained(kind))
    loaded.load_state_dict(model.state_dict())
    assert difference(weights(loaded), weights(other)) is None
    optimizers = [AnalogSGD(each.parameters(), lr=0.1) for each in (model, other)]
    for _ in range(5):
        data = batch()
        for each, optimizer in zip((model, other), optimizers):
            torch.manual_seed(1)
            loss_of(each, *data).backward()
            optimizer.step()
            optimizer.zero_grad()
    if kind == "E-RIDER":
        assert difference(states(model), states(other)) is None


def test_what_wants_tensors_is_told(tmp_path: Path) -> None:
    """What to call; a state of the usual form is saved, copied and compared as before."""
    safetensors = pytest.importorskip("safetensors.torch")
    model, path = tracking_network(), tmp_path / "model.pt"
    state = model.state_dict()
    with pytest.raises(TileError, match=r"call states_in_tensors\(model\)"):
        safetensors.save_model(model, str(tmp_path / "model.safetensors"))
    one = state["0.analog_module.analog_tile_state"]
    assert not hasattr(one, "device")
    torch.save(state, path)
    loaded = torch.load(path, weights_only=True)["0.analog_module.analog_tile_state"]
    for other in (loaded, deepcopy(one), copy(one)):
        assert list(other) == list(one)
        assert difference(other["state_extra"], one["state_extra"]) is None


def test_a_state_can_be_copied() -> None:
    """As scripts do that keep the best one; aihwkit 1.2 cannot copy its placeholders."""
    model = tracking_network()
    best = deepcopy(model.state_dict())
    before = states(model)
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    loss_of(model, *batch()).backward()
    optimizer.step()
    assert difference(before, states(model)) is not None
    model.load_state_dict(best)
    assert difference(before, states(model)) is None


def test_other_bytes_are_refused() -> None:
    """The tile is left as it was."""
    model = states_in_tensors(tracking_network())
    before = states(model)
    for change in (lambda v: v[:-50], lambda v: v.float() + 0.5, lambda v: torch.zeros(3)):
        state = model.state_dict()
        name = next(key for key in state if key.endswith("analog_tile_state"))
        state[name] = change(state[name])
        with pytest.raises(TileError, match="but not the bytes of a state: load what"):
            model.load_state_dict(state)
        assert difference(before, states(model)) is None
