"""Reads go the way that is the fastest, or that was asked for, with the same result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogConv1d, AnalogConv2d, AnalogConv3d, AnalogLinear, AnalogLinearMapped
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.enums import BoundManagementType
from aihwkit.simulator.parameters.io import IOParameters
from torch import Tensor

from aihwkit_dspt import ReadMode
from aihwkit_dspt.fused.few_cpu import NumbaFew
from aihwkit_dspt.fused.read import Layout
from aihwkit_dspt.fused.read_cpu import NumbaConverters
from aihwkit_dspt.fused.table import FUSED_PRODUCTS
from aihwkit_dspt.reads.array import ArrayReads
from aihwkit_dspt.reads.law import ReadLaw
from aihwkit_dspt.reads.product import PlainProduct
from aihwkit_dspt.reads.thresholds import MEASURED, Thresholds
from aihwkit_dspt.tiles.crossbar import Crossbar
from tests.helpers import quiet_config

OUT, IN = 5, 7
QUIET = IOParameters(out_noise=0.0)
NOISY = IOParameters(
    out_noise=0.1, out_res=-1.0, inp_res=-1.0, bound_management=BoundManagementType.NONE
)

ALWAYS = Thresholds(batch_vectors=0, batch_cells=0)
"""A matrix product for tiles and batches of any size."""


def array(d_size: int = OUT, x_size: int = IN, io: IOParameters = QUIET) -> Crossbar:
    """Return an array at random weights."""
    crossbar = Crossbar(x_size, d_size, IdealDevice(), io, io)
    crossbar.weights.normal_(0.0, 1.0 if d_size == OUT else 0.1)
    return crossbar


def multiply(
    reads: ArrayReads, vectors: Tensor, backward: bool, bias: bool = False, trans: bool = False
) -> Tensor:
    """Return products in one direction."""
    direction = reads.backward if backward else reads.forward
    return direction(vectors, bias, trans, trans)


def layouts(size: int) -> Any:
    """Return vectors of a size in all layouts that layers pass, vector dimension last."""
    return {
        "matrix": torch.randn(6, size),
        "vector": torch.randn(size),
        "three dimensions": torch.randn(2, 3, size),
        "unfolded": torch.randn(2, size, 3).transpose(1, 2),
        "four dimensions": torch.randn(2, 2, 2, size),
        "strided": torch.randn(6, 2 * size)[:, ::2],
        "one": torch.randn(1, size),
        "none": torch.randn(0, size),
    }


@pytest.mark.parametrize("mode", [ReadMode.AUTO, ReadMode.TORCH], ids=str)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("trans", [False, True])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("layout", layouts(1))
def test_layouts(layout: str, backward: bool, trans: bool, bias: bool, mode: ReadMode) -> None:
    """Shapes and values are those of C++; inputs stay as they are."""
    torch.manual_seed(1)
    crossbar = array()
    own = ArrayReads(crossbar, QUIET, QUIET, mode, ALWAYS)
    cpp = ArrayReads(crossbar, QUIET, QUIET, ReadMode.CPP)
    vectors: Tensor = layouts(OUT if backward else IN - int(bias))[layout]
    if trans:
        if layout == "none":
            pytest.skip("aihwkit's tile cannot take an empty transposed batch")
        vectors = vectors.movedim(-1, 0).contiguous()
    before = vectors.clone()
    found = multiply(own, vectors, backward, bias, trans)
    expected = multiply(cpp, vectors.contiguous(), backward, bias, trans)
    assert found.shape == expected.shape
    assert torch.equal(vectors, before)
    n_close = torch.isclose(found, expected, rtol=1e-5, atol=1e-5).sum()
    assert n_close >= 0.95 * found.numel()


SIZES = {"small": (10, 30), "layer": (200, 300), "large": (600, 700)}
N_VECTORS = (1, 2, 3, 4, 10, 12, 13, 16, 17, 80)


@pytest.mark.parametrize("mode", ReadMode, ids=str)
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_names_are_true(size: str, backward: bool, mode: ReadMode) -> None:
    """Torch's seed fixes the noise of a read unless aihwkit's tile is named, for one vector, too.

    And the outputs are those of the named form with the same seed.
    """
    crossbar = array(*SIZES[size], NOISY)
    law = ReadLaw.of(NOISY, backward)
    forms: Any = {kind.NAME: kind(law, backward) for kind in FUSED_PRODUCTS}
    forms["torch"] = PlainProduct(law)
    reads = ArrayReads(crossbar, NOISY, NOISY, mode)
    matrix = crossbar.weights if backward else crossbar.weights.t()
    names = []
    for n_vectors in N_VECTORS:
        vectors = torch.randn(n_vectors, len(matrix))
        outputs = []
        for _ in range(2):
            torch.manual_seed(3)
            outputs.append(multiply(reads, vectors, backward))
        name = reads.executor_name(n_vectors, backward)
        assert torch.equal(*outputs) == (name != "cpp")
        if name != "cpp":
            torch.manual_seed(3)
            assert torch.equal(forms[name](matrix, vectors), outputs[0])
        names.append(name)
    assert names[0] == ("torch" if mode is ReadMode.TORCH else "cpp")
    if mode is ReadMode.AUTO:
        assert "numba-converters" in names
        assert ("numba-few" in names) == (size != "small")
    else:
        assert len(set(names)) == 1


@pytest.mark.parametrize("backward", [False, True])
def test_plain_torch_is_the_same_for_one_vector_and_many(backward: bool) -> None:
    """What a vector gives with a seed does not depend on how many come after it."""
    reads = ArrayReads(array(io=NOISY), NOISY, NOISY, ReadMode.TORCH)
    vectors = torch.randn(300, OUT if backward else IN)
    outputs = []
    for n_vectors in (1, 300):
        torch.manual_seed(4)
        # Normal numbers are drawn in blocks of 16.
        outputs.append(multiply(reads, vectors[:1].repeat(n_vectors, 1), backward))
    torch.manual_seed(4)
    assert torch.equal(multiply(reads, vectors[:1], backward), outputs[0])
    spread = outputs[1].std(0)
    # 300 reads: a standard error of 4 % for the spread; five times that.
    assert (spread / (NOISY.out_noise * vectors[0].abs().max()) - 1.0).abs().max() < 0.2


@pytest.mark.parametrize(
    ("thresholds", "expected"),
    [
        ({}, ["cpp", "numba-few", "numba-few", "numba-converters"]),
        ({"few_forward": 0}, ["cpp", "cpp", "numba-converters", "numba-converters"]),
        ({"few_forward": 100}, ["cpp", "numba-few", "numba-few", "numba-few"]),
        ({"few_products": 10**9}, ["cpp", "cpp", "numba-converters", "numba-converters"]),
        ({"few_forward": 0, "batch_vectors": 11}, ["cpp", "cpp", "cpp", "numba-converters"]),
        ({"few_forward": 0, "batch_cells": 10**9}, ["cpp"] * 4),
        ({"few_forward": 0, "cells_per_vector": 10**9}, ["cpp", "cpp", *["numba-converters"] * 2]),
    ],
    ids=str,
)
def test_thresholds(
    thresholds: Dict[str, int], expected: List[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each number moves the sizes that it says; with one thread, whatever the machine has."""
    monkeypatch.setattr("aihwkit_dspt.reads.choose.get_num_threads", lambda: 1)
    reads = ArrayReads(
        array(200, 300), QUIET, QUIET, ReadMode.AUTO, replace(MEASURED, **thresholds)
    )
    assert [reads.executor_name(n, False) for n in (1, 2, 10, 80)] == expected


