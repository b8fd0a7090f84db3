"""The weight in use is ``W + gamma*c*(P - Q~)``, whatever pulses do to other cells."""

from __future__ import annotations

from typing import Any, Callable, Dict

import pytest
import torch
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters

from aihwkit_dspt import TrackingTile, TransferScope
from aihwkit_dspt.tiles.crossbar import Crossbar
from tests import device_table
from tests.covering import covering
from tests.helpers import mixed_weight, quiet_config, quiet_device, train


def noisy(device: Any) -> Callable[[], Any]:
    """Return a maker of devices with large write noise."""
    return lambda: device_table.quiet(device, dw_min=0.02, write_noise_std=5.0)


NOISY: Dict[str, Callable[[], Any]] = {
    f"noisy-{name}": noisy(device)
    for name, device in device_table.PULSED.items()
    if hasattr(device(), "write_noise_std")
}
"""All devices that have write noise."""

PULSES = tuple(pulse for pulse in PulseType if pulse is not PulseType.NONE)
TOLERANCE = 1e-6
"""Single precision at weights of order 1."""


def refreshed() -> Any:
    """Return a cell in which all cells may change at any pulse."""
    cell = device_table.CELLS["one-sided"]()
    cell.refresh_every, cell.refresh_upper_thres, cell.refresh_lower_thres = 1, 0.2, 0.05
    return cell


@pytest.mark.parametrize("pulse", PULSES, ids=lambda pulse: pulse.name)
@pytest.mark.parametrize("name", [*device_table.QUIET_AND_CELLS, *NOISY, "refreshed"])
def test_weight_in_use(name: str, pulse: PulseType) -> None:
    """For either array, by columns and rows, single lines and the whole array."""
    torch.manual_seed(1)
    make = {**device_table.QUIET_AND_CELLS, **NOISY, "refreshed": refreshed}[name]
    for side, columns, scope in covering((0, 1), (True, False), TransferScope):
        devices = [quiet_device(), quiet_device()]
        devices[side] = make()
        config = quiet_config(
            unit_cell_devices=devices,
            gamma=0.5,
            in_chop_prob=0.5,
            transfer_columns=columns,
            transfer_scope=scope,
            transfer_every=1.0,
            units_in_mbatch=True,
        )
        config.update.pulse_type = config.device.transfer_update.pulse_type = pulse
        tile = TrackingTile(4, 6, config)
        tile.set_learning_rate(0.1)
        for _ in range(8):
            train(tile, 1)
            error = (mixed_weight(tile) - tile.tile.get_weights()).abs().max()
            assert error <= TOLERANCE, (side, columns, scope)


@pytest.mark.parametrize("pulse", PULSES, ids=lambda pulse: pulse.name)
@pytest.mark.parametrize("name", [*device_table.QUIET, *NOISY])
def test_claim_is_true(name: str, pulse: PulseType) -> None:
    """Where an array says that cells are independent, a pulse on a line leaves the others alone."""
    torch.manual_seed(2)
    device = {**device_table.QUIET_AND_CELLS, **NOISY}[name]()
    crossbar = Crossbar(4, 3, device, update=UpdateParameters(pulse_type=pulse))
    crossbar.program(torch.full((3, 4), 0.1))
    before = crossbar.weights.clone()
    one_hot = torch.tensor([[0.0, 1.0, 0.0, 0.0]])
    crossbar.pulse(one_hot, torch.ones(1, 3), 0.3)
    others = [0, 2, 3]
    is_alone = torch.equal(before[:, others], crossbar.weights[:, others])
    assert is_alone or not crossbar.updates_cells_independently
    assert not torch.equal(before, crossbar.weights) or name.startswith("noisy")
