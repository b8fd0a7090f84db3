"""Seeds of devices and choppers, and the read parameters of a transfer."""

from __future__ import annotations

import torch
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType, RPUDataType
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt import TrackingTransferCompound
from aihwkit_dspt.tiles.construction import (
    chopper_seed,
    draw_seeded_devices,
    transfer_read_parameters,
)
from aihwkit_dspt.tiles.crossbar import Crossbar
from tests.helpers import quiet_tile, train
from tests.table import METHODS


def test_transfer_reads_have_no_management() -> None:
    """One-hot inputs need none; everything else of the read is kept; the config is untouched."""
    io = IOParameters(
        out_noise=0.3,
        noise_management=NoiseManagementType.ABS_MAX,
        bound_management=BoundManagementType.ITERATIVE,
    )
    config = TrackingTransferCompound(transfer_forward=io)
    read = transfer_read_parameters(config)
    assert read.noise_management is NoiseManagementType.NONE
    assert read.bound_management is BoundManagementType.NONE
    assert read.out_noise == 0.3
    assert io.noise_management is NoiseManagementType.ABS_MAX


def test_chopper_seed() -> None:
    """The construction seed if there is one, else torch's global generator."""
    assert chopper_seed(TrackingTransferCompound(construction_seed=5)) == 5
    torch.manual_seed(1)
    first = chopper_seed(TrackingTransferCompound())
    second = chopper_seed(TrackingTransferCompound())
    torch.manual_seed(1)
    assert chopper_seed(TrackingTransferCompound()) == first != second


def test_without_seed_nothing_is_drawn() -> None:
    """No seed leaves the arrays' own devices alone."""
    devices = [SoftBoundsDevice(), SoftBoundsDevice()]
    fast, slow = (Crossbar(4, 3, device) for device in devices)
    before = fast.hidden_parameters(), slow.hidden_parameters()
    config = TrackingTransferCompound(unit_cell_devices=devices)
    draw_seeded_devices(config, [fast, slow], RPUDataType.FLOAT)
    assert torch.equal(fast.hidden_parameters(), before[0])
    assert torch.equal(slow.hidden_parameters(), before[1])


def test_random_choppers_follow_the_seed() -> None:
    """Two tiles of one seed flip alike, whatever torch's generator does in between."""
    settings = {**METHODS["c-TTv2"], "in_chop_random": True, "construction_seed": 9}
    first, second = quiet_tile(**settings), quiet_tile(**settings)
    train(first, 40)
    torch.rand(17)
    train(second, 40)
    assert torch.equal(first.chopper, second.chopper)
    assert (first.chopper < 0).any()
