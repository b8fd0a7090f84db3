"""Reads of arrays: what read parameters mean, what carries them out, and who is chosen for it."""
