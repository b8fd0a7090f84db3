"""Tiles: how the method is simulated."""
