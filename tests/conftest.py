"""Fixtures of all tests."""

from __future__ import annotations

from typing import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    """Make torch's random numbers the same in every run, and leave the caller's alone.

    The pulse generators of aihwkit's C++ are seeded by the clock and stay random.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