def test_large_products_have_all_threads() -> None:
    """The loop has one thread; what takes long is left to the library if that has more."""
    reads = ArrayReads(array(600, 700), QUIET, QUIET, ReadMode.AUTO).backward
    names = [reads.choose(10, Layout.MATRIX, n_threads) for n_threads in (1, 2)]
    assert [type(product) for product in names] == [NumbaFew, NumbaConverters]


@pytest.mark.parametrize("backward", [False, True])
def test_follows_new_memory(backward: bool) -> None:
    """Products are those of the weights that the array has now."""
    crossbar = array(200, 300)
    auto, cpp = (ArrayReads(crossbar, QUIET, QUIET, mode) for mode in (ReadMode.AUTO, ReadMode.CPP))
    vectors = torch.randn(10, 200 if backward else 300, requires_grad=True)
    assert auto.executor_name(10, backward) == "numba-few"
    for _ in range(2):
        found, expected = (multiply(reads, vectors, backward) for reads in (auto, cpp))
        assert torch.isclose(found, expected, rtol=1e-5, atol=1e-5).float().mean() > 0.99
        assert found.std() > 0.0
        crossbar.bind(torch.randn(200, 300))


@pytest.mark.parametrize("mode", ReadMode, ids=str)
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("shape", [(2, 4), (10, 4), (), (3, 2, 4)], ids=str)
def test_vectors_that_do_not_fit(shape: Any, backward: bool, mode: ReadMode) -> None:
    """An error says so, whoever multiplies."""
    with pytest.raises((TileError, RuntimeError), match=r"size|shape|dim"):
        multiply(ArrayReads(array(), QUIET, QUIET, mode, ALWAYS), torch.ones(shape), backward)


@pytest.mark.parametrize("mode", [ReadMode.AUTO, ReadMode.TORCH], ids=str)
@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("name", ["linear", "mapped", "conv1d", "conv2d", "conv3d"])
@pytest.mark.parametrize("digital_bias", [True, False])
def test_layers(name: str, indexed: bool, mode: ReadMode, digital_bias: bool) -> None:
    """Outputs and input gradients of layers equal those of aihwkit's tile."""
    torch.manual_seed(2)
    layers: Any = {
        "linear": (lambda c: AnalogLinear(6, 4, rpu_config=c), (3, 6)),
        "mapped": (lambda c: AnalogLinearMapped(6, 4, rpu_config=c), (3, 6)),
        "conv1d": (lambda c: AnalogConv1d(2, 3, 3, rpu_config=c), (3, 2, 8)),
        "conv2d": (lambda c: AnalogConv2d(2, 3, 3, padding=1, rpu_config=c), (3, 2, 6, 5)),
        "conv3d": (lambda c: AnalogConv3d(2, 3, 2, rpu_config=c), (3, 2, 4, 4, 3)),
    }
    make, shape = layers[name]
    found = []
    state = None
    x = torch.randn(shape)
    for current in (ReadMode.CPP, mode):
        config = quiet_config(gamma=0.2, read_mode=current, digital_bias=digital_bias)
        config.mapping.max_input_size = config.mapping.max_output_size = 3 * (name == "mapped")
        layer: Any = make(config)
        state = layer.state_dict() if state is None else state
        layer.load_state_dict(state, load_rpu_config=False)
        if indexed:
            layer.use_indexed = True  # convolutions ask for it
        if current is ReadMode.AUTO:
            for tile in layer.analog_tiles():
                pipeline = tile.tile.pipeline
                array_and_io = pipeline.mixed_array, config.forward, config.backward
                pipeline.reads = ArrayReads(*array_and_io, current, ALWAYS)
        own = x.clone().requires_grad_()
        output = layer(own)
        output.square().sum().backward()
        found.append((output.detach(), own.grad))
    for expected, other in zip(*found):
        assert other.shape == expected.shape
        assert torch.allclose(other, expected, rtol=1e-5, atol=1e-5)
