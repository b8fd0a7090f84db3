"""What ranks have in common, what each has for itself, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.nn import AnalogLinear, AnalogSequential
from aihwkit.simulator.configs.configs import InferenceRPUConfig
from torch import distributed, nn

from aihwkit_dspt import analog_data_parallel
from aihwkit_dspt.parallel.owners import owners_by_size
from tests.helpers import difference, quiet_config
from tests.mixed_models import OTHERS
from tests.parallel import jobs
from tests.parallel.models import CASES, data, mlp
from tests.parallel.processes import run


def test_owners() -> None:
    """The largest arrays come first; ranks without arrays are possible."""
    assert owners_by_size([10, 40, 30, 20, 10], 2) == [0, 0, 1, 1, 0]
    assert owners_by_size([5], 4) == [0]
    sizes = [7, 50, 3, 21, 34, 13, 8]
    load = [0, 0, 0]
    for size, owner in zip(sizes, owners_by_size(sizes, 3)):
        load[owner] += size
    assert max(load) == 50


def test_digital_parts(tmp_path: Path) -> None:
    """Gradients are averages, a rank that does not use a layer has zeros; rank 0's start is used.

    The sums of digital gradients have another order than in one process: equal to rounding.
    """
    first, second = run(2, jobs.mixed, tmp_path, 2)
    alone = jobs.Mixed(seed=0)
    assert torch.equal(alone.first.weight, first["start"]["weight"])
    x, y = data(0)
    losses = [
        nn.functional.mse_loss(alone(part, use_other), target)
        for part, target, use_other in zip(x.chunk(2), y.chunk(2), (False, True))
    ]
    (sum(losses) / 2).backward()
    assert first["gradients"].keys() == second["gradients"].keys()
    for name, value in alone.named_parameters():
        if "analog_ctx" in name:
            continue
        if value.grad is None:
            assert first["gradients"][name] is None
            continue
        torch.testing.assert_close(first["gradients"][name], value.grad, rtol=1e-4, atol=1e-7)
        assert torch.equal(first["gradients"][name], second["gradients"][name])
    assert first["gradients"]["unused.weight"] is None
    expected = {
        name: float(getattr(alone, name).analog_module.analog_ctx.grad)
        for name in ("analog", "other")
    }
    assert first["norms"] == second["norms"] == pytest.approx(expected, rel=1e-5)
    total = nn.utils.clip_grad_norm_(alone.parameters(), 1.0)
    assert float(first["total"]) == pytest.approx(float(total), rel=1e-5)
    for part in ("after", "buffers", "weights"):
        for name, value in first[part].items():
            assert torch.equal(value, second[part][name]), name
    assert sorted(first["owners"].values()) == [0, 1]
    assert first["digital"].shape == second["digital"].shape == (4, 4)


def test_refused(tmp_path: Path) -> None:
    """Each error names the owner, or what to do."""
    for rank, errors in enumerate(run(2, jobs.refused, tmp_path, 2)):
        for name in ("fast weights", "symmetric points", "set weights", "slow", "counts", "state"):
            assert "NotHereError" in errors[name], errors[name]
            assert f"on rank {1 - rank}, which owns" in errors[name]
        assert f"whose arrays are on rank {1 - rank}" in errors["update"]
        assert "no_sync()" in errors["forgotten"]
        assert f"arrays on rank {1 - rank}" in errors["repr"]
        assert "AnalogDataParallel already" in errors["twice"]
        assert "has no TrackingTile" in errors["none"]
        assert "the models differ" in errors["other model"]
        assert "all ranks have to take the same steps" in errors["other step"]


def test_monitor(tmp_path: Path) -> None:
    """The records of all ranks are together those of one process; a rank may have none."""
    history, _ = jobs.watched(0, 1)
    results = run(4, jobs.watched, tmp_path, 4)
    tiles = []
    for own, text in results:
        tiles += sorted(set(own["tile"]))
        for row, (tile, step) in enumerate(zip(own["tile"], own["step"])):
            pairs = list(zip(history["tile"], history["step"]))
            index = pairs.index((tile, step))
            for column, values in own.items():
                assert values[row] == pytest.approx(history[column][index], nan_ok=True), column
        assert ("no arrays of the model are in this process" in text) == (not own["tile"])
    assert sorted(tiles) == sorted(set(history["tile"]))
    assert len(results[3][0]["step"]) == 0


def test_noisy_training(tmp_path: Path) -> None:
    """Stochastic pulses, noise and random devices: four ranks train one set of arrays.

    Loss over the last ten of 150 steps against the first ten; ten runs gave ratios below 0.25.
    """
    results = run(4, jobs.noisy, tmp_path, 4)
    joint = torch.tensor([result["losses"] for result in results]).mean(0)
    assert float(joint[-10:].mean()) < 0.5 * float(joint[:10].mean())
    for result in results[1:]:
        for weights, others in zip(results[0]["weights"], result["weights"]):
            assert torch.equal(weights, others)
    assert all(norm == 0.0 for result in results for norm in result["norms"].values())


@pytest.mark.parametrize("name", OTHERS)
def test_other_tiles(name: str) -> None:
    """aihwkit's tiles whose arrays are trained by pulses cannot be shared, in either way."""
    layer = AnalogLinear(3, 4, rpu_config=quiet_config())
    other = AnalogLinear(4, 2, rpu_config=OTHERS[name]())
    supports = all(tile.supports_ddp for tile in other.analog_tiles())
    with pytest.raises(
        ArgumentError if supports else TileError, match=r"no group|TrackingRPUConfig"
    ):
        analog_data_parallel(AnalogSequential(layer, other))


def test_no_group() -> None:
    """The remedy is named."""
    with pytest.raises(ArgumentError, match="init_process_group"):
        analog_data_parallel(mlp())


def test_alone(tmp_path: Path) -> None:
    """A group of one process trains as without; plain wrappers are refused by name."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        parallel = analog_data_parallel(mlp())
        CASES["E-RIDER"].train(parallel)
        alone = mlp()
        CASES["E-RIDER"].train(alone)
        for name, value in alone.state_dict().items():
            assert difference(value, parallel.state_dict()[name]) is None
        for model in (mlp(), analog_data_parallel(mlp()), nn.Sequential(mlp())):
            with pytest.raises(TileError, match="analog_data_parallel"):
                nn.parallel.DistributedDataParallel(model)
        inference = AnalogSequential(AnalogLinear(3, 4, rpu_config=InferenceRPUConfig()))
        inference.prepare_for_ddp()
        nn.parallel.DistributedDataParallel(inference)
    finally:
        distributed.destroy_process_group()
