"""Chopped compounds with gamma: the CPU indexes the chopper with the wrong memory layout.

Concerns: aihwkit 1.2.0, CPU. ``ChoppedTransferCompound``, ``DynamicTransferCompound`` with
``gamma != 0`` and ``in_chop_prob > 0``. (1.1.0 has no chopper in this sum at all.)

Cause: ``ChoppedTransferRPUDevice<T>::reduceToWeights`` (``rpu_chopped_transfer_device.cpp``) takes
index ``idx`` apart as ``d_idx = idx % d_size; x_idx = idx / d_size``. On the CPU weights are stored
row by row, ``idx = d_idx * x_size + x_idx``; the comment there describes the layout of CUDA.

Remedy: ``d_idx = idx / x_size; x_idx = idx % x_size`` in the CPU's version.

The script compares the weight in use with ``W + gamma * c * P`` from the hidden parameters.
"""

from __future__ import annotations

import torch
from aihwkit.simulator.configs.compounds import ChoppedTransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.tiles.analog import AnalogTile


def main() -> bool:
    """Print what is expected and what is there; return whether they differ."""
    torch.manual_seed(1)
    device = SoftBoundsDevice(dw_min=0.01)
    compound = ChoppedTransferCompound(
        unit_cell_devices=[device, device],
        gamma=0.1,
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
    flags = next(v for k, v in tile.tile.dump_extra().items() if k.endswith(".in_chopper"))
    signs = 1.0 - 2.0 * torch.tensor([float(flag) for flag in flags])
    weights = tile.get_weights()[0]
    by_column = slow + 0.1 * signs * fast
    # What the layout of CUDA makes of it.
    wrong = slow + 0.1 * signs[torch.arange(24) // 4].reshape(4, 6) * fast
    print("chopper signs of the columns:", signs.int().tolist())
    print("largest difference from W + gamma*c*P:", float((weights - by_column).abs().max()))
    print("from the same with c in the layout of CUDA:", float((weights - wrong).abs().max()))
    return float((weights - by_column).abs().max()) > 1e-3 > float((weights - wrong).abs().max())


if __name__ == "__main__":
    print("the fault is there" if main() else "the fault is not there")
