"""Several processes that train the same arrays on a GPU."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest
import torch
from torch import Tensor, nn

from aihwkit_dspt import AnalogDataParallel, analog_data_parallel
from aihwkit_dspt.tiles.of_model import tracking_tiles
from tests.gpu.device import GPU, needs_gpu
from tests.gpu.twins import assert_near, weights_of
from tests.helpers import difference
from tests.parallel.models import CASES, Case, data
from tests.parallel.processes import run

pytestmark = needs_gpu

NAMES = ("E-RIDER", "clipped", "no_sync", "scaled", "convolution indexed", "convolution unfolded")


def trained(rank: int, n_ranks: int, names: Any, device: str) -> Dict[str, Tensor]:
    """Return the weights of all arrays after each training, and its outputs."""
    found: Dict[str, Tensor] = {}
    for name in names:
        case: Case = CASES[name]
        model = analog_data_parallel(case.model().to(device))
        case.train(model, rank, n_ranks)
        state = model.state_dict()
        whole = case.model()
        whole.load_state_dict(state)
        found[name] = weights_of(whole)
        with torch.no_grad():
            found[f"{name}, outputs"] = model(data(99, case.shape)[0].to(device)).cpu()
    return found


def test_two_ranks(tmp_path: Any) -> None:
    """By gloo, on one GPU: all ranks have what one process on the CPU has."""
    ranks: List[Dict[str, Tensor]] = run(2, trained, tmp_path, 2, NAMES, GPU)
    assert difference(ranks[0], ranks[1]) is None
    for name in NAMES:
        case = CASES[name]
        alone = case.model()
        before = weights_of(alone)
        case.train(alone)
        assert_near(before, weights_of(alone), ranks[0][name])
        with torch.no_grad():
            outputs = alone(data(99, case.shape)[0])
        assert_near(torch.zeros_like(outputs), outputs, ranks[0][f"{name}, outputs"])


def one_rank(rank: int, device: str) -> Dict[str, Any]:
    """Return what a rank that is alone has, and whether it sends from the GPU."""
    model: Any = analog_data_parallel(CASES["clipped"].model().to(device))
    assert isinstance(model, AnalogDataParallel)
    CASES["clipped"].train(model)
    return {
        "weights": weights_of(model.module),
        "device": model.ranks.device.type,
        "state": dict(model.state_dict()),
        "tiles": len(tracking_tiles(model.module)),
    }


@pytest.mark.skipif(not torch.distributed.is_nccl_available(), reason="torch has no NCCL")
def test_nccl(tmp_path: Any) -> None:
    """One rank, as NCCL wants a GPU for each: all messages go through it."""
    (found,) = run(1, one_rank, tmp_path, GPU, backend="nccl")
    alone: nn.Module = CASES["clipped"].model()
    before = weights_of(alone)
    CASES["clipped"].train(alone)
    assert found["device"] == GPU
    assert_near(before, weights_of(alone), found["weights"])
