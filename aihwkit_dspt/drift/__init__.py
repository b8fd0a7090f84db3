"""Symmetric points that move."""

from aihwkit_dspt.drift.symmetric_point_drift import SymmetricPointDrift

__all__ = ["SymmetricPointDrift"]
