"""The adaptive gain: closed forms of the Kalman filter, unknown cells, cells at a bound."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest
import torch
from aihwkit.nn import AnalogLinear
from aihwkit.simulator.parameters.io import IOParameters
from torch import Tensor

from aihwkit_dspt import (
    AdaptiveGain,
    ReadMode,
    SymmetricPointMonitor,
    load_checkpoint,
    save_checkpoint,
)
from aihwkit_dspt.reads.one_hot import line_noise
from tests.helpers import difference, quiet_config, quiet_tile, snapshot, train
from tests.layers.networks import sgd
from tests.table import METHODS

IN_SIZE, OUT_SIZE = 8, 128
ALL = slice(0, IN_SIZE)


def estimator(in_size: int = IN_SIZE, read_noise: float = 0.0) -> AdaptiveGain:
    """Return an estimator in single precision, as tiles have them."""
    made = AdaptiveGain(in_size, OUT_SIZE, 0.25, torch.float32)
    made.read_noise = read_noise
    return made


def best_gain(ratio: float) -> float:
    """Return the steady-state gain for a walk of this variance per read and scatter 1."""
    return (math.sqrt(ratio**2 + 4.0 * ratio) - ratio) / 2.0


def walking(ratio: float, n_reads: int, memory: float = 0.0) -> Iterator[Tuple[Tensor, Tensor]]:
    """Yield points that walk and reads with scatter 1, whose neighbours correlate by ``memory``."""
    points, noise = torch.randn(IN_SIZE, OUT_SIZE), torch.zeros(IN_SIZE, OUT_SIZE)
    for _ in range(n_reads):
        points = points + math.sqrt(ratio) * torch.randn_like(points)
        noise = memory * noise + math.sqrt(1.0 - memory**2) * torch.randn_like(noise)
        yield points, points + noise


def tracking_error(stage: AdaptiveGain, ratio: float, n_reads: int = 1200) -> float:
    """Return the mean squared error over the second half."""
    errors = []
    for index, (points, read) in enumerate(walking(ratio, n_reads)):
        stage.update(ALL, read)
        if index > n_reads // 2:
            errors.append((stage.sp_estimate - points).square().mean())
    return torch.stack(errors).mean().item()


class Still(AdaptiveGain):
    """Takes all points for ones that stay."""

    def _movement(self, sums: Tensor, spread: Tensor, length: Tensor) -> Tensor:
        return torch.zeros_like(spread)


def still() -> Still:
    """Return an estimator that only averages."""
    return Still(IN_SIZE, OUT_SIZE, 0.25, torch.float32)


def test_a_point_that_stays_is_averaged() -> None:
    """The k-th gain is ``1/k``, and the squared error is that of the mean of all reads.

    A read counts less after 16 that moved little by chance, so that the gain is a few percent more.
    """
    stage, error = estimator(), torch.zeros(())
    for points, read in walking(0.0, 150):
        stage.update(ALL, read)
        error = (stage.sp_estimate - points).square().mean()
    # The second read is the first to show that a cell moves; it starts anew with the third.
    assert 1.0 <= stage.gain.mean().item() * 148 < 1.1
    assert stage.gain.min().item() == pytest.approx(1.0 / 148, rel=1e-4)
    # 1024 cells are good to 5 %.
    assert error.item() * 148 == pytest.approx(1.0, rel=0.15)


@pytest.mark.parametrize("ratio", [0.001, 0.01, 0.1])
def test_a_walk_gets_the_steady_state_gain(ratio: float) -> None:
    r"""The gain is that of the Kalman filter within 10 %, and so is the error: :math:`\eta^* r`.

    The gain goes with the root of :math:`s`, which rests on 128 cells and some ten blocks of a
    line; the mean over eight lines is good to some 5 %.
    """
    stage = estimator()
    error = tracking_error(stage, ratio)
    assert stage.gain.mean().item() == pytest.approx(best_gain(ratio), rel=0.1)
    # The error of the best fixed gain; 600 reads of 1024 cells are good to 2 %.
    assert error == pytest.approx(best_gain(ratio), rel=0.05)


def test_a_walk_is_seen_soon() -> None:
    """Blocks that grow are compared before: after 150 reads the gain is near that of the walk."""
    stage = estimator()
    for _, read in walking(0.01, 150):
        stage.update(ALL, read)
    assert 0.5 < stage.gain.mean().item() / best_gain(0.01) < 1.5


def test_reads_that_are_alike_do_not_look_like_a_walk() -> None:
    """Reads that remember each other for ten reads are averaged, and count three tenths each."""
    stage, mean = estimator(), still()
    for _, read in walking(0.0, 600, memory=0.9):
        stage.update(ALL, read)
        mean.update(ALL, read)
    assert stage.gain.mean().item() < 1.2 * mean.gain.mean().item()
    # Squared differences of neighbours are 0.2 of the scatter, times 1.5.
    assert 0.7 < mean.gain.mean().item() * 600 * 0.3 < 1.3


def jumping(shares: List[float]) -> Iterator[Tuple[Tensor, Tensor]]:
    """Yield points that stay and reads of cells of which a share has a new place each time."""
    points = torch.randn(IN_SIZE, OUT_SIZE)
    read = points + torch.randn_like(points)
    for share in shares:
        moves = torch.rand_like(points) < share
        read = torch.where(moves, points + torch.randn_like(points), read)
        yield points, read


def test_reads_of_a_cell_without_pulses_do_not_count() -> None:
    """Cells take pulses at first, then few: the mean of the places, not of the reads.

    100 reads see 20 places of a cell, as good as 11 independent reads; the 1,900 after them see two
    more. Where a cell stays says no more about its point, however often it is read.
    """
    stage, reads, errors = estimator(read_noise=0.05), torch.zeros(()), torch.zeros(2)
    for points, read in jumping([0.2] * 100 + [0.001] * 1900):
        noisy = read + 0.05 * torch.randn_like(read)
        stage.update(ALL, noisy)
        reads = reads + noisy / 2000
        errors = torch.stack(
            [(each - points).square().mean() for each in (stage.sp_estimate, reads)]
        )
    assert errors[1].item() > 0.3
    assert 1 / 30 < errors[0].item() < 2 / 11


def test_cells_with_few_pulses_do_not_look_like_a_walk() -> None:
    """Cells that stay somewhere for some hundred reads move from block to block, their points not.

    So they have no say in the gain of their line; the others have, and both get their gain.
    """
    stage, mean, mixed = estimator(), still(), estimator()
    for (_, slow), (_, walks) in zip(jumping([0.005] * 2000), walking(0.01, 2000)):
        stage.update(ALL, slow)
        mean.update(ALL, slow)
        mixed.update(ALL, torch.cat([walks[:, :64], slow[:, 64:]], dim=1))
    assert torch.equal(stage.gain, mean.gain)
    assert not stage.movement.any()
    assert mixed.gain[:, :64].mean().item() == pytest.approx(best_gain(0.01), rel=0.15)


def chopped(ratio: float, n_reads: int, phase: int) -> Iterator[Tuple[Tensor, Tensor]]:
    """Yield points that walk and reads that a gradient moves by 0.7, up and down in turn."""
    gradient = 0.7 * torch.randn(IN_SIZE, OUT_SIZE)
    for index, (points, read) in enumerate(walking(ratio, n_reads)):
        yield points, read + (gradient if index // phase % 2 else -gradient)


def test_a_gradient_does_not_look_like_a_walk() -> None:
    """With a slow chopper the gradient moves blocks of reads; it is no walk over both signs."""
    stage, unaware = estimator(), estimator()
    stage.chop_period = 800.0
    for _, read in chopped(0.0, 6400, 400):
        stage.update(ALL, read)
        unaware.update(ALL, read)
    assert unaware.gain.mean().item() > 20.0 / 6400
    assert stage.gain.mean().item() < 2.0 / 6400


def test_a_walk_is_seen_behind_a_slow_chopper() -> None:
    """The gain is that of the walk, or somewhat less: flips of the chopper count as scatter."""
    stage = estimator()
    stage.chop_period = 320.0
    for _, read in chopped(0.001, 3200, 160):
        stage.update(ALL, read)
    assert 0.5 < stage.gain.mean().item() / best_gain(0.001) < 1.1


def test_tiles_tell_how_long_the_chopper_takes() -> None:
    """Twice the phase, and nothing without a chopper; copies know it, too."""
    periods = {"E-RIDER": 2.0 / 0.3, "RIDER": 0.0}
    for method, period in periods.items():
        tile = quiet_tile(estimator=AdaptiveGain, **METHODS[method])
        for each in (tile, deepcopy(tile)):
            assert each.tile.pipeline.link.estimator.chop_period == pytest.approx(period)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_tiles_tell_the_noise_of_a_read(noise: float) -> None:
    """In weight units; cells without pulses are told from others by it. Copies know it, too."""
    reads = IOParameters(out_noise=noise, inp_res=-1.0, out_res=-1.0)
    tile = quiet_tile(**METHODS["E-RIDER"], estimator=AdaptiveGain, transfer_forward=reads)
    for each in (tile, deepcopy(tile)):
        assert each.tile.pipeline.link.estimator.read_noise == pytest.approx(noise, rel=1e-3)


def test_a_walk_that_begins_is_followed() -> None:
    """A point that stayed for 400 reads and walks then; and one that comes to rest again."""
    stage = estimator()
    tracking_error(stage, 0.0, 400)
    assert stage.gain.max().item() < 1.5 / 400
    tracking_error(stage, 0.01, 1500)
    assert stage.gain.mean().item() == pytest.approx(best_gain(0.01), rel=0.2)
    tracking_error(stage, 0.0, 4000)
    assert stage.gain.mean().item() < 0.3 * best_gain(0.01)


def test_cells_without_pulses_stay_unknown() -> None:
    """Noise of reads alone is no movement; a cell starts anew when it moves, others do not."""
    stage = estimator(read_noise=0.1)
    rest = 0.4 + 0.1 * torch.randn(300, IN_SIZE, OUT_SIZE)
    rest[:, :, :32] += 0.5 * torch.randn(300, IN_SIZE, 32)
    rest[150:, :, 32:64] += 0.5 * torch.randn(150, IN_SIZE, 32)
    for index, read in enumerate(rest):
        stage.update(ALL, read)
        if index == 149:
            assert stage.known_cells()[:, :32].all()
            assert not stage.known_cells()[:, 32:].any()
    assert stage.known_cells()[:, :64].all()
    assert not stage.known_cells()[:, 64:].any()
    # Those at rest are averaged, and those that began are not held by what was before.
    assert torch.allclose(stage.gain[:, 64:], torch.tensor(1.0 / 300), rtol=1e-3)
    assert stage.gain[:, 32:64].min() > 1.0 / 151
    # 64 reads at least of a scatter of 0.51.
    assert (stage.sp_estimate[:, :64] - 0.4).square().mean().sqrt() < 0.51 / math.sqrt(64)


def test_a_walk_of_others_leaves_cells_at_rest_alone() -> None:
    """They average noise of reads, whatever gain the cells of their line have that walk."""
    stage, n_reads = estimator(read_noise=0.1), 400
    for _, read in walking(0.1, n_reads):
        read[:, 64:] = 0.4 + 0.1 * torch.randn(IN_SIZE, OUT_SIZE - 64)
        stage.update(ALL, read)
    assert not stage.known_cells()[:, 64:].any()
    assert stage.movement.min() > 0.02
    assert stage.gain[:, :64].mean().item() == pytest.approx(best_gain(0.1), rel=0.15)
    assert stage.gain[:, :64].min() > 0.1
    assert torch.allclose(stage.gain[:, 64:], torch.tensor(1.0 / n_reads), rtol=1e-3)


def test_exact_reads_of_a_cell_at_rest() -> None:
    """Without noise any movement counts, and none is seen where there is none."""
    stage = estimator()
    read = torch.rand(IN_SIZE, OUT_SIZE)
    for _ in range(50):
        stage.update(ALL, read)
    assert not stage.known_cells().any()
    assert torch.equal(stage.sp_estimate, read)
    read[3, 4] += 1e-3
    stage.update(ALL, read)
    assert stage.known_cells().nonzero().tolist() == [[3, 4]]


@pytest.mark.parametrize("ratio", [0.0, 0.01])
def test_cells_at_a_bound_leave_the_gain_alone(ratio: float) -> None:
    """A quarter of the cells sits at a bound: the gains of others are those without them."""
    stage, free = estimator(), estimator()
    for index, (_, read) in enumerate(walking(ratio, 1000)):
        stuck = read.clone()
        if index > 2:
            stuck[:, :32] = 1.0
        stage.update(ALL, stuck)
        free.update(ALL, read)
    gains = stage.gain[:, 32:].mean().item(), free.gain[:, 32:].mean().item()
    assert gains[0] == pytest.approx(gains[1], rel=0.1)
    assert (stage.sp_estimate[:, :32] - 1.0).abs().max() < 0.2


def test_lines_are_apart() -> None:
    """A line alone has the same states as among others, whatever is read with it."""
    together, alone = estimator(), estimator(1)
    for index, (_, read) in enumerate(walking(0.02, 300)):
        for part in (slice(0, 3), slice(3, 4), slice(4, IN_SIZE - index % 2)):
            together.update(part, read[part])
        alone.update(slice(0, 1), read[3:4])
    for name, values in alone.named_buffers():
        found = getattr(together, name)[3:4]
        assert torch.equal(found.nan_to_num(-9.0), values.nan_to_num(-9.0)), name


def test_what_a_read_scatters_by() -> None:
    """The noise of a line's read in weight units, for what the law of lines covers and not."""
    assert line_noise(IOParameters(is_perfect=True), False) == 0.0
    settings = {"out_noise": 0.06, "inp_res": 1 / 126, "out_res": 1 / 510, "out_bound": 12.0}
    assert line_noise(IOParameters(**settings), False) == pytest.approx(0.06, rel=0.01)
    assert line_noise(IOParameters(**settings, inp_noise=0.1), False) == pytest.approx(0.06)


