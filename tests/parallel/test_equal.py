"""Several processes are one process with the joint batch, bit for bit where nothing is random."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
import torch

from tests.helpers import difference
from tests.parallel.models import CASES, OF_FOUR, all_cases
from tests.parallel.processes import run

Results = Dict[int, List[Dict[str, Any]]]
NAMES = {2: tuple(CASES), 4: OF_FOUR}


@pytest.fixture(scope="module")
def results(tmp_path_factory: Any) -> Results:
    """Return number of ranks -> results of all cases on each rank."""
    folder = tmp_path_factory.mktemp("ranks")
    return {n: run(n, all_cases, folder, n, names) for n, names in NAMES.items()}


@pytest.mark.parametrize(("n_ranks", "name"), [(n, name) for n in NAMES for name in NAMES[n]])
def test_several_are_one(results: Results, n_ranks: int, name: str) -> None:
    """All of the state, counters included, and the outputs of the joint batch.

    Errors are divided by the number of ranks, which is exact for powers of two.
    """
    alone = CASES[name].run()
    of_ranks = [of_rank[name] for of_rank in results[n_ranks]]
    for rank in of_ranks:
        assert difference(alone["state"], rank["state"]) is None
    assert difference(alone["state"], dict(CASES[name].model().state_dict())) is not None
    assert torch.equal(torch.cat([rank["outputs"] for rank in of_ranks]), alone["outputs"])
