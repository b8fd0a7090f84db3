"""How much is transferred while the fast array is on its way to its symmetric points."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice

from aihwkit_dspt import PulseMode, TrackingTile, build_config, with_symmetric_point
from aihwkit_dspt.stages.settling import OVER, SETTLED, Settling

SHIFTS = {"one side": (0.4, 0.2), "both sides": (0.0, 0.4)}


@pytest.mark.parametrize("mean", [0.0, 0.1, -0.3, 1.0])
def test_share(mean: float) -> None:
    """``(1 + (D / 0.3)**2)**-2`` with the mean over the root mean square."""
    torch.manual_seed(1)
    residual = mean + 0.2 * torch.randn(40, 50)
    settling = Settling(True)
    assert (settling.share, settling.is_due(0), settling.is_due(1)) == (0.5, False, True)
    settling.look(1, False, residual + 0.7, torch.full_like(residual, 0.7))
    common = float(residual.mean().abs() / residual.square().mean().sqrt())
    assert settling.share == pytest.approx((1.0 + (common / 0.3) ** 2) ** -2, rel=1e-5)
    assert not settling.is_due(1)


def test_share_stays_where_nothing_is_known() -> None:
    """After flips, and where estimate and reference are equal; after 50 sweeps it is one."""
    settling = Settling(True)
    zeros, ones = torch.zeros(3, 4), torch.ones(3, 4)
    settling.look(1, False, ones, zeros)
    share = settling.share
    assert share < 0.1
    settling.look(2, True, zeros, zeros)
    settling.look(3, False, zeros, zeros)
    assert settling.state() == {"share": share, "sweep": 3}
    settling.look(SETTLED + 7, False, ones, zeros)
    assert settling.share == 1.0
    assert not settling.is_due(SETTLED + 8)


def test_state() -> None:
    """A state goes on where it was; files of before go on with all."""
    settling, other = Settling(True), Settling(True)
    settling.look(3, False, torch.rand(3, 4), torch.zeros(3, 4))
    other.load_state(settling.state())
    assert other.state() == settling.state()
    other.load_state(OVER)
    assert (other.share, other.is_due(SETTLED + 1)) == (1.0, False)


def trained(shift: str, n_steps: int, algorithm: str = "e-rider", **settings: Any) -> TrackingTile:
    """Return a tile after steps with errors of both signs, 64 vectors (a sweep) in each."""
    torch.manual_seed(2)
    device = SoftBoundsReferenceDevice(dw_min=0.01, subtract_symmetry_point=True)
    config = build_config(
        algorithm, with_symmetric_point(device, *SHIFTS[shift]), construction_seed=3, **settings
    )
    tile = TrackingTile(30, 40, config)
    tile.set_learning_rate(0.1)
    for _ in range(n_steps):
        tile.update(torch.rand(64, 40), torch.randn(64, 30))
    return tile


@pytest.mark.parametrize("pulse_mode", ["AUTO", "CPP"])
@pytest.mark.parametrize("shift", SHIFTS)
def test_points_on_one_side(shift: str, pulse_mode: str) -> None:
    """The transfer is held back where symmetric points lie on one side of zero, and only there.

    With 1,200 cells and random errors the part in common has a standard deviation of 0.03.
    """
    tile = trained(shift, 4, pulse_mode=PulseMode[pulse_mode])
    share = tile.tile.pipeline.link.settling.share
    assert share < 0.4 if shift == "one side" else share > 0.8


@pytest.mark.parametrize("algorithm", ["rider", "residual", "two-stage"])
def test_without_flips(algorithm: str) -> None:
    """Nothing is held back where no reference follows flips."""
    settling = trained("one side", 4, algorithm).tile.pipeline.link.settling
    assert (settling.share, settling.is_on) == (1.0, False)


def test_it_ends() -> None:
    """After 50 sweeps all is transferred, wherever the points are."""
    assert trained("one side", SETTLED + 1).tile.pipeline.link.settling.share == 1.0
