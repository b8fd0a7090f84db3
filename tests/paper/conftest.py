"""Fixtures of the tests of the experiments."""

from __future__ import annotations

import pytest
from common.data import ENVIRONMENT


@pytest.fixture(autouse=True)
def _digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on the digits, here and in the processes that are started from here."""
    monkeypatch.delenv(ENVIRONMENT, raising=False)
