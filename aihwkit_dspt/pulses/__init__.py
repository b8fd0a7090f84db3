"""Gradient and transfer pulses: pulse trains, and what they do to the cells of an array."""
