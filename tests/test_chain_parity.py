"""A chain of arrays equals aihwkit's C++ chains, weight by weight.

aihwkit's ``TransferCompound`` (TT-v1) and ``BufferedTransferCompound`` (TT-v2) chain any number of
devices, without choppers and references. Nothing is random here, so every array has to agree after
every update, to rounding (1e-6; weights are of order 0.1).

TT-v1 has no buffer: its pulse trains round a read to whole pulses, where our buffer cuts off what
is less than a pulse. :class:`Rounded` is that rule, as a transfer rule of one's own. Left out is
what cannot agree: trains that clip (C++ clips the read, before its rate; here trains are long
enough), exact halves of a pulse, and devices that differ after the second, which C++ replaces by
the second. C++ TT-v2 multiplies the rate of a transfer with ``gamma``, which is undone here.
"""

from __future__ import annotations

from itertools import product
from typing import Any, Dict, List, Tuple

import pytest
import torch
from aihwkit.simulator.configs.compounds import BufferedTransferCompound, TransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.tiles.analog import AnalogTile
from torch import Tensor

from aihwkit_dspt import (
    ReferenceType,
    TrackingTile,
    TransferBuffer,
    TransferScope,
)
from aihwkit_dspt.tiles.names import weight_names
from tests.helpers import deterministic, draw_batch, perfect, quiet_config, quiet_device

TOLERANCE = 1e-6
N_UPDATES = 100
DW_MIN = 2.0**-7
"""With powers of two for granularities and rates a buffer has the same roundings in both units."""

LEARNING_RATES = (0.125, 0.25)


class Rounded(TransferBuffer):
    """Whole pulses by rounding, of the read alone: the pulse trains of TT-v1."""

    def release(self, hidden: Tensor) -> Tuple[Tensor, Tensor]:
        return hidden.sign() * (hidden.abs() + 0.5).floor(), torch.zeros_like(hidden)


CHAINS: Dict[str, Dict[str, Any]] = {
    "TT-v1": {"no_buffer": True, "buffer": Rounded, "desired_bl": 4096},
    "TT-v2": {"momentum": 0.25, "desired_bl": 1},
    "TT-v2, kept": {"momentum": 0.25, "forget_buffer": False, "desired_bl": 2},
}
"""Chain of C++ -> our settings."""

GRID: Dict[str, Tuple[Any, ...]] = {
    "n_arrays": (3, 4),
    "transfer_columns": (True, False),
    "units_in_mbatch": (True, False),
    "gamma": (0.0, 0.5),
}


def build(chain: str, n_arrays: int, **settings: Any) -> Tuple[AnalogTile, TrackingTile]:
    """Return aihwkit's chain and ours, with equal weights."""
    own = dict(CHAINS[chain])
    desired_bl = own.pop("desired_bl")
    devices = [quiet_device(dw_min=DW_MIN) for _ in range(n_arrays)]
    shared = {
        "unit_cell_devices": devices,
        "transfer_forward": perfect(),
        "transfer_update": deterministic(128 if chain == "TT-v1" else desired_bl),
        "fast_lr": 0.5,
        "transfer_lr": 0.25,
        **settings,
    }
    own.update(transfer_update=deterministic(desired_bl), reference=ReferenceType.ZERO)
    ours = quiet_config(**{**shared, **own, "in_chop_prob": 0.0})
    buffered = {name: own[name] for name in ("momentum", "forget_buffer") if name in own}
    shared.pop("transfer_scope", None)
    if settings.get("transfer_scope") is TransferScope.ARRAY:
        shared["n_reads_per_transfer"] = 6 if settings.get("transfer_columns", True) else 4
    if chain != "TT-v1" and settings.get("gamma"):
        # C++ multiplies the rate with the ratio of the weights, here gamma.
        rates = shared.get("transfer_lr_vec") or [shared["transfer_lr"]] * n_arrays
        shared["transfer_lr_vec"] = [rate / settings["gamma"] for rate in rates]
    compound = TransferCompound if chain == "TT-v1" else BufferedTransferCompound
    theirs = compound(**shared, **(buffered if chain != "TT-v1" else {}))
    if hasattr(theirs, "scale_fast_lr"):
        theirs.scale_fast_lr = False
    periphery = {"forward": perfect(), "backward": perfect(), "update": deterministic()}
    tiles = (
        AnalogTile(4, 6, UnitCellRPUConfig(device=theirs, **periphery)),
        TrackingTile(4, 6, ours),
    )
    weights = torch.empty(4, 6).uniform_(-0.2, 0.2)
    for tile in tiles:
        tile.set_weights(weights)
    return tiles


