"""torch's data parallel wrappers: each process would train arrays of its own. Refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from aihwkit.exceptions import ModuleError, TileError
from torch import distributed, nn

from tests.helpers import difference, snapshot
from tests.layers.networks import mixed_layers


def test_prepare_for_ddp() -> None:
    """aihwkit's own check refuses the tile as it refuses its C++ training tiles."""
    with pytest.raises(ModuleError, match="DDP is only supported with some tiles"):
        mixed_layers().prepare_for_ddp()


def test_distributed_data_parallel(tmp_path: Path) -> None:
    """Without aihwkit's check torch's wrapper is refused, before anything is learned."""
    wrapped = mixed_layers()
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
    wrapped = mixed_layers()
    monkeypatch.setattr(nn.parallel.DistributedDataParallel, "_active_ddp_module", wrapped)
    with pytest.raises(TileError, match="DistributedDataParallel"):
        wrapped(torch.randn(5, 6))


def test_data_parallel() -> None:
    """On one device torch's wrapper only calls the model; replicas on several are refused.

    ``replicate`` needs several GPUs; it calls this method of every module.
    """
    wrapped = mixed_layers()
    x = torch.randn(5, 6)
    assert torch.equal(nn.DataParallel(wrapped, device_ids=[])(x), wrapped(x))
    with pytest.raises(TileError, match="DataParallel"):
        next(wrapped.analog_tiles())._replicate_for_data_parallel()
