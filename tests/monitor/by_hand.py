"""What the monitor should say, computed the long way round."""

from __future__ import annotations

import math
from typing import Any, Dict

import torch
from aihwkit.simulator.configs.devices import SoftBoundsReferenceDevice
from torch import Tensor

from aihwkit_dspt import TrackingTile, with_symmetric_point

DW_MIN = 0.01


def known_device(mean: float = -0.3, std: float = 0.1) -> SoftBoundsReferenceDevice:
    """Return a device whose symmetric points are minus its references, by construction.

    Without variation up and down pulses are equal at 0, before the reference is subtracted; the
    bounds are -1 and 1 there.
    """
    device = SoftBoundsReferenceDevice(
        dw_min=DW_MIN,
        w_min=-1.0,
        w_max=1.0,
        dw_min_dtod=0.0,
        dw_min_std=0.0,
        w_min_dtod=0.0,
        w_max_dtod=0.0,
        up_down_dtod=0.0,
    )
    return with_symmetric_point(device, mean, std)


def by_hand(tile: TrackingTile) -> Dict[str, float]:
    """Return the monitor's columns of a tile with known devices, in double precision."""
    hidden = {name: value.double() for name, value in tile.get_hidden_parameters().items()}
    fast, slow, estimate, reference, chopper = (
        getattr(tile, name).double()
        for name in ("fast_weights", "slow_weights", "sp_estimate", "reference", "chopper")
    )
    points = -hidden["reference_0"]
    gamma = tile.rpu_config.device.gamma
    row: Dict[str, float] = {"n_points": points.numel()}
    for name, values in (("sp", estimate), ("fast", fast)):
        row[f"{name}_error_mean"] = (values - points).mean().item()
        row[f"{name}_error_rms"] = (values - points).square().mean().sqrt().item()
        row[f"{name}_correlation"] = correlation(values, points)
        if name == "sp":
            row["sp_known"] = tile.sp_known.double().mean().item()
    row["error_correlation"] = correlation(estimate - points, fast - points)
    row["residual_rms"] = (fast - reference).square().mean().sqrt().item()
    for name, values, number in (("fast", fast, 0), ("slow", slow, 1)):
        original = values + hidden[f"reference_{number}"]
        row[f"{name}_saturated"] = (original.abs() > 1.0 - DW_MIN).double().mean().item()
    row["chopper_balance"] = chopper.mean().item()
    mixed = slow + gamma * chopper * (fast - reference)
    row["weight_norm"] = mixed.square().sum().sqrt().item()
    return row


def correlation(first: Tensor, second: Tensor) -> float:
    """Return Pearson's correlation."""
    return torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1].item()


def assert_equal(measured: Dict[str, Any], expected: Dict[str, float]) -> None:
    """Compare a record with what was computed by hand.

    Sums over single-precision cells are good to 1e-6; in correlations they are divided by
    variances, which are some ten times smaller than the squares.
    """
    assert list(measured) == list(expected)
    for column, value in expected.items():
        tolerance = 1e-4 if column.endswith("correlation") else 1e-6 + 1e-5 * abs(value)
        same = abs(measured[column] - value) < tolerance
        # The correlation with something constant is not there, on either side.
        missing = math.isnan(measured[column]) and math.isnan(value)
        assert same or missing, (column, measured[column], value)
