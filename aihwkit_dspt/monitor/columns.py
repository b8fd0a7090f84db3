"""What the monitor records of a tile."""

from __future__ import annotations

from typing import Dict

COLUMNS: Dict[str, str] = {
    "step": "number of the training step",
    "tile": "name of the tile in the model (.array_1, ... for arrays between fastest and slowest)",
    "n_points": "number of cells of P that have a symmetric point (SP)",
    "sp_error_mean": "mean of Q - SP over these cells, in weight units",
    "sp_error_rms": "root-mean-square of Q - SP over these cells, in weight units",
    "sp_correlation": "correlation of Q with the SP over these cells",
    "sp_known": "share of cells whose estimate rests on pulses, as far as the estimator tells",
    "fast_error_mean": "mean of P - SP over these cells, in weight units",
    "fast_error_rms": "root-mean-square of P - SP over these cells, in weight units",
    "fast_correlation": "correlation of P with the SP over these cells",
    "error_correlation": "correlation of Q - SP with P - SP over these cells",
    "residual_rms": "root-mean-square of P - Q~ over all cells, in weight units",
    "fast_saturated": "share of cells of P closer than one weight granularity to a bound",
    "slow_saturated": "share of cells of W closer than one weight granularity to a bound",
    "chopper_balance": "mean of the chopper signs over all cells; 0 is balanced",
    "weight_norm": "Frobenius norm of the mixed weight W + gamma*c*(P - Q~), in weight units",
}
"""Column -> what it holds.

P is the fast array and W the slow one. A chain of more arrays has a row for each that is read: P is
that array then, and W the next slower one.

A value is ``nan`` where there is none: everything about SPs on arrays without SPs, the share of
saturated cells of a unit cell of several devices (which has no bounds of its own), and the
correlation with something that is the same for all cells.
"""

KEYS = ("step", "tile")
"""Columns that say which record it is; all others are measured."""
