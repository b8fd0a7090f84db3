"""The same settings on aihwkit's C++ AGAD."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.compounds import DynamicTransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from torch import nn

from tests.fuzz.case import Case

N_STEPS = 30


def agad_config(config: Any) -> UnitCellRPUConfig:
    """Return C++ AGAD with the settings of a tracking configuration, as far as it has them."""
    compound = config.device
    settings = {item.name: getattr(compound, item.name) for item in fields(DynamicTransferCompound)}
    settings["gamma"] = 0.0
    # C++ AGAD has two devices.
    settings["unit_cell_devices"] = settings["unit_cell_devices"][
        :: len(compound.unit_cell_devices) - 1
    ]
    settings["in_chop_prob"] = compound.in_chop_prob or 0.1
    return UnitCellRPUConfig(
        device=DynamicTransferCompound(**settings),
        **{
            name: getattr(config, name)
            for name in ("forward", "backward", "update", "mapping", "pre_post", "runtime")
        },
    )


def agad_builds(case: Case) -> bool:
    """Return whether C++ AGAD takes the settings of a case."""
    try:
        case.layer.make(agad_config(case.config.build()))
    except Exception:
        return False
    return True


def agad_stays_finite(case: Case) -> bool:
    """Return whether C++ AGAD with the settings of a case trains, with finite weights."""
    try:
        layer = case.layer.make(agad_config(case.config.build()))
        _train(case, layer)
    except Exception:
        return False
    return all(
        bool(tile.tile.get_hidden_parameters().isfinite().all())
        and bool(tile.tile.get_weights().isfinite().all())
        for tile in layer.analog_tiles()
    )


def _train(case: Case, layer: nn.Module) -> None:
    optimizer = AnalogSGD(layer.parameters(), lr=0.1)
    for _ in range(N_STEPS):
        optimizer.zero_grad()
        output = layer(case.layer.batch())
        output = output[0] if isinstance(output, tuple) else output
        (output * torch.randn(output.shape) * 0.3).sum().backward()
        optimizer.step()
