"""Save, load in a new process, continue = never stopped, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest
import torch

from aihwkit_dspt import save_checkpoint
from tests.helpers import difference
from tests.resume_cases import LAYERS, SETTINGS, everything, make, train

Results = Dict[str, Any]
Cases = Tuple[Tuple[str, str], ...]


ALL = tuple(product(LAYERS, SETTINGS))
USUAL = {*product(["linear"], SETTINGS), *product(LAYERS, ["E-RIDER", "E-RIDER-three arrays"])}
"""All settings with one layer, all layers with two settings; the others are for the slow run."""

GROUPS: Dict[str, Cases] = {
    "usual": tuple(case for case in ALL if case in USUAL),
    "further": tuple(case for case in ALL if case not in USUAL),
}


@pytest.fixture(name="both", scope="module")
def _both(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Tuple[Results, Results]:
    """Return the results of a group of cases without and with an interruption."""
    folder = tmp_path_factory.mktemp("resume")
    straight = {}
    for layer, settings in GROUPS[request.param]:
        parts = make(layer, settings)
        train(layer, *parts)
        save_checkpoint(folder / f"{layer},{settings}.pt", *parts)
        train(layer, *parts)
        straight[f"{layer},{settings}"] = everything(*parts)
    command = [sys.executable, "-m", "tests.resume_cases", str(folder)]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
    return straight, torch.load(folder / "results", weights_only=False)


@pytest.mark.parametrize(
    ("both", "layer", "settings"),
    [
        pytest.param(name, *case, marks=[] if name == "usual" else [pytest.mark.slow])
        for name, cases in GROUPS.items()
        for case in cases
    ],
    indirect=["both"],
)
def test_resume_is_exact(both: Tuple[Results, Results], layer: str, settings: str) -> None:
    """Arrays, stages, counters, optimizer, scheduler and torch's generator are all equal."""
    straight, resumed = (results[f"{layer},{settings}"] for results in both)
    assert difference(straight, resumed) is None
