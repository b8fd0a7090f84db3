"""The report counts what is there."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Tuple

import pytest
import torch
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.simulator.configs import (
    FloatingPointRPUConfig,
    InferenceRPUConfig,
    SingleRPUConfig,
    UnitCellRPUConfig,
)
from aihwkit.simulator.configs.compounds import (
    MixedPrecisionCompound,
    OneSidedUnitCell,
    VectorUnitCell,
)
from aihwkit.simulator.configs.configs import DigitalRankUpdateRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from torch import nn

from aihwkit_dspt import build_config, conversion_report, convert
from tests.helpers import quiet_config, quiet_device
from tests.layers.agad import cpp_config
from tests.table import METHODS


def network() -> nn.Module:
    """Return a network with digital parts."""
    return nn.Sequential(
        nn.Embedding(8, 6), nn.Linear(6, 4), nn.LayerNorm(4), nn.Bilinear(4, 4, 2, bias=False)
    )


CONFIGS: Dict[str, Tuple[Callable[[], Any], int]] = {
    "E-RIDER": (quiet_config, 2),
    "residual learning": (lambda: quiet_config(**METHODS["residual"]), 2),
    "chain": (lambda: build_config("e-rider", SoftBoundsDevice(), n_arrays=3), 3),
    "programmed reference": (lambda: quiet_config(reference_device=quiet_device()), 3),
    "C++ AGAD": (cpp_config, 2),
    "one device": (lambda: SingleRPUConfig(device=SoftBoundsDevice()), 1),
    "pairs": (
        lambda: UnitCellRPUConfig(device=OneSidedUnitCell(unit_cell_devices=[quiet_device()])),
        2,
    ),
    "vector cells": (
        lambda: UnitCellRPUConfig(device=VectorUnitCell(unit_cell_devices=[quiet_device()] * 3)),
        3,
    ),
    "mixed precision": (
        lambda: DigitalRankUpdateRPUConfig(device=MixedPrecisionCompound(device=quiet_device())),
        1,
    ),
    "inference": (InferenceRPUConfig, 1),
    "floating point": (FloatingPointRPUConfig, 1),
}
"""Configuration -> devices of a weight."""


@pytest.mark.parametrize("way", ["convert", "convert_to_analog"])
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.filterwarnings("ignore:.*of the multiplications became analog")
def test_arrays_and_cells(name: str, way: str) -> None:
    """Of every kind of configuration, whoever converted the model."""
    make, n_arrays = CONFIGS[name]
    model = (convert if way == "convert" else convert_to_analog)(network(), make())
    report = conversion_report(model)
    (row,) = report.analog
    assert (row.name, row.kind, row.shape) == ("1", "AnalogLinear", [4, 6])
    assert (row.tiles, row.arrays, row.cells) == (1, n_arrays, n_arrays * 24)
    assert row.multiplications == 24
    assert [
        (row.name, row.kind, row.parameters, row.multiplications) for row in report.digital
    ] == [("0", "Embedding", 48, 0), ("2", "LayerNorm", 8, 0), ("3", "Bilinear", 32, 32)]
    assert report.analog_share == 24 / 56
    assert report.cells == row.cells


def test_tiles_and_columns_of_biases() -> None:
    """Parts count each; a bias on the array is a column more, and no multiplication."""
    rpu_config = quiet_config()
    rpu_config.mapping.max_input_size, rpu_config.mapping.max_output_size = 4, 3
    (row,) = conversion_report(convert(nn.Linear(9, 5), rpu_config)).analog
    assert (row.tiles, row.arrays, row.cells, row.multiplications) == (6, 12, 90, 45)
    analog_bias = quiet_config(digital_bias=False)
    (row,) = conversion_report(convert(nn.Linear(9, 5), analog_bias)).analog
    assert (row.tiles, row.cells, row.multiplications) == (1, 100, 45)


class OwnParameters(nn.Module):
    """Holds parameters that its forward uses in a way of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.Parameter(torch.zeros(3, 4, 5))
        self.token = nn.Parameter(torch.zeros(1, 1, 7))


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_digital_multiplications() -> None:
    """Matrices of torch's layers, and those that are not known; vectors do not count."""
    model = nn.ModuleDict(
        {
            "own": OwnParameters(),
            "attention": nn.MultiheadAttention(4, 2),
            "conv": nn.Conv2d(4, 1, 1),
            "depthwise": nn.Conv2d(4, 4, 3, groups=4),
            "lstm": nn.LSTM(3, 4),
            "norm": nn.LayerNorm((2, 2)),
            "one": nn.Linear(1, 5),
            "bias_kv": nn.MultiheadAttention(4, 2, bias=False, add_bias_kv=True),
            "gains": nn.utils.weight_norm(nn.Linear(3, 4)),
        }
    )
    rows = {row.name: row for row in conversion_report(model).digital}
    found = {name: row.multiplications for name, row in rows.items()}
    expected = {"own": 60, "attention": 48, "attention.out_proj": 16, "conv": 4, "depthwise": 36}
    expected.update({"bias_kv": 48, "bias_kv.out_proj": 16, "one": 5, "gains": 12})
    assert found == {**expected, "lstm": 16 * 7, "norm": 0}
    assert rows["own"].reason.startswith("parameters of its own")
    assert rows["conv"].reason == "not converted: see aihwkit_dspt.convert"
    assert conversion_report(model).analog_share == 0.0
    assert conversion_report(nn.ReLU()).analog_share is None


