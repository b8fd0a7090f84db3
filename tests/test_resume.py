"""Save, load in a new process, continue = never stopped, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

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


@pytest.fixture(name="results_of", scope="module")
def _results_of(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Tuple[Results, Results]]:
    """Return what gives the results of a group of cases without and with an interruption.

    It makes them once: of a fixture with parameters pytest 9 makes a new one for each case.
    """

    @cache
    def find(group: str) -> Tuple[Results, Results]:
        folder = tmp_path_factory.mktemp("resume")
        straight = {}
        for layer, settings in GROUPS[group]:
            parts = make(layer, settings)
            train(layer, *parts)
            save_checkpoint(folder / f"{layer},{settings}.pt", *parts)
            train(layer, *parts)
            straight[f"{layer},{settings}"] = everything(*parts)
        command = [sys.executable, "-m", "tests.resume_cases", str(folder)]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
        return straight, torch.load(folder / "results", weights_only=False)

    return find


@pytest.mark.parametrize(
    ("group", "layer", "settings"),
    [
        pytest.param(name, *case, marks=[] if name == "usual" else [pytest.mark.slow])
        for name, cases in GROUPS.items()
        for case in cases
    ],
)
def test_resume_is_exact(
    results_of: Callable[[str], Tuple[Results, Results]], group: str, layer: str, settings: str
) -> None:
    """Arrays, stages, counters, optimizer, scheduler and torch's generator are all equal."""
    straight, resumed = (results[f"{layer},{settings}"] for results in results_of(group))
    assert difference(straight, resumed) is None
