"""Products of a few vectors are those of a batch, to the order in which sums are taken."""

from __future__ import annotations

from typing import Any, Optional

import pytest
import torch
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.io import IOParameters
from torch import Tensor

from aihwkit_dspt import ReadMode
from aihwkit_dspt.tiles import few_read
from aihwkit_dspt.tiles.batched_read import BatchedRead
from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.few_read import FewRead
from aihwkit_dspt.tiles.read_stage import ReadStage
from tests.tiles.test_batched_read import USUAL

SETTINGS = {name: settings for name, settings in USUAL.items() if "out_asymmetry" not in settings}


def make(io: IOParameters, d_size: int, x_size: int, backward: bool) -> Any:
    """Return the read of a few vectors and that of a batch as a function of vectors."""
    crossbar = Crossbar(x_size, d_size, IdealDevice())
    crossbar.weights.copy_(0.5 * torch.randn(d_size, x_size))
    read = BatchedRead(io, backward)
    few: Optional[FewRead] = FewRead.build(read, crossbar, backward)
    matrix = crossbar.weights if backward else crossbar.weights.t()
    return few, lambda vectors: read(matrix, vectors)


def on_same_seed(one: Any, other: Any, vectors: Tensor) -> Any:
    """Return the outputs of both with the same noise."""
    outputs = []
    for read in (one, other):
        torch.manual_seed(6)
        outputs.append(read(vectors))
    return outputs


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("name", SETTINGS)
def test_equals_batch(name: str, backward: bool) -> None:
    """With the same noise, but for values that rounding errors move over a rounding threshold.

    Sums in another order differ by 1e-7 of the output. Seen: none of 3,300 outputs; one percent may
    differ.
    """
    torch.manual_seed(5)
    few, batch = make(IOParameters(**SETTINGS[name]), 23, 37, backward)
    vectors = 3.0 * torch.rand(300, 1) * torch.randn(300, few.in_size)
    vectors[150] = 0.0
    before = vectors.clone()
    found, expected = on_same_seed(few, batch, vectors)
    assert torch.equal(vectors, before)
    strided = torch.cat([vectors, vectors], 1)[:, : few.in_size]
    assert torch.equal(on_same_seed(few, few, strided)[0], found)
    assert torch.isclose(found, expected, rtol=1e-5, atol=1e-5).float().mean() > 0.99
    assert found.std() > 0.0


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("d_size", [1, 2, 3, 4, 5, 7, 8])
@pytest.mark.parametrize("n_vectors", [1, 2, 3, 6])
def test_all_sizes(n_vectors: int, d_size: int, backward: bool) -> None:
    """The loops take four rows and two vectors at once; the last ones are complete, too."""
    torch.manual_seed(7)
    io = IOParameters(inp_res=-1.0, out_res=-1.0, out_bound=-1.0)
    for x_size in (1, 2, 9, 33):
        few, batch = make(io, d_size, x_size, backward)
        found, expected = on_same_seed(few, batch, torch.randn(n_vectors, few.in_size))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backward", [False, True])
def test_numbers_that_are_none(backward: bool) -> None:
    """A vector that is not a number has such outputs; it leaves the others as they are."""
    torch.manual_seed(8)
    few, batch = make(IOParameters(), 6, 5, backward)
    vectors = torch.randn(5, few.in_size)
    vectors[1, 2] = torch.nan
    vectors[4, 0] = torch.inf
    found, expected = on_same_seed(few, batch, vectors)
    assert torch.equal(found.isnan(), expected.isnan())
    torch.testing.assert_close(found[[0, 2, 3]], expected[[0, 2, 3]], rtol=1e-5, atol=1e-5)


def test_what_memory_held_does_not_matter() -> None:
    """Without noise the outputs start from zero, not from what lies in new memory."""
    few, batch = make(IOParameters(out_noise=0.0), 6, 5, False)
    few._noise = lambda n_vectors: torch.full((n_vectors, 6), torch.nan)
    vectors = torch.randn(4, 5)
    torch.testing.assert_close(few(vectors), batch(vectors))


@pytest.mark.parametrize(
    "change", [{"is_perfect": True}, {"out_asymmetry": 0.1}, {"inp_noise": 0.1}, {"nm_thres": 0.5}]
)
def test_settings(change: Any) -> None:
    """Other than the usual settings are left to the batch."""
    few, _ = make(IOParameters(**change), 6, 5, False)
    assert (few is not None) == ("nm_thres" in change)


def test_which_vectors() -> None:
    """Few of them with many weights, as a matrix; nothing that does not fit."""
    few, _ = make(IOParameters(), 200, 300, False)
    assert few.covers(torch.ones(2, 300))
    assert few.covers(torch.ones(16, 300))
    for vectors in (
        torch.ones(1, 300),
        torch.ones(17, 300),
        torch.ones(300),
        torch.ones(2, 2, 300),
        torch.ones(2, 299),
        torch.ones(2, 300, dtype=torch.float64),
    ):
        assert not few.covers(vectors)
    small, _ = make(IOParameters(), 20, 30, False)
    assert not small.covers(torch.ones(16, 30))


def test_large_products_have_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop has one thread; what takes long is left to the library if that has more."""
    few, _ = make(IOParameters(), 600, 700, True)
    vectors = torch.ones(10, 600)
    for n_threads in (1, 2):
        monkeypatch.setattr(few_read, "get_num_threads", lambda n=n_threads: n)
        assert few.covers(vectors) == (n_threads == 1)


@pytest.mark.parametrize("backward", [False, True])
def test_stage_takes_it(backward: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer of usual size multiplies its batch so, also after its weights have got new memory."""
    torch.manual_seed(9)
    quiet = IOParameters(out_noise=0.0)
    crossbar = Crossbar(300, 200, IdealDevice(), quiet, quiet)
    crossbar.weights.normal_(0.0, 0.1)
    stage, cpp = (ReadStage(crossbar, quiet, quiet, mode) for mode in (ReadMode.AUTO, ReadMode.CPP))
    calls = []
    plain = FewRead.__call__
    monkeypatch.setattr(
        FewRead, "__call__", lambda self, vectors: calls.append(0) or plain(self, vectors)
    )
    vectors = torch.randn(10, 200 if backward else 300, requires_grad=True)
    for _ in range(2):
        found, expected = (
            item.backward(vectors, False, False, False)
            if backward
            else item.forward(vectors, False, False, False, False)
            for item in (stage, cpp)
        )
        close = torch.isclose(found, expected, rtol=1e-5, atol=1e-5)
        assert close.float().mean() > 0.99
        assert found.std() > 0.0
        crossbar._bind(torch.randn(200, 300))
    assert len(calls) == 2
