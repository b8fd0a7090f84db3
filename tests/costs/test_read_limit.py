"""The limit of one read is one: random reads stay below it, and not by much."""

from __future__ import annotations

import math
from typing import Any, Dict

import pytest
import torch
from aihwkit.simulator.configs.compounds import ChoppedTransferCompound
from aihwkit.simulator.configs.devices import SoftBoundsDevice, SoftBoundsReferenceDevice
from aihwkit.simulator.parameters.enums import NoiseManagementType, WeightNoiseType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.presets.compounds import PCMPresetUnitCell
from aihwkit.simulator.presets.devices import ReRamArrayHfO2PresetDevice

from aihwkit_dspt.costs.read_limit import largest_read
from aihwkit_dspt.tiles.crossbar import Crossbar


def compound(fast: Any, **io: Any) -> ChoppedTransferCompound:
    return ChoppedTransferCompound(
        unit_cell_devices=[fast, SoftBoundsDevice()], transfer_forward=IOParameters(**io)
    )


def limit(fast: Any, **io: Any) -> float:
    array = Crossbar(30, 40, fast)
    values = array.hidden_parameters().numpy()
    return largest_read(compound(fast, **io), dict(zip(array.hidden_parameter_names(), values)))


COARSE = {"inp_res": 0.2, "out_res": 0.1}
"""An output step of 2.4: all reads may round to zero."""


@pytest.mark.parametrize(
    "io",
    [{}, {"out_noise": 0.0}, {"is_perfect": True}, {"inp_res": 0.2, "out_res": 0.01}, COARSE],
    ids=str,
)
@pytest.mark.parametrize("reference", [False, True])
def test_reads_stay_below(io: Dict[str, Any], reference: bool) -> None:
    """Cells at their bounds, read line by line, a thousand times each."""
    device: Any = SoftBoundsDevice(w_max=0.5, w_min=-0.7)
    if reference:
        device = SoftBoundsReferenceDevice(reference_mean=0.4, reference_std=0.1)
    parameters = IOParameters(**io)
    array = Crossbar(30, 40, device, forward=parameters)
    values = array.hidden_parameters().numpy()
    known = dict(zip(array.hidden_parameter_names(), values))
    shift = known.get("reference", 0.0 * values[0])
    array.place(torch.from_numpy(known["max_bound"] - shift))
    most = array.read_columns(torch.eye(30).repeat(200, 1)).abs().max().item()
    array.place(torch.from_numpy(known["min_bound"] - shift))
    most = max(most, array.read_columns(torch.eye(30).repeat(200, 1)).abs().max().item())
    bound = largest_read(compound(device, **io), known)
    assert most <= bound
    # 200 repetitions of each setting stayed below 1.8 * most + 1.
    assert io is COARSE or bound < 2.0 * most + 1.0


def test_unknown_reads() -> None:
    """What the limit does not know of has none."""
    assert limit(SoftBoundsDevice()) < 3.0
    for io in (
        {"w_noise": 0.1, "w_noise_type": WeightNoiseType.ADDITIVE_CONSTANT},
        {"ir_drop": 1.0},
        {"out_scale": 2.0},
        {"noise_management": NoiseManagementType.MAX},
    ):
        assert limit(SoftBoundsDevice(), **io) == math.inf, io
    assert limit(ReRamArrayHfO2PresetDevice(), out_noise=0.0) == math.inf  # write noise
    assert largest_read(compound(PCMPresetUnitCell()), {}) == math.inf