@pytest.mark.parametrize("mode", ReadMode)
def test_in_a_tile(mode: ReadMode, tmp_path: Path) -> None:
    """Read, shown, copied and resumed with all of its state; inputs at zero send no pulses."""

    def build() -> AnalogLinear:
        settings = {**METHODS["E-RIDER"], "estimator": AdaptiveGain, "read_mode": mode}
        return AnalogLinear(6, 4, rpu_config=quiet_config(**settings, transfer_every=1.0))

    model = build()
    optimizer = sgd(model)
    inputs = torch.rand(60, 2, 6)
    inputs[:, :, 4] = 0.0
    for batch in inputs:
        optimizer.zero_grad()
        model(batch).sum().backward()
        optimizer.step()
    tile = model.analog_module
    assert tile.sp_known.shape == (4, 6)
    assert not tile.sp_known[:, 4].any()
    assert tile.sp_known[:, :4].all()
    (row,) = SymmetricPointMonitor(model).record().values()
    assert row["sp_known"] == tile.sp_known.double().mean().item() < 1.0
    resumed, copied = build(), deepcopy(model)
    save_checkpoint(tmp_path / "adaptive.pt", model)
    load_checkpoint(tmp_path / "adaptive.pt", resumed)
    for other in (copied, resumed):
        assert difference(snapshot(other.analog_module), snapshot(tile)) is None
        train(other.analog_module, 1)  # and it goes on


def test_in_a_chain() -> None:
    """Each link has an estimator of its own."""
    tile = quiet_tile(
        (4, 6),
        **{
            **METHODS["E-RIDER"],
            "estimator": AdaptiveGain,
            "unit_cell_devices": quiet_config(**METHODS["E-RIDER"]).device.unit_cell_devices * 2,
            "transfer_every_vec": [1.0, 2.0, 3.0],
        },
    )
    train(tile, 60)
    for link in tile.tile.pipeline.links:
        assert isinstance(link.estimator, AdaptiveGain)
        assert int(link.estimator.n_reads.sum()) == link.schedule.n_reads > 0