REASONS: Dict[str, Any] = {
    "activation: one slope": nn.PReLU,
    "bias of a transposed convolution": lambda: nn.ConvTranspose1d(4, 4, 2),
    "bias_k and bias_v": lambda: nn.MultiheadAttention(4, 2, add_bias_kv=True),
    "TorchScript": lambda: torch.jit.script(nn.Linear(4, 4)),
    "quantised": lambda: torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.Linear(4, 4)), {nn.Linear}
    ),
    "its weight had no size yet": lambda: nn.LazyLinear(4),
    "it holds scale, mask, extra": lambda: with_more(nn.Linear(4, 4)),
}


def with_more(layer: nn.Module) -> nn.Module:
    """Return a layer that holds more than a weight and a bias."""
    layer.register_parameter("scale", nn.Parameter(torch.ones(4)))
    layer.register_buffer("mask", torch.ones(4))
    layer.add_module("extra", nn.ReLU())
    return layer


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", REASONS)
def test_reasons(text: str) -> None:
    """What is known of a module is said; nothing of it is dropped."""
    model = nn.Sequential(REASONS[text]())
    analog = convert(model, quiet_config())
    digital = conversion_report(analog).digital
    assert any(row.reason.startswith(text) for row in digital)
    if text in ("quantised", "it holds scale, mask, extra"):
        row = next(row for row in digital if row.reason.startswith(text))
        assert row.multiplications == 16
        assert dict(analog.named_modules()).keys() == dict(model.named_modules()).keys()


def test_layers_without_a_size_are_warned_of() -> None:
    """Their multiplications are not known, so the share says nothing of them."""
    model = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 4))
    with pytest.warns(UserWarning, match="0: stays digital, for it has no size yet"):
        analog = convert(model, quiet_config())
    assert conversion_report(analog).analog_share == 1.0


HEAD, FIRST = "analog kind out x in tiles arrays cells share", "1 AnalogLinear 4 x 6 1 2 48 42.9%"


def test_table_and_numbers() -> None:
    """The table has a row for each layer and the sums; the numbers are plain."""
    with pytest.warns(UserWarning, match=r"43% .* became analog. 3 \(Bilinear\): bilinear"):
        report = conversion_report(convert(network(), quiet_config()))
    lines = str(report).splitlines()
    assert lines[0].split() == HEAD.split()
    assert lines[1].split() == FIRST.split()
    assert lines[4].startswith("0        Embedding")
    assert lines[-1] == "analog: 42.9% of the multiplications, 48 cells"
    numbers = json.loads(json.dumps(report.to_dict()))
    assert numbers["analog"][0]["cells"] == numbers["cells"] == 48
    assert [row["reason"].split(":")[0] for row in numbers["digital"]] == [
        "embedding",
        "normalisation",
        "bilinear",
    ]
