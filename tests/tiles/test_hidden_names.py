"""aihwkit's names of the hidden parameters, of counters and of meta parameters."""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogLinear

from aihwkit_dspt import ReferenceType
from aihwkit_dspt.tiles.hidden_parameters import COMPOUND_NAMES, HiddenParameters
from tests.helpers import draw_batch, mixed_weight, quiet_config, quiet_tile, train, used_weights
from tests.parity import deterministic_pair
from tests.table import METHODS

NAMES = {theirs: ours for ours, theirs in COMPOUND_NAMES.items()}
NAMES["buffered_FP_weight_0"] = "transfer_buffer"


def trained_tile(**settings: Any) -> Any:
    tile = quiet_tile(**{**METHODS["E-RIDER"], "gamma": 0.5, **settings})
    train(tile, 30)
    return tile


@pytest.mark.parametrize("reference", [ReferenceType.DYNAMIC, ReferenceType.ZERO])
@pytest.mark.parametrize("columns", [True, False])
def test_values_are_those_of_aihwkits_compounds(reference: ReferenceType, columns: bool) -> None:
    """Same units, signs and layout. Only the reference of C++ may lag behind a flip."""
    theirs, ours = deterministic_pair(reference, {"transfer_columns": columns})
    lagging = 0
    for _ in range(80):
        x, d = draw_batch(ours)
        theirs.update(x, d)
        ours.update(x, d)
        expected, found = theirs.get_hidden_parameters(), ours.get_hidden_parameters()
        for name in expected:
            off = (found[name] - expected[name]).abs().max()
            if name == "past_mean_weight":
                lagging += int(off > 1e-6)
            else:
                assert off <= 1e-6, name
    assert lagging < 80
    assert set(expected) - set(found) <= set(NAMES)


@pytest.mark.parametrize(("theirs", "ours"), NAMES.items())
def test_both_names_are_one_entry(theirs: str, ours: str) -> None:
    tile = trained_tile()
    hidden = tile.get_hidden_parameters()
    listed = list(hidden)
    assert ours in hidden
    assert theirs in hidden
    assert theirs not in listed
    assert torch.equal(hidden[theirs], getattr(tile, ours))
    assert hidden.get(theirs) is hidden[ours]
    assert hidden.setdefault(theirs, None) is hidden[ours]
    for copied in (copy(hidden), deepcopy(hidden), hidden.copy(), HiddenParameters(hidden)):
        assert list(copied) == listed
        copied[theirs] = torch.zeros(4, 6)
        assert list(copied) == listed
        assert copied[ours].abs().max() == 0.0
        assert copied.pop(theirs) is not None
        assert ours not in copied
        assert copied.pop(theirs, 3) == 3
        assert copied.get(theirs, 4) == 4
    del hidden[theirs]
    assert ours not in hidden


@pytest.mark.parametrize(("theirs", "ours"), NAMES.items())
@pytest.mark.parametrize("kind", ["ours", "plain copy", "aihwkit's names", "other order"])
def test_setting_by_aihwkits_names(theirs: str, ours: str, kind: str) -> None:
    tile = trained_tile()
    hidden: Any = tile.get_hidden_parameters()
    others = {name: hidden[name].clone() for name in hidden if name not in (ours, "chopper")}
    value = torch.full((4, 6), 0.05)
    if kind == "plain copy":
        hidden = dict(hidden.items())
    elif kind == "aihwkit's names":
        hidden = {COMPOUND_NAMES.get(name, name): x for name, x in hidden.items()}
        del hidden["chopper"], hidden[COMPOUND_NAMES[ours]]
    elif kind == "other order":
        hidden = dict(reversed(hidden.items()))
        del hidden[ours]
    hidden[theirs] = value.numpy() if kind == "other order" else value
    tile.set_hidden_parameters(hidden)
    assert torch.equal(getattr(tile, ours), value)
    for name, before in others.items():
        assert torch.equal(tile.get_hidden_parameters()[name], before), name
    for weights in (tile.get_weights()[0], *used_weights(tile)):
        assert (weights - mixed_weight(tile)).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_weights_2": torch.zeros(4, 6)}, "did you mean 'hidden_weights"),
        ({"hidden_weights_0": torch.zeros(6, 4)}, r"fast_weights has shape \[6, 4\]"),
        ({"hidden_weights_0": torch.full((4, 6), torch.nan)}, "not finite"),
        ({"past_mean_weight": "zero"}, "reference='zero'"),
    ],
)
def test_what_does_not_fit_is_refused(change: Any, message: str) -> None:
    tile = trained_tile()
    before = tile.tile.get_hidden_parameters()
    with pytest.raises(TileError, match=message):
        tile.set_hidden_parameters({**tile.get_hidden_parameters(), **change})
    for wrong in (3, [1], "fast_weights"):
        with pytest.raises(TileError, match="dictionary"):
            tile.set_hidden_parameters(wrong)
    some = tile.get_hidden_parameters()
    del some["slow_weights"]
    with pytest.raises(TileError, match=r"\['slow_weights'.*missing"):
        tile.set_hidden_parameters(some)
    tile.set_hidden_parameters({})
    assert torch.equal(tile.tile.get_hidden_parameters(), before)


@pytest.mark.parametrize("method", METHODS)
def test_counters_and_meta_parameters(method: str) -> None:
    """As aihwkit's compounds: no pulse counters on the CPU; what was configured is shown."""
    config = quiet_config(gradient_bl=13, desired_bl=2, **METHODS[method])
    config.forward.out_noise, config.backward.out_noise = 0.125, 0.25
    simulator = next(AnalogLinear(6, 4, rpu_config=config).analog_tiles()).tile
    counters = simulator.get_pulse_counters()
    assert counters.shape == (0,)
    assert counters.dtype is torch.int64
    meta, configured = simulator.get_meta_parameters(), config.as_bindings()
    assert meta.update.desired_bl == configured.update.desired_bl == 13
    assert meta.update.pulse_type == configured.update.pulse_type
    assert (meta.forward_io.out_noise, meta.backward_io.out_noise) == (0.125, 0.25)
