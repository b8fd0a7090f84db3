"""Configurations: what to simulate."""
