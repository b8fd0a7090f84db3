"""torch's data parallel wrappers: each process would train arrays of its own. Refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from aihwkit.exceptions import ModuleError, TileError
from aihwkit.nn import AnalogLinear, AnalogSequential
from torch import distributed, nn

from tests.helpers import difference, quiet_config, snapshot
from tests.table import METHODS


def model() -> AnalogSequential:
    """Return a model with one tracking tile."""
    layer = AnalogLinear(6, 4, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    return AnalogSequential(nn.Linear(6, 6), layer)


def test_prepare_for_ddp() -> None:
    """aihwkit's own check refuses the tile as it refuses its C++ training tiles."""
    with pytest.raises(ModuleError, match="DDP is only supported with some tiles"):
        model().prepare_for_ddp()


def test_distributed_data_parallel(tmp_path: Path) -> None:
    """Without aihwkit's check torch's wrapper is refused, before anything is learned."""
    wrapped = model()
    before = snapshot(next(wrapped.analog_tiles()))
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        with pytest.raises(TileError, match="analog_data_parallel"):
            nn.parallel.DistributedDataParallel(wrapped)
    finally:
        distributed.destroy_process_group()
    wrapped(torch.randn(5, 6)).sum().backward()
    assert difference(before, snapshot(next(wrapped.analog_tiles()))) is None


def test_converted_inside_of_a_wrapper(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer that came later says so in its first forward, before anything is learned."""
    wrapped = model()
    monkeypatch.setattr(nn.parallel.DistributedDataParallel, "_active_ddp_module", wrapped)
    with pytest.raises(TileError, match="DistributedDataParallel"):
        wrapped(torch.randn(5, 6))


def test_data_parallel() -> None:
    """On one device torch's wrapper only calls the model; replicas on several are refused.

    ``replicate`` needs several GPUs; it calls this method of every module.
    """
    wrapped = model()
    x = torch.randn(5, 6)
    assert torch.equal(nn.DataParallel(wrapped, device_ids=[])(x), wrapped(x))
    with pytest.raises(TileError, match="DataParallel"):
        next(wrapped.analog_tiles())._replicate_for_data_parallel()
