"""Tiles: how it is simulated."""
