"""Copies of C++ tiles crash the process: of unit cells, and after pulses that are counted at once.

Concerns: aihwkit 1.1.0 and 1.2.0, CPU.

* A copy of a tile with a unit cell has no weights of its devices; a copy of this copy reads memory
  that is not there.
* A tile that has sent pulses of ``DETERMINISTIC_IMPLICIT`` or ``MEAN_COUNT`` has a
  ``DenseBitLineMaker``; ``swap`` of it forgets two of its arrays, so that the copy (and what comes
  after it) uses freed memory at its next pulse or copy.

Remedy: set ``weights_vec_`` of the copied devices in the copy constructor of ``VectorRPUDevice``;
swap all members in ``DenseBitLineMaker``.

The script makes the copies in processes of their own, and says how these ended (-11 is a
segmentation fault).
"""

from __future__ import annotations

import subprocess
import sys

CELLS = """
from copy import deepcopy
import torch
from aihwkit.simulator.configs.compounds import VectorUnitCell
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.tiles.analog import AnalogTile

cell = VectorUnitCell(unit_cell_devices=[SoftBoundsDevice(), SoftBoundsDevice()])
tile = AnalogTile(40, 60, UnitCellRPUConfig(device=cell)).tile
for _ in range(7):
    tile = deepcopy(tile)
    tile.update(torch.rand(2, 60), torch.rand(2, 40), False, False, False, False)
    tile.get_hidden_parameters()
"""

DENSE = """
from copy import deepcopy
import torch
from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.configs.devices import SoftBoundsDevice
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.analog import AnalogTile

update = UpdateParameters(pulse_type=PulseType.DETERMINISTIC_IMPLICIT)
tile = AnalogTile(40, 60, SingleRPUConfig(device=SoftBoundsDevice(), update=update)).tile
for _ in range(7):
    tile.update(torch.rand(2, 60), torch.rand(2, 40), False, False, False, False)
    tile = deepcopy(tile)
"""


def main() -> bool:
    """Print how the processes ended; return whether each was killed by a signal."""
    codes = {
        name: subprocess.run(
            [sys.executable, "-c", script], check=False, stderr=subprocess.DEVNULL
        ).returncode
        for name, script in (("copy of a copy of a unit cell", CELLS), ("dense pulses", DENSE))
    }
    print("exit codes:", codes)
    return all(code < 0 for code in codes.values())


if __name__ == "__main__":
    print("the fault is there" if main() else "the fault is not there")
