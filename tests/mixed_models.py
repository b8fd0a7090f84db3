"""One list of models in which tracking tiles stand beside tiles of other kinds."""

from __future__ import annotations

from typing import Any, Callable, Dict

import torch
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.compounds import (
    BufferedTransferCompound,
    ChoppedTransferCompound,
    DynamicTransferCompound,
    MixedPrecisionCompound,
    OneSidedUnitCell,
    ReferenceUnitCell,
    TransferCompound,
    VectorUnitCell,
)
from aihwkit.simulator.configs.configs import (
    DigitalRankUpdateRPUConfig,
    FloatingPointRPUConfig,
    InferenceRPUConfig,
    SingleRPUConfig,
    TorchInferenceRPUConfig,
    UnitCellRPUConfig,
)
from aihwkit.simulator.configs.devices import (
    ConstantStepDevice,
    IdealDevice,
    SoftBoundsDevice,
)
from aihwkit.simulator.tiles.transfer import TorchTransferTile
from torch import nn

from tests.helpers import quiet_config, quiet_device
from tests.table import METHODS


def unit_cell(compound: Any, **settings: Any) -> UnitCellRPUConfig:
    """Return a configuration of two devices in one of aihwkit's unit cells."""
    devices = [SoftBoundsDevice(), SoftBoundsDevice()]
    return UnitCellRPUConfig(device=compound(unit_cell_devices=devices, **settings))


def torch_transfer() -> UnitCellRPUConfig:
    """Return AGAD as aihwkit simulates it in torch."""
    config = unit_cell(DynamicTransferCompound, units_in_mbatch=True)
    config.tile_class = TorchTransferTile
    return config


def digital_rank_update() -> DigitalRankUpdateRPUConfig:
    """Return mixed precision, whose gradients are summed up in digital."""
    return DigitalRankUpdateRPUConfig(device=MixedPrecisionCompound(device=SoftBoundsDevice()))


OTHERS: Dict[str, Callable[[], Any]] = {
    "single": lambda: SingleRPUConfig(device=quiet_device()),
    "constant steps": lambda: SingleRPUConfig(device=ConstantStepDevice()),
    "ideal": lambda: SingleRPUConfig(device=IdealDevice()),
    "floating point": FloatingPointRPUConfig,
    "inference": InferenceRPUConfig,
    "torch inference": TorchInferenceRPUConfig,
    "AGAD": lambda: unit_cell(DynamicTransferCompound),
    "TT-v2": lambda: unit_cell(ChoppedTransferCompound),
    "buffered": lambda: unit_cell(BufferedTransferCompound),
    "Tiki-taka": lambda: unit_cell(TransferCompound),
    "vector": lambda: unit_cell(VectorUnitCell),
    "reference": lambda: unit_cell(ReferenceUnitCell),
    "one-sided": lambda: unit_cell(OneSidedUnitCell),
    "mixed precision": digital_rank_update,
    "torch transfer": torch_transfer,
}
"""Kind of tile -> its configuration."""


def mixed_model(other: str, method: str = "E-RIDER", **settings: Any) -> AnalogSequential:
    """Return a digital layer between a tracking tile and a tile of another kind."""
    tracking = quiet_config(**{**METHODS[method], **settings})
    return AnalogSequential(
        AnalogLinear(5, 4, rpu_config=tracking),
        nn.BatchNorm1d(4),
        AnalogLinear(4, 3, rpu_config=OTHERS[other]()),
    )


def train_model(model: nn.Module, n_steps: int = 4) -> None:
    """Train with random data in batches of 6."""
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    for _ in range(n_steps):
        optimizer.zero_grad()
        model(torch.rand(6, 5)).square().sum().backward()
        optimizer.step()
