"""Reading one line alone is reading it in the array: exactly, and in law with noise."""

from __future__ import annotations

from typing import Any, Dict, Union

import pytest
import torch
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.enums import (
    BoundManagementType,
    NoiseManagementType,
    RPUDataType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt import ReadMode
from aihwkit_dspt.tiles.compiled_line_reader import CompiledLineReader
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.line_reader import LineReader
from aihwkit_dspt.tiles.lines import LineAccess
from tests.helpers import quiet_tile

SIZES = (7, 5)
N_READS = 4000

SETTINGS: Dict[str, Dict[str, Any]] = {
    "perfect": {"is_perfect": True, "out_scale": 0.7},
    "converters": {"out_noise": 0.0, "inp_res": 1 / 6, "out_res": 1 / 30, "out_bound": 0.7},
    "input scaled": {
        "out_noise": 0.0,
        "noise_management": NoiseManagementType.CONSTANT,
        "nm_thres": 1.7,
        "inp_res": 1 / 14,
    },
    "noise": {"out_noise": 0.1, "inp_res": 1 / 126, "out_res": 1 / 510},
    "weight noise": {
        "w_noise": 0.1,
        "w_noise_type": WeightNoiseType.ADDITIVE_CONSTANT,
        "out_noise": 0.0,
        "out_res": -1.0,
    },
}


def build(
    compiled: bool, out_size: int, columns: bool, settings: Dict[str, Any]
) -> Union[LineReader, CompiledLineReader]:
    """Return the reader by a C++ tile or the compiled one, without bound management."""
    read = IOParameters(**settings)
    reader = LineReader.build(out_size, columns, read, RPUDataType.FLOAT)
    assert reader is not None
    if not compiled:
        return reader
    other = CompiledLineReader.build(reader, columns, read, RPUDataType.FLOAT)
    assert other is not None
    return other


@pytest.mark.parametrize("compiled", [False, True], ids=["cpp", "compiled"])
@pytest.mark.parametrize("columns", [True, False], ids=["columns", "rows"])
@pytest.mark.parametrize("name", SETTINGS)
def test_same_law_as_the_array(name: str, columns: bool, compiled: bool) -> None:
    """Mean and spread of each cell's read; equal without noise (C++: to the bit).

    With noise the difference of means over 4,000 reads each has a standard error of
    sqrt(2/4000) spreads and that of the spreads is sqrt(1/4000) of them: five of these are 0.11
    and 0.08 (false alarm below 1e-5 for the 12 cells at most).
    """
    torch.manual_seed(3)
    settings = {"bound_management": BoundManagementType.NONE, **SETTINGS[name]}
    read = IOParameters(**settings)
    array = Crossbar(*SIZES, IdealDevice(), read, read)
    array.weights.uniform_(-1.0, 1.0)
    in_size, out_size = SIZES if columns else SIZES[::-1]
    alone = LineAccess(in_size, columns, build(compiled, out_size, columns, settings))
    whole = LineAccess(in_size, columns)
    line = slice(2, 3)
    if "noise" not in name:
        found, expected = alone.read(array, line), whole.read(array, line)
        assert torch.equal(found, expected) or (compiled and torch.allclose(found, expected))
        return
    samples = [
        torch.cat([access.read(array, line) for _ in range(N_READS)]) for access in (alone, whole)
    ]
    (mean, spread), (wanted_mean, wanted_spread) = ((x.mean(0), x.std(0)) for x in samples)
    assert wanted_spread.min() > 0.0
    assert ((mean - wanted_mean) / wanted_spread).abs().max() < 0.115
    assert (spread / wanted_spread - 1.0).abs().max() < 0.085


@pytest.mark.parametrize(
    ("settings", "data_type"),
    [
        ({"bound_management": BoundManagementType.ITERATIVE}, RPUDataType.FLOAT),
        ({"out_sto_round": True}, RPUDataType.FLOAT),
        ({"inp_sto_round": True}, RPUDataType.FLOAT),
        ({"noise_management": NoiseManagementType.AVERAGE_ABS_MAX}, RPUDataType.FLOAT),
        ({}, RPUDataType.DOUBLE),
    ],
    ids=str,
)
def test_other_reads_stay_with_aihwkit(settings: Dict[str, Any], data_type: RPUDataType) -> None:
    """What is more than one pass, or not in single precision, is read by the C++ tile."""
    read = IOParameters(**{"bound_management": BoundManagementType.NONE, **settings})
    reader = LineReader.build(5, True, read, RPUDataType.FLOAT)
    assert reader is not None
    assert CompiledLineReader.build(reader, True, read, data_type) is None
    assert CompiledLineReader.build(None, True, read, RPUDataType.FLOAT) is None


@pytest.mark.parametrize("mode", ReadMode, ids=str)
def test_read_mode_chooses(mode: ReadMode) -> None:
    """``read_mode=ReadMode.CPP`` reads lines by aihwkit's tile, too."""
    reader = quiet_tile(read_mode=mode).tile.pipeline.link.lines.reader
    assert isinstance(reader, CompiledLineReader if mode is ReadMode.AUTO else LineReader)


@pytest.mark.parametrize(
    "settings",
    [{"inp_noise": 0.1}, {"ir_drop": 1.0}, {"out_noise_std": 0.1}, {"v_offset_std": 0.1}],
    ids=str,
)
def test_coupled_lines_are_read_in_the_array(settings: Dict[str, Any]) -> None:
    """Where lines at zero input matter, or outputs differ for good, there is no reader."""
    assert LineReader.build(5, True, IOParameters(**settings), RPUDataType.FLOAT) is None
