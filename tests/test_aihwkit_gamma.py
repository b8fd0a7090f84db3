"""What the README says of aihwkit's own ``gamma``: it is not the residual of the mixed weight."""

from __future__ import annotations

from importlib.metadata import version

import torch
from aihwkit.simulator.configs.compounds import DynamicTransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.tiles.analog import AnalogTile

GAMMA = 0.1


def test_aihwkit_gamma_is_not_the_mixed_weight() -> None:
    """C++ AGAD with ``gamma``, at a moment when the columns have different chopper signs.

    1.1 adds ``gamma*P`` whatever the chopper; 1.2 chops it with a wrong layout. Both miss the
    reference, so neither is ``W + gamma*c*(P - Q~)``, which differs by far more than rounding.
    """
    torch.manual_seed(1)
    device = SoftBoundsDevice(dw_min=0.01, up_down=0.3)
    compound = DynamicTransferCompound(
        unit_cell_devices=[device, device],
        gamma=GAMMA,
        in_chop_prob=0.5,
        fast_lr=0.5,
        transfer_lr=0.5,
        transfer_forward=IOParameters(is_perfect=True),
    )
    tile = AnalogTile(4, 6, UnitCellRPUConfig(device=compound))
    tile.set_weights(torch.zeros(4, 6))
    tile.set_learning_rate(0.1)
    for _ in range(81):  # 13 sweeps of 6 columns and 3 columns more
        tile.update(torch.rand(1, 6), torch.randn(1, 4))
    hidden = tile.get_hidden_parameters()
    fast, slow = hidden["hidden_weights_0"], hidden["hidden_weights_1"]
    signs = next(
        1.0 - 2.0 * torch.tensor([float(sign) for sign in value])
        for key, value in tile.tile.dump_extra().items()
        if key.split(".")[-1] == "in_chopper"
    )
    assert signs.unique().numel() == 2, "all columns have one sign: nothing can be told apart"
    weights = tile.get_weights()[0]
    chopped = slow + GAMMA * signs * fast
    mixed = slow + GAMMA * signs * (fast - hidden["past_mean_weight"])
    if version("aihwkit").startswith("1.1."):
        assert torch.allclose(weights, slow + GAMMA * fast, atol=1e-6)
    assert (weights - chopped).abs().max() > 0.01
    assert (weights - mixed).abs().max() > 0.01
