"""Reading one line alone is reading it in the array: exactly, and in law with noise."""

from __future__ import annotations

from typing import Any, Dict

import pytest
import torch
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.enums import RPUDataType, WeightNoiseType
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.line_reader import LineReader
from aihwkit_dspt.tiles.lines import LineAccess

SIZES = (7, 5)
N_READS = 4000

SETTINGS: Dict[str, Dict[str, Any]] = {
    "perfect": {"is_perfect": True},
    "converters": {"out_noise": 0.0, "inp_res": 1 / 6, "out_res": 1 / 30, "out_bound": 0.7},
    "noise": {"out_noise": 0.1, "inp_res": 1 / 126, "out_res": 1 / 510},
    "weight noise": {
        "w_noise": 0.1,
        "w_noise_type": WeightNoiseType.ADDITIVE_CONSTANT,
        "out_noise": 0.0,
        "out_res": -1.0,
    },
}


@pytest.mark.parametrize("columns", [True, False], ids=["columns", "rows"])
@pytest.mark.parametrize("name", SETTINGS)
def test_same_law_as_the_array(name: str, columns: bool) -> None:
    """Mean and spread of each cell's read; equal to the bit without noise.

    With noise the difference of means over 4,000 reads each has a standard error of
    sqrt(2/4000) spreads and that of the spreads is sqrt(1/4000) of them: five of these are 0.11
    and 0.08 (false alarm below 1e-5 for the 12 cells at most).
    """
    read = IOParameters(**SETTINGS[name])
    array = Crossbar(*SIZES, IdealDevice(), read, read)
    array.weights.uniform_(-1.0, 1.0)
    in_size, out_size = SIZES if columns else SIZES[::-1]
    alone = LineAccess(
        in_size, columns, LineReader.build(out_size, columns, read, RPUDataType.FLOAT)
    )
    whole = LineAccess(in_size, columns)
    assert alone.reader is not None
    line = slice(2, 3)
    if "noise" not in name:
        assert torch.equal(alone.read(array, line), whole.read(array, line))
        return
    samples = [
        torch.cat([access.read(array, line) for _ in range(N_READS)]) for access in (alone, whole)
    ]
    (mean, spread), (wanted_mean, wanted_spread) = ((x.mean(0), x.std(0)) for x in samples)
    assert wanted_spread.min() > 0.0
    assert ((mean - wanted_mean) / wanted_spread).abs().max() < 0.115
    assert (spread / wanted_spread - 1.0).abs().max() < 0.085


@pytest.mark.parametrize(
    "settings",
    [{"inp_noise": 0.1}, {"ir_drop": 1.0}, {"out_noise_std": 0.1}, {"v_offset_std": 0.1}],
    ids=str,
)
def test_coupled_lines_are_read_in_the_array(settings: Dict[str, Any]) -> None:
    """Where lines at zero input matter, or outputs differ for good, there is no reader."""
    assert LineReader.build(5, True, IOParameters(**settings), RPUDataType.FLOAT) is None
