"""Stages fused into one pass: optimisations, each equal to the plain stages that it names."""
