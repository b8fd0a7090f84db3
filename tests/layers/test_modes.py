"""Training and evaluation mode of layers."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from tests.helpers import difference, quiet_config, states
from tests.layers.networks import MODELS, fit, output
from tests.table import METHODS


# Batch norm has an output of its own in evaluation mode.
@pytest.mark.parametrize("name", [name for name in MODELS if name != "resnet"])
def test_evaluation_changes_nothing(name: str) -> None:
    """Outputs are those of training mode, no state moves, and training goes on as without it."""
    make, shape = MODELS[name]
    model: nn.Module = make(quiet_config(**METHODS["E-RIDER"]))
    fit(model, shape)
    evaluated, x = deepcopy(model), torch.randn(shape)
    with torch.no_grad():
        expected = output(model, x)
        for _ in range(3):
            assert torch.equal(output(evaluated.eval(), x), expected)
    assert difference(states(model), states(evaluated)) is None
    evaluated.train()
    for one in (model, evaluated):
        torch.manual_seed(5)
        fit(one, shape)
    assert difference(states(model), states(evaluated)) is None
