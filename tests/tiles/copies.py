"""Copies of copies of tiles of many kinds, in a process of their own: they crash where they fail.

``python -m tests.tiles.copies NAME ...`` makes them for all pulse types with the devices of these
names and prints what went wrong, if anything did.
"""

from __future__ import annotations

import sys
from copy import deepcopy
from typing import Any, Iterator, Optional, Tuple

import torch
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters

from aihwkit_dspt import TrackingTile, zero_shift
from tests import device_table
from tests.helpers import difference, perfect, quiet_config, quiet_device, snapshot, train

PULSES = tuple(pulse for pulse in PulseType if pulse is not PulseType.NONE)
QUIET = (PulseType.NONE_WITH_DEVICE, PulseType.MEAN_COUNT, PulseType.DETERMINISTIC_IMPLICIT)
"""Types without randomness: copies go on as the original does."""

REFRESHED = "refreshed-"
"""Prefix of one-sided cells that are refreshed with a type of pulses."""

NAMES = (
    *device_table.QUIET_AND_CELLS,
    *(REFRESHED + pulse.name for pulse in PulseType if pulse is not PulseType.NONE),
    "noisy-soft-reference",
)

CALIBRATED = ("soft", "soft-reference", "pow")
"""Single devices whose cells have a symmetric point."""


def device(name: str) -> Any:
    """Return the device of a name; all cells decay and diffuse."""
    if name.startswith(REFRESHED):
        found = device_table.CELLS["one-sided"]()
        found.refresh_every = 1
        found.refresh_upper_thres, found.refresh_lower_thres = 0.2, 0.05
        found.refresh_forward = perfect()
        pulse_type = PulseType[name[len(REFRESHED) :]]
        found.refresh_update = UpdateParameters(pulse_type=pulse_type)
    elif name.startswith("noisy-"):
        found = device_table.quiet(
            SoftBoundsReferenceDevice, reference_mean=0.5, write_noise_std=1.0
        )
    else:
        found = device_table.QUIET_AND_CELLS[name]()
    for cell in getattr(found, "unit_cell_devices", [found]):
        cell.lifetime = 100.0
        cell.diffusion = 0.001
    return found


def tiles(name: str) -> Iterator[Tuple[PulseType, TrackingTile]]:
    """Yield tiles whose arrays are of the device, for all types of pulses."""
    is_cell = hasattr(device(name), "unit_cell_devices")
    for pulse in PULSES:
        config = quiet_config(
            unit_cell_devices=[device(name), device(name)],
            reference_device=quiet_device(dw_min=0.02) if is_cell else device(name),
            in_chop_prob=0.5,
            gamma=0.1,
            units_in_mbatch=True,
            transfer_every=1.0,
            gradient_bl=1,
        )
        config.update.pulse_type = config.device.transfer_update.pulse_type = pulse
        tile = TrackingTile(3, 4, config)
        tile.set_learning_rate(0.1)
        tile.set_weights(torch.empty(3, 4).uniform_(-0.2, 0.2))
        yield pulse, tile


def live(tile: TrackingTile) -> None:
    """Do everything that a tile goes through."""
    train(tile, 3)
    tile.decay_weights()
    tile.diffuse_weights()
    tile.reset_columns(0, 1)
    train(tile, 5)


def fault(tile: TrackingTile, is_exact: bool, is_quiet: bool) -> Optional[str]:
    """Return what is wrong with copies of copies of a tile, ``None`` if nothing is.

    Args:
        tile: the tile.
        is_exact: whether copies have to be equal in every state.
        is_quiet: whether nothing is random in its updates.
    """
    live(tile)
    generations = [tile]
    for _ in range(2):
        generations.append(deepcopy(generations[-1]))
        if is_exact:
            found = difference(snapshot(tile), snapshot(generations[-1]))
            if found:
                return f"copy {len(generations) - 1} differs: {found[:300]}"
    before = snapshot(tile)
    x, d = torch.rand(8, 3, 4), torch.randn(8, 3, 3)
    for copied in generations[1:]:
        for step in range(8):
            copied.update(x[step], d[step])
    if difference(before, snapshot(tile)):
        return "the original follows its copy"
    if is_quiet:
        for step in range(8):
            tile.update(x[step], d[step])
        for copied in generations[1:]:
            if not torch.equal(tile.slow_weights, copied.slow_weights):
                return "a copy goes on in another way"
    for copied in generations[1:]:
        live(copied)
    live(deepcopy(copied))
    return None


def main(name: str) -> None:
    """Print all faults of a device."""
    torch.manual_seed(0)
    for pulse, tile in tiles(name):
        # Weights below a reference and below noise cannot be set exactly.
        dense = pulse in (PulseType.MEAN_COUNT, PulseType.DETERMINISTIC_IMPLICIT)
        is_exact = not (dense and name in ("noisy-soft-reference", "sequential"))
        is_quiet = pulse in QUIET and not name.startswith("noisy-") and "STOCHASTIC" not in name
        found = fault(tile, is_exact, is_quiet and is_exact)
        if found:
            print(f"{name} {pulse.name}: {found}")
        if name in CALIBRATED and pulse is not PulseType.NONE_WITH_DEVICE:
            zero_shift(tile.tile.pipeline.fast, n_pulses=20, method="pulses")
            train(deepcopy(deepcopy(tile)), 3)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(f"{argument} ...", flush=True)
        main(argument)
    print("done")
