"""Reading one line alone is reading it in the array: exactly, and in law with noise."""

from __future__ import annotations

from functools import partial
from typing import Any, Dict

import pytest
import torch
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.enums import (
    BoundManagementType,
    NoiseManagementType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt import ReadMode
from aihwkit_dspt.reads.line import LineReads
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.lines import LineAccess

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


def reads(array: Crossbar, columns: bool, io: IOParameters, mode: ReadMode) -> LineReads:
    """Return what reads the lines of an array."""
    in_size = array.x_size if columns else array.d_size
    return LineReads(array, LineAccess(in_size, columns, 2), io, mode)


NAMES = {ReadMode.AUTO: "numba-line", ReadMode.TORCH: "torch", ReadMode.CPP: "cpp-line"}


@pytest.mark.parametrize("mode", ReadMode, ids=str)
@pytest.mark.parametrize("columns", [True, False], ids=["columns", "rows"])
@pytest.mark.parametrize("name", SETTINGS)
def test_same_law_as_the_array(name: str, columns: bool, mode: ReadMode) -> None:
    """Without noise the same bits (Numba, torch: to rounding); with noise mean and spread.

    Means of 4000 reads differ by sqrt(2/4000) = 2.2 % of the spread (standard error), spreads by
    1.6 %; tolerances are five times that (14 cells at most).
    """
    torch.manual_seed(3)
    io = IOParameters(**{"bound_management": BoundManagementType.NONE, **SETTINGS[name]})
    array = Crossbar(*SIZES, IdealDevice(), io, io)
    array.weights.uniform_(-1.0, 1.0)
    found = reads(array, columns, io, mode)
    assert found.executor_name() == NAMES[mode]
    line = slice(2, 3)
    one_hot = torch.eye(SIZES[0] if columns else SIZES[1])[line]
    whole = partial(array.read_columns if columns else array.read_rows, one_hot)
    if "noise" not in name:
        read, expected = found.read(line), whole()
        assert torch.equal(read, expected) or (
            mode is not ReadMode.CPP and torch.allclose(read, expected)
        )
        return
    samples = [
        torch.cat([call() for _ in range(N_READS)]) for call in (partial(found.read, line), whole)
    ]
    (mean, spread), (wanted_mean, wanted_spread) = ((x.mean(0), x.std(0)) for x in samples)
    assert wanted_spread.min() > 0.0
    assert ((mean - wanted_mean) / wanted_spread).abs().max() < 0.115
    assert (spread / wanted_spread - 1.0).abs().max() < 0.085


@pytest.mark.parametrize("mode", ReadMode, ids=str)
@pytest.mark.parametrize("columns", [True, False], ids=["columns", "rows"])
@pytest.mark.parametrize("lines", [slice(0, 1), slice(4, 5), slice(0, 5), slice(1, 4)], ids=str)
def test_single_lines_and_several(lines: slice, columns: bool, mode: ReadMode) -> None:
    """In one call or in parts of two, a perfect read returns the cells of the lines."""
    io = IOParameters(is_perfect=True)
    array = Crossbar(*((5, 3) if columns else (3, 5)), IdealDevice(), io, io)
    array.weights.uniform_(-0.3, 0.3)
    view = array.weights.t() if columns else array.weights
    assert torch.allclose(reads(array, columns, io, mode).read(lines), view[lines], atol=1e-7)


@pytest.mark.parametrize(
    "settings",
    [
        {"bound_management": BoundManagementType.ITERATIVE},
        {"out_sto_round": True},
        {"inp_sto_round": True},
        {"noise_management": NoiseManagementType.AVERAGE_ABS_MAX},
    ],
    ids=str,
)
def test_other_reads_stay_with_aihwkit(settings: Dict[str, Any]) -> None:
    """What is more than one pass is read by a C++ tile of one line."""
    io = IOParameters(**{"bound_management": BoundManagementType.NONE, **settings})
    array = Crossbar(*SIZES, IdealDevice(), io, io)
    array.weights.uniform_(-1.0, 1.0)
    found = reads(array, True, io, ReadMode.AUTO)
    assert found.executor_name(1) == "cpp-line"
    assert found.executor_name(2) == "cpp"
    assert found.read(slice(2, 3)).shape == (1, SIZES[1])


@pytest.mark.parametrize(
    "settings",
    [{"inp_noise": 0.1}, {"ir_drop": 1.0}, {"out_noise_std": 0.1}, {"v_offset_std": 0.1}],
    ids=str,
)
def test_coupled_lines_are_read_in_the_array(settings: Dict[str, Any]) -> None:
    """Where lines at zero input matter, or outputs differ for good, the whole array is read."""
    io = IOParameters(**settings)
    array = Crossbar(*SIZES, IdealDevice(), io, io)
    for mode in (ReadMode.AUTO, ReadMode.CPP):
        assert reads(array, True, io, mode).executor_name() == "cpp"


def test_follows_new_memory() -> None:
    """Lines are those of the weights that the array has now."""
    io = IOParameters(is_perfect=True)
    array = Crossbar(*SIZES, IdealDevice(), io, io)
    found = reads(array, True, io, ReadMode.AUTO)
    array.bind(torch.randn(SIZES[1], SIZES[0]))
    assert torch.equal(found.read(slice(2, 3)), array.weights.t()[2:3])