def cpp_weights(tile: AnalogTile, n_arrays: int) -> List[Tensor]:
    """Return the weights of all arrays, the fastest first."""
    hidden = tile.get_hidden_parameters()
    return [hidden[f"hidden_weights_{number}"] for number in range(n_arrays)]


def assert_equal_training(theirs: AnalogTile, ours: TrackingTile, n_batch: int = 3) -> None:
    """Train both with the same data and compare all arrays after each update."""
    names = weight_names(len(ours.tile.pipeline.arrays))
    before = [ours.value(name) for name in names]
    for index in range(N_UPDATES):
        x, d = draw_batch(ours, n_batch)
        for tile in (theirs, ours):
            tile.set_learning_rate(LEARNING_RATES[2 * index // N_UPDATES])
            tile.update(x.clone(), d.clone())
        for name, expected in zip(names, cpp_weights(theirs, len(names))):
            error = (ours.value(name) - expected).abs().max().item()
            assert error <= TOLERANCE, f"{name} differs by {error} at update {index}"
        mixed = (ours.tile.get_weights() - theirs.tile.get_weights()).abs().max().item()
        assert mixed <= TOLERANCE, f"the mixed weight differs by {mixed} at update {index}"
    for name, old in zip(names, before):
        assert (ours.value(name) - old).abs().max() > 0.005, f"{name} has not moved"


CASES = [
    values
    for values in product(*GRID.values())
    if sum(value == column[0] for value, column in zip(values, GRID.values())) % 2 == 0
]
"""Half of the grid, with all combinations of any three settings."""


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("values", CASES, ids=str)
def test_chain_is_cpp_chain(chain: str, values: Tuple[Any, ...]) -> None:
    """With periods and rates of one's own for each link."""
    torch.manual_seed(1)
    settings = dict(zip(GRID, values))
    n_arrays = settings["n_arrays"]
    every = [1.0, 2.0, 3.0, 1.0] if settings["units_in_mbatch"] else [1.0, 2.0, 5.0, 1.0]
    settings["transfer_every_vec"] = every[:n_arrays]
    # Half a pulse, which TT-v1 rounds in one way or the other, does not occur with these.
    rates = [1.0, 2.0, 4.0, 1.0] if chain != "TT-v1" else [0.45, 0.9, 1.7, 1.0]
    settings["transfer_lr_vec"] = rates[:n_arrays]
    assert_equal_training(*build(chain, **settings))


@pytest.mark.parametrize("chain", CHAINS)
def test_default_periods(chain: str) -> None:
    """Each is ``out_size`` times that of the link before."""
    torch.manual_seed(2)
    settings = {"n_arrays": 3, "units_in_mbatch": False, "transfer_every": 1.0, "transfer_lr": 0.5}
    theirs, ours = build(chain, **settings, scale_transfer_lr=False, transfer_columns=True)
    every = [link.schedule.every(3) for link in ours.tile.pipeline.fastest_first]
    assert every == [1, 4] == [int(x) for x in theirs.tile.dump_extra()[EVERY][:2]]
    assert_equal_training(theirs, ours)


EVERY = "rpu.rpu_device.transfer_every"


def test_whole_array_is_as_many_reads() -> None:
    """``TransferScope.ARRAY`` is ``n_reads_per_transfer=in_size``."""
    torch.manual_seed(3)
    settings: Dict[str, Any] = {
        "transfer_every_vec": [4.0, 8.0, 1.0],
        "units_in_mbatch": False,
        "transfer_scope": TransferScope.ARRAY,
    }
    assert_equal_training(*build("TT-v1", 3, **settings))
