"""``transfer_every < 0`` (automatic): every transfer event happens twice.

Concerns: aihwkit 1.1.0 and 1.2.0, CPU; ``ChoppedTransferCompound``, ``DynamicTransferCompound``.

Cause: ``TransferRPUDevice<T>::finishUpdateCycle`` asks ``getTransferEvery(j, ...)`` for every
device ``j``. That of the last device is 0 ("last is self-update"), but
``ChoppedTransferRPUDevice<T>::getTransferEvery`` returns the automatic number for all of them, and
its ``transfer`` does the same whatever the indices are. So the event of the last device is that of
the first once more: the same column is read again and goes into the buffer a second time.

Remedy: return 0 there for the last device.

The script takes one update on devices without any variation. The automatic number (states over
columns, 12 / 12) is 1 there, so that the buffer has to be that of ``transfer_every=1``.
"""

from __future__ import annotations

import torch
from aihwkit.simulator.configs.compounds import ChoppedTransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import ConstantStepDevice
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.analog import AnalogTile

NAMES = ("dw_min_dtod", "dw_min_std", "w_max_dtod", "w_min_dtod", "up_down_dtod")
QUIET = dict.fromkeys(NAMES, 0.0)


def buffer(transfer_every: float) -> float:
    """Return the buffer of the first column after one update."""
    device = ConstantStepDevice(dw_min=0.1, **QUIET)
    compound = ChoppedTransferCompound(
        unit_cell_devices=[device, device],
        transfer_every=transfer_every,
        in_chop_prob=0.0,
        auto_granularity=0.0,
        auto_scale=False,
        fast_lr=1.0,
        transfer_lr=0.01,
        transfer_forward=IOParameters(is_perfect=True),
    )
    update = UpdateParameters(
        pulse_type=PulseType.DETERMINISTIC_IMPLICIT,
        update_bl_management=False,
        update_management=False,
    )
    tile = AnalogTile(1, 12, UnitCellRPUConfig(device=compound, update=update))
    tile.set_learning_rate(1.0)
    tile.set_weights(torch.zeros(1, 12))
    tile.update(torch.full((1, 12), 0.5), torch.tensor([[-0.5]]))
    return float(tile.get_hidden_parameters()["buffered_FP_weight_0"][0, 0])


def main() -> bool:
    """Print both; return whether the automatic one is twice the other."""
    by_number, automatic = buffer(1.0), buffer(-1.0)
    print(f"buffer after the first event: {by_number:.5f} with transfer_every=1,")
    print(f"{automatic:.5f} with transfer_every=-1")
    return by_number != 0.0 and abs(automatic / by_number - 2.0) < 1e-3


if __name__ == "__main__":
    print("the fault is there" if main() else "the fault is not there")
