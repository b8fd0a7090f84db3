"""Every variation of a tile on a GPU is that on the CPU, where nothing is random."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict

import pytest
import torch

from aihwkit_dspt import (
    AdaptiveGain,
    Listener,
    PulseMode,
    TrackingTile,
    TransferStart,
    build_config,
    join_next_array,
)
from tests.gpu.device import GPU, needs_gpu
from tests.gpu.twins import assert_equal, on_gpu, update, values_of
from tests.helpers import (
    deterministic,
    draw_batch,
    perfect,
    quiet_config,
    quiet_device,
    quiet_tile,
    train,
)
from tests.interrupt_cases import CASES
from tests.joined_chain import STEP, SWEEPS, chain
from tests.table import METHODS, TRACKING_ALGORITHMS, Settings

pytestmark = needs_gpu

N_BATCH = 4
RATES = (0.1, 0.02, 0.05)

SCHEDULES: Dict[str, Settings] = {
    "annealed": {"anneal_sweeps": 1.0},
    "sweeps": {"sweep_every": 6.0, "anneal_sweeps": 4.0, "start": TransferStart.FIRST_SWEEP},
    "scaled by batch": {"auto_scale": True, "auto_scale_by_batch": True},
    "follows schedule": {"transfer_lr_follows_schedule": True, "scale_fast_lr": True},
    "corrected": {"experimental_correct_accumulation": True, "in_chop_prob": 0.1},
}


@pytest.mark.parametrize("name", CASES)
def test_variations(name: str) -> None:
    """All methods with each estimator, chains, choppers, references on arrays, whole arrays."""
    torch.manual_seed(1)
    cpu = quiet_tile((4, 6), **CASES[name])
    gpu = on_gpu(cpu)
    for _ in range(40):
        vectors = draw_batch(cpu, N_BATCH)
        for tile in (cpu, gpu):
            update(tile, *vectors)
    assert_equal(cpu, gpu)


@pytest.mark.parametrize("n_arrays", [2, 3])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name: str, n_arrays: int) -> None:
    """When transfers come, how large they are, and learning rates that change."""
    torch.manual_seed(2)
    devices = [quiet_device() for _ in range(n_arrays)]
    cpu = quiet_tile((4, 6), **{**METHODS["E-RIDER"], **SCHEDULES[name]}, unit_cell_devices=devices)
    gpu = on_gpu(cpu)
    for index in range(60):
        vectors = draw_batch(cpu, N_BATCH)
        for tile in (cpu, gpu):
            tile.set_learning_rate(RATES[index // 20])
            update(tile, *vectors)
    assert_equal(cpu, gpu)


@pytest.mark.parametrize("n_arrays", [2, 3, 4])
@pytest.mark.parametrize("algorithm", TRACKING_ALGORITHMS)
def test_defaults(algorithm: str, n_arrays: int) -> None:
    """``build_config`` with its defaults, but for what is random."""
    torch.manual_seed(3)
    config = build_config(algorithm, quiet_device(), n_arrays=n_arrays)
    config.forward = config.backward = config.device.transfer_forward = perfect()
    config.update, config.device.transfer_update = deterministic(), deterministic(1)
    cpu = TrackingTile(4, 6, config)
    cpu.tile.set_weights_uniform_random(-0.2, 0.2)
    gpu = on_gpu(cpu)
    for _ in range(60):
        vectors = draw_batch(cpu, N_BATCH)
        for tile in (cpu, gpu):
            tile.set_learning_rate(0.1)
            update(tile, *vectors)
    assert_equal(cpu, gpu)


def test_adaptive_gain() -> None:
    """Long enough for blocks that grow; one row gets no pulse and stays unknown."""
    torch.manual_seed(4)
    settings = {**METHODS["E-RIDER"], "transfer_every": 1.0, "units_in_mbatch": False}
    cpu = quiet_tile((4, 3), **settings, estimator=AdaptiveGain)
    gpu = on_gpu(cpu)
    for _ in range(500):
        x, d = draw_batch(cpu, N_BATCH)
        d[:, 2] = 0.0
        for tile in (cpu, gpu):
            update(tile, x, d)
    assert_equal(cpu, gpu)
    estimator = gpu.tile.pipeline.link.estimator
    assert isinstance(estimator, AdaptiveGain)
    assert bool((estimator.block_length > 1).any())
    assert not bool(estimator.is_known[:, 2].any())
    assert bool(estimator.is_known[:, :2].all())


@pytest.mark.parametrize("n_arrays", [3, 4])
def test_warm_start(n_arrays: int) -> None:
    """Arrays join by themselves, and when they are told."""
    torch.manual_seed(5)
    for join_sweeps in (SWEEPS, None):
        cpu = chain(n_arrays, join_sweeps=join_sweeps)
        gpu = on_gpu(cpu)
        for index in range(6 * SWEEPS):
            vectors = draw_batch(cpu, STEP)
            for tile in (cpu, gpu):
                update(tile, *vectors)
                if join_sweeps is None and index % 20 == 19:
                    join_next_array(tile)
        assert cpu.tile.pipeline.joined.n_joined > 1
        assert_equal(cpu, gpu)


class Fails(Listener):
    """Raises an error at an event, once."""

    def __init__(self, number: int) -> None:
        self.left = number

    def on_event(self, event: Any) -> None:
        """Raise the error when its time has come."""
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt

    def on_read(self, lines: slice, read: torch.Tensor) -> None:
        """Look at the read, which is where the tile is."""
        assert read.device.type == GPU


@pytest.mark.parametrize("name", ["AGAD, line", "E-RIDER, array", "E-RIDER, three arrays"])
def test_interrupt(name: str) -> None:
    """What was left undone is done at the next look at the tile, or with the next update."""
    torch.manual_seed(6)
    cpu = quiet_tile((4, 6), **CASES[name])
    gpu = on_gpu(cpu)
    for index in range(20):
        vectors = draw_batch(cpu, 2)
        update(cpu, *vectors)
        if index % 5 == 4:
            with pytest.raises(KeyboardInterrupt), gpu.listen(Fails(1)):
                update(gpu, *vectors)
        else:
            update(gpu, *vectors)
    assert_equal(cpu, gpu)


@pytest.mark.parametrize("mode", [PulseMode.AUTO, PulseMode.BATCHED])
def test_batched_pulses_are_left_on_the_cpu(mode: PulseMode) -> None:
    """What they hold below write noise goes along; on the GPU aihwkit's tile sends the pulses."""
    torch.manual_seed(7)
    config = quiet_config(**METHODS["E-RIDER"], pulse_mode=mode)
    noisy = quiet_device(dw_min=0.002, write_noise_std=1.0)
    config.device.unit_cell_devices = [noisy, noisy]
    config.update = config.device.transfer_update = type(config.update)()
    cpu = TrackingTile(20, 30, config)
    cpu.set_learning_rate(0.1)
    train(cpu, 20, 32)
    batched = cpu.tile.pipeline.fast.batched
    assert batched is not None
    assert batched.persistent is not None  # ahead of the C++ tile
    gpu = on_gpu(cpu)
    before = values_of(gpu)
    for name, value in values_of(cpu).items():
        assert torch.allclose(value, before[name], rtol=0.0, atol=1e-6), name
    for _ in range(20):
        update(gpu, *draw_batch(cpu, 32))
    assert values_of(gpu)["hidden"].isfinite().all()
    assert (values_of(gpu)["fast_weights"] - before["fast_weights"]).abs().max() > 0.01
    before = values_of(gpu)
    back = deepcopy(gpu).cpu()
    for name, value in values_of(back).items():
        assert torch.allclose(value, before[name], rtol=0.0, atol=1e-6), name
    train(back, 5, 32)
    assert (values_of(back)["fast_weights"] - before["fast_weights"]).abs().max() > 0.01
