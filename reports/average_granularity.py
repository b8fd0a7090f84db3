"""Compounds make the pulses of their fast device for the average granularity of all devices.

Concerns: aihwkit 1.1.0 and 1.2.0, transfer compounds whose devices differ.

Cause: ``VectorRPUDevice<T>::populate`` (``rpu_vector_device.cpp``) gives the compound the mean of
the granularities (``dw_min``) of its devices. The updater makes pulse trains for that one, also
where only one device is pulsed, as in ``TransferRPUDevice``: the number of pulses is too small or
too large by the ratio of the mean to the device's own, which is a learning rate of another size.

Remedy: ``getWeightGranularity`` of ``TransferRPUDevice`` returns that of the device that takes the
gradient pulses (0).

The script sends the same update to a fast device with ``dw_min=0.001`` beside a slow one with the
same, and beside one with 0.01, and compares how far the fast array goes.
"""

from __future__ import annotations

import torch
from aihwkit.simulator.configs.compounds import ChoppedTransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import ConstantStepDevice
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.analog import AnalogTile

NAMES = ("dw_min_dtod", "dw_min_std", "w_max_dtod", "w_min_dtod", "up_down_dtod")
QUIET = dict.fromkeys(NAMES, 0.0)


def change(slow_dw_min: float) -> float:
    """Return how far the fast device goes beside a slow one of a granularity."""
    devices = [ConstantStepDevice(dw_min=dw_min, **QUIET) for dw_min in (0.001, slow_dw_min)]
    compound = ChoppedTransferCompound(
        unit_cell_devices=devices,
        fast_lr=1.0,
        auto_scale=False,
        in_chop_prob=0.0,
        transfer_every=1000.0,
    )
    update = UpdateParameters(
        pulse_type=PulseType.DETERMINISTIC_IMPLICIT,
        desired_bl=31,
        update_bl_management=False,
        update_management=False,
    )
    tile = AnalogTile(1, 1, UnitCellRPUConfig(device=compound, update=update))
    tile.set_learning_rate(1.0)
    tile.set_weights(torch.zeros(1, 1))
    tile.update(torch.tensor([[0.2]]), torch.tensor([[-0.1]]))
    return float(tile.get_hidden_parameters()["hidden_weights_0"])


def main() -> bool:
    """Print both changes; return whether they differ."""
    alike, different = change(0.001), change(0.01)
    print(f"fast array after an update of 0.02: {alike:.4f} beside an equal slow device,")
    print(f"{different:.4f} beside one with steps that are ten times larger")
    return abs(alike - different) > 1e-4


if __name__ == "__main__":
    print("the fault is there" if main() else "the fault is not there")
