"""An average of the weights in use, and the refusal of one that averages nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, List, Optional

import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.nn.conversion import convert_to_analog, convert_to_digital
from aihwkit.simulator.configs.configs import InferenceRPUConfig
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from aihwkit_dspt import AveragedWeights, analog_optimizer
from tests.helpers import quiet_config
from tests.layers.networks import MODELS, fit, output
from tests.optim.models import KINDS, batch, loss_of, network, tracking_network
from tests.table import METHODS


def digital(model: nn.Module) -> Any:
    """Return a digital copy by aihwkit's function."""
    return convert_to_digital(deepcopy(model)).eval()


@pytest.mark.parametrize("decay", [None, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_average_of_digital_copies(kind: str, decay: Optional[float]) -> None:
    """That torch's ``AveragedModel`` makes of them."""
    model = network(KINDS[kind]())
    optimizer = analog_optimizer(model)
    average = AveragedWeights(model, decay)
    options = {} if decay is None else {"multi_avg_fn": get_ema_multi_avg_fn(decay)}
    expected: Any = AveragedModel(digital(model), **options)
    for _ in range(10):
        loss_of(model, *batch()).backward()
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(model)
        expected.update_parameters(digital(model))
    assert average.n_averaged == 10
    x = torch.randn(4, 6)
    assert torch.allclose(average(x), expected(x), atol=1e-6)
    assert not torch.allclose(average(x), digital(model)(x), atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_layers(name: str) -> None:
    """One update is the model itself, for layers of all kinds."""
    make, shape = MODELS[name]
    config = quiet_config(**METHODS["E-RIDER"])
    config.mapping.weight_scaling_omega = 0.5
    model = make(config)
    fit(model, shape, n_steps=3)
    average = AveragedWeights(model)
    average.update_parameters(model)
    x = torch.randn(shape)
    with torch.no_grad():
        assert torch.allclose(output(average, x), output(model.eval(), x), atol=1e-5)
    assert not any("ctx" in key for key in average.state_dict())


def test_tied_layers_and_buffers() -> None:
    """A layer that is used twice stays one; running means are those of the last update."""
    shared = AnalogLinear(4, 4, rpu_config=KINDS["E-RIDER"]())
    model = AnalogSequential(shared, nn.BatchNorm1d(4), shared)
    average = AveragedWeights(model, decay=0.5)
    assert average.module[0] is average.module[2]
    model(torch.randn(9, 4) + 3.0)
    average.update_parameters(model)
    average.train()
    x = torch.randn(9, 4)
    assert torch.allclose(average(x), model.eval()(x), atol=1e-5)


def test_it_is_saved_and_goes_to_inference() -> None:
    """As any module; ``module`` is digital and can be converted again."""
    model = tracking_network()
    average, loaded = AveragedWeights(model), AveragedWeights(tracking_network())
    average.update_parameters(model)
    loaded.load_state_dict(average.state_dict())
    x = torch.randn(4, 6)
    assert torch.equal(loaded(x), average(x))
    assert loaded.n_averaged == 1
    analog = convert_to_analog(average.module, InferenceRPUConfig())
    assert torch.equal(next(analog.analog_tiles()).get_weights()[0], average.module[0].weight)


@pytest.mark.parametrize("kind", KINDS)
def test_averaged_model_is_refused(kind: str) -> None:
    """On aihwkit 1.1 its tiles would stay where they were."""
    with pytest.raises(TileError, match=r"Use AveragedWeights\(model, decay=...\)"):
        AveragedModel(nn.Sequential(network(KINDS[kind]()), nn.ReLU()))
    AveragedModel(nn.Linear(2, 2))


def test_averages_of_timm_are_refused() -> None:
    """They would average the bytes of a state."""
    package = pytest.importorskip("timm.utils.model_ema")
    for average in (package.ModelEmaV2, package.ModelEmaV3):
        with pytest.raises(TileError, match=r"Use AveragedWeights\(model, decay=...\)"):
            average(tracking_network())
        average(nn.Linear(2, 2))


def test_refusals() -> None:
    """Named; a failed update leaves the average as it was."""
    average = AveragedWeights(tracking_network())
    before: List[Tensor] = [value.clone() for value in average.state_dict().values()]
    for other in (nn.Sequential(nn.Linear(6, 5)), tracking_network()[0]):
        with pytest.raises(ArgumentError, match="pass the model that is averaged"):
            average.update_parameters(other)
    assert all(map(torch.equal, before, average.state_dict().values()))
    tile = next(tracking_network().analog_tiles())
    with pytest.raises(TileError, match=r"tile '0' is in no layer with to_digital\(\)"):
        AveragedWeights(nn.Sequential(tile))
