"""Learning rates against scalar loops in single precision, written from the C++ sources."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from aihwkit.simulator.configs.devices import SoftBoundsDevice

from aihwkit_dspt import (
    TrackingTile,
    TrackingTransferCompound,
    build_config,
    estimate_coincidences,
)
from aihwkit_dspt.tiles.learning_rates import FastLearningRate, TransferLearningRate

F = np.float32
GRANULARITY, SLOW_GRANULARITY, BL = 0.01, 0.004, 31


def cpp_auto_scale(m: Any, new: Any, momentum: float, m_batch: int) -> Any:
    """``updateAutoScale``: the running average of a maximum, one vector on."""
    tau = (F(1.0) - F(momentum)) / F(m_batch)
    if m > 0.0:
        if new > 0.0:
            return m * (F(1.0) - tau) + tau * new
        return m
    return new


@pytest.mark.parametrize("scale_fast_lr", [False, True])
@pytest.mark.parametrize("momentum", [0.99, 0.5, 0.0])
def test_auto_scale_recursion(scale_fast_lr: bool, momentum: float) -> None:
    """Equal to a scalar float32 loop, bit for bit, over changing batch sizes and zero vectors."""
    device = TrackingTransferCompound(
        auto_scale=True, auto_momentum=momentum, fast_lr=0.7, scale_fast_lr=scale_fast_lr
    )
    rate = FastLearningRate(device, GRANULARITY, BL)
    assert rate.auto_scales
    m_x = m_d = F(0.0)
    for index in range(200):
        m_batch = (1, 3, 10)[index % 3]
        x_max, d_max = torch.rand(2).tolist() if index % 7 else (0.0, 0.0)
        rate.observe(5.0, 7.0, 1)  # interrupted before its pulses: it is not kept
        rate.observe(x_max, d_max, m_batch)
        m_x = cpp_auto_scale(m_x, F(x_max), momentum, m_batch)
        m_d = cpp_auto_scale(m_d, F(d_max), momentum, m_batch)
        expected = F(0.7) * (F(BL) * F(GRANULARITY))
        if m_x > 0 and m_d > 0:
            expected = expected / (m_x * m_d)
        if scale_fast_lr:
            expected = expected * F(0.3)
        assert rate(0.3) == float(expected)
        assert rate.current == expected
        rate.keep()()
        assert (rate.m_x, rate.m_d) == (m_x, m_d)


@pytest.mark.parametrize("lr", [1e-6, 0.1, 1.0])
@pytest.mark.parametrize("limit", [0.0, 0.5, 4.0, 1e9])
def test_auto_scale_limit(limit: float, lr: float) -> None:
    """The closed form, linear in the learning rate; a sum that is no number does not count."""
    device = TrackingTransferCompound(
        auto_scale=True, fast_lr=0.7, scale_fast_lr=True, auto_scale_limit=limit
    )
    rate = FastLearningRate(device, GRANULARITY, BL)
    for total, n_parts in ((0.1, 1), (3.0, 1), (3.0, 50), (np.nan, 1), (np.inf, 1)):
        rate.observe(0.5, 0.25, n_parts, total)
        summed = total * n_parts if np.isfinite(total) else 0.0
        unit = max(0.125, summed / limit) if limit else 0.125
        assert rate(lr) == pytest.approx(lr * 0.7 * BL * GRANULARITY / unit, rel=1e-6)


@pytest.mark.parametrize("total", [0.0, 0.3, 3.0, 30.0])
@pytest.mark.parametrize(
    ("lr", "start", "share", "factor"),
    [
        *((1e-6, 1.0, 1.0, 5.0), (0.03, 1.0, 1.0, 5.0), (0.03, 0.5, 1.0, 2.5)),
        *((0.03, 0.1, 1.0, 1.0), (0.1, 1.0, 1.0, 1.5), (-0.1, 1.0, 1.0, 1.5)),
        *((0.3, 1.0, 1.0, 1.0), (0.1, 1.0, 0.5, 2.0), (0.3, 0.0, 0.25, 4.0), (0.1, 0.0, 0.1, 5.0)),
    ],
)
def test_faster_start(lr: float, start: float, share: float, factor: float, total: float) -> None:
    """Rates are larger if they are small, or while transfers are held back.

    What a batch may sum up to is the same. :meth:`after_start` says what rates would be otherwise,
    from the rate and the averages alone.
    """
    device = TrackingTransferCompound(
        auto_scale=True, fast_lr=0.7, scale_fast_lr=True, auto_scale_limit=10.0
    )
    rate = FastLearningRate(device, GRANULARITY, BL)
    rate.observe(0.5, 0.25, 1, total)
    rate.keep()()
    plain = rate(lr)
    rate.start, rate.share = start, share
    expected = lr * 0.7 * BL * GRANULARITY * min(factor / 0.125, 10.0 / max(total, 1e-9))
    assert rate(lr) == pytest.approx(expected, rel=1e-6)
    assert rate.after_start(lr) == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("by_batch", [True, False])
@pytest.mark.parametrize("n_vectors", [1, 10, 2000])
def test_what_a_batch_sends_has_a_limit(n_vectors: int, by_batch: bool) -> None:
    """Pulses of a cell are those of the sum of products, or those that the limit says.

    All products are half of the largest one, so :math:`S = n / 4` in its units. In the first sweep
    pulses are twice as many, and the limit is the same.
    """
    torch.manual_seed(1)
    config = build_config("e-rider", SoftBoundsDevice(dw_min=0.01), auto_scale_by_batch=by_batch)
    tile = TrackingTile(4, 6, config)
    tile.set_learning_rate(0.1)
    estimate_coincidences(tile)
    x, d = torch.full((n_vectors, 6), 0.5), torch.full((n_vectors, 4), 0.5)
    x[:, 0] = d[:, 0] = 1.0
    tile.update(x, d)
    mean = x.abs().mean() * d.abs().mean()
    sent = tile.tile.pipeline.counters.state()["expected_coincidences"] / 24.0
    most = 0.1 * config.device.fast_lr * config.update.desired_bl
    expected = most * min(2.0 * n_vectors * float(mean), config.device.auto_scale_limit)
    assert sent == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_not_finite_is_not_averaged(value: float, place: int) -> None:
    """Neither average would ever be a number again; one that a file has so starts anew."""
    device = TrackingTransferCompound(auto_scale=True, fast_lr=0.7)
    rate = FastLearningRate(device, GRANULARITY, BL)
    maxima = [0.5, 0.25]
    for largest in ([value, value], maxima):
        rate.observe(*largest, 3)
        rate.keep()()
    before = rate(0.1)
    maxima[place] = value
    rate.observe(*maxima, 3)
    rate.keep()()
    assert (rate.m_x, rate.m_d) == (F(0.5), F(0.25))
    assert rate(0.1) == before
    rate.load_state({"m_x": value, "m_d": value, "current": 0.0})
    rate.observe(0.5, 0.25, 3)
    assert rate(0.1) == before


@pytest.mark.parametrize(
    ("fast_lr", "scale", "auto", "expected"),
    [
        (0.0, False, False, 0.3),
        (0.0, True, False, 0.3),
        (0.0, False, True, 0.3),
        (0.5, False, False, 0.5),
        (0.5, True, False, 0.15),
        (0.5, False, True, 0.5 * BL * GRANULARITY),
    ],
)
def test_which_rate(fast_lr: float, scale: bool, auto: bool, expected: float) -> None:
    """``fast_lr=0`` is the SGD rate; else ``fast_lr``, scaled only on request."""
    device = TrackingTransferCompound(fast_lr=fast_lr, scale_fast_lr=scale, auto_scale=auto)
    assert FastLearningRate(device, GRANULARITY, BL)(0.3) == pytest.approx(expected, rel=1e-6)


def test_fast_state() -> None:
    """The running averages survive a state round trip exactly."""
    device = TrackingTransferCompound(auto_scale=True, fast_lr=0.7)
    rate, other = (FastLearningRate(device, GRANULARITY, BL) for _ in range(2))
    rate.observe(0.3, 0.7, 3)
    rate.keep()()
    rate(0.1)
    other.load_state(rate.state())
    assert other.state() == rate.state()
    for one in (rate, other):
        one.observe(0.9, 0.1, 3)
        one.keep()()
    assert other(0.1) == rate(0.1)


@pytest.mark.parametrize(
    ("auto_granularity", "buffer_granularity", "transfer_every", "scale", "correct", "accumulate"),
    product((0.0, 1000.0), (0.0, 2.0), (1.0, 0.0, -0.5), (True, False), (True, False), (0, 1)),
)
def test_transfer_rate(
    auto_granularity: float,
    buffer_granularity: float,
    transfer_every: float,
    scale: bool,
    correct: bool,
    accumulate: int,
) -> None:
    """``getTransferLRScale`` of C++ as printed in its docstring, to single precision."""
    device = TrackingTransferCompound(
        auto_granularity=auto_granularity,
        buffer_granularity=buffer_granularity,
        transfer_every=transfer_every,
        scale_transfer_lr=scale,
        correct_gradient_magnitudes=correct,
        experimental_correct_accumulation=bool(accumulate),
        transfer_lr=0.6,
    )
    events, lr, fast_lr, sample = 5, 0.3, 0.2, 7
    granularity = (buffer_granularity or 1.0) * GRANULARITY
    if auto_granularity > 0.0 and transfer_every != 0.0:
        granularity *= auto_granularity / (events * abs(transfer_every))
    expected = 0.6 * (lr if scale else 1.0) / granularity
    if correct:
        expected /= fast_lr * SLOW_GRANULARITY / GRANULARITY
    if accumulate:
        expected /= min(sample, 1.0 / GRANULARITY)
    rate = TransferLearningRate(device, GRANULARITY, SLOW_GRANULARITY, events)
    assert rate(lr, F(fast_lr), sample) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("transfer_lr", "scale", "lr", "is_on"),
    [(1.0, True, 0.1, True), (1.0, True, 0.0, False), (1.0, False, 0.0, True), (0.0, 0, 0.1, 0)],
)
def test_transfer_is_on(transfer_lr: float, scale: bool, lr: float, is_on: bool) -> None:
    """C++ skips a transfer whose learning rate is zero."""
    device = TrackingTransferCompound(transfer_lr=transfer_lr, scale_transfer_lr=bool(scale))
    rate = TransferLearningRate(device, GRANULARITY, SLOW_GRANULARITY, 5)
    assert rate.is_on(lr) == bool(is_on)
