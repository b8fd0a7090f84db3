"""A user sees which executor is used, and may ask for plain torch."""

from __future__ import annotations

from typing import Any, Dict

import pytest
import torch
from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.enums import NoiseManagementType
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt import (
    ReadMode,
    TrackingTile,
    TrackingTransferCompound,
    TransferScope,
    read_executors,
)
from aihwkit_dspt.reads.array import ArrayReads
from aihwkit_dspt.tiles.crossbar import Crossbar
from tests.helpers import perfect, quiet_config, quiet_tile


def tile_with(
    sizes: Any = (200, 300), bias: bool = False, reads: Any = None, **settings: Any
) -> TrackingTile:
    """Return a tile whose reads are noisy."""
    config = quiet_config(digital_bias=False, **settings)
    config.forward = config.backward = IOParameters() if reads is None else IOParameters(**reads)
    return TrackingTile(*sizes, config, bias)


@pytest.mark.parametrize(
    ("settings", "n_vectors", "layout", "expected"),
    [
        ({}, 1, "matrix", ("cpp", "cpp", "numba-line")),
        ({}, 10, "matrix", ("numba-few", "numba-few", "numba-line")),
        ({}, 14, "matrix", ("numba-few", "numba-converters", "numba-line")),
        ({}, 10, "rows", ("numba-converters", "numba-converters", "numba-line")),
        ({"bias": True}, 10, "matrix", ("numba-converters", "numba-converters", "numba-line")),
        ({}, 10, "unfolded", ("numba-converters", "numba-converters", "numba-line")),
        ({"reads": {"inp_noise": 0.1}}, 10, "matrix", ("torch", "torch", "numba-line")),
        ({"reads": {"ir_drop": 1.0}}, 10, "matrix", ("cpp", "cpp", "numba-line")),
        ({"sizes": (3, 4)}, 10, "matrix", ("cpp", "cpp", "numba-line")),
        ({"read_mode": ReadMode.CPP}, 10, "matrix", ("cpp", "cpp", "cpp-line")),
        ({"read_mode": ReadMode.TORCH}, 1, "matrix", ("torch", "torch", "torch")),
        (
            {"transfer_scope": TransferScope.ARRAY},
            10,
            "matrix",
            ("numba-few", "numba-few", "numba-line"),
        ),
    ],
    ids=str,
)
def test_read_executors(settings: Any, n_vectors: int, layout: str, expected: Any) -> None:
    """The executors of a tile, by size, layout, settings and mode."""
    assert read_executors(tile_with(**settings), n_vectors, layout) == expected


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {},
            "forward=[cpp: 1, numba-few: 2-16, numba-converters: 17+], "
            "backward=[cpp: 1, numba-few: 2-12, numba-converters: 13+], line=numba-line",
        ),
        ({"sizes": (3, 4)}, "forward=backward=[cpp: 1-73, numba-converters: 74+], line=numba-line"),
        ({"read_mode": ReadMode.TORCH}, "forward=backward=torch, line=torch"),
        (
            {"read_mode": ReadMode.CPP},
            "forward=backward=cpp(read_mode=ReadMode.CPP), line=cpp-line",
        ),
        ({"reads": {"ir_drop": 1.0}}, "forward=backward=cpp(ir_drop=1.0), line=numba-line"),
    ],
    ids=str,
)
def test_repr_tells(settings: Any, text: str) -> None:
    """For all numbers of vectors, and which setting stands in the way."""
    assert text in repr(tile_with(**settings))


def test_repr_and_function_agree() -> None:
    """The spans of the representation are what the function says, vector by vector."""
    tile = tile_with()
    spans = repr(tile).split("forward=[")[1].split("]")[0].split(", ")
    for span in spans:
        name, numbers = span.split(": ")
        first, _, last = numbers.rstrip("+").partition("-")
        for n_vectors in range(int(first), int(last or first) + 1):
            assert read_executors(tile, n_vectors).forward == name


def test_plain_torch_repeats_a_run() -> None:
    """Reads of lines and products of one vector and of many follow torch's seed."""
    outputs = []
    tile = tile_with((20, 30), read_mode=ReadMode.TORCH, transfer_forward=IOParameters()).tile
    line_reads = tile.pipeline.link.line_reads
    tile.pipeline.fast.weights.normal_(0.0, 0.1)
    tile.pipeline.refresh_weights()
    for _ in range(2):
        torch.manual_seed(5)
        outputs.append(
            [
                line_reads.read(slice(2, 3)),
                line_reads.read(slice(0, 30)),
                *(tile.forward(torch.ones(n, 30)) for n in (1, 2, 50)),
                *(tile.backward(torch.ones(n, 20)) for n in (1, 2, 50)),
            ]
        )
    assert all(map(torch.equal, *outputs))
    assert all(values.std() > 0.0 for values in outputs[0])


REFUSED: Dict[str, Any] = {
    "forward.ir_drop=1.0": {"forward": IOParameters(ir_drop=1.0)},
    "backward.v_offset_std=0.1": {"backward": IOParameters(v_offset_std=0.1)},
    "forward.noise_management": {
        "forward": IOParameters(noise_management=NoiseManagementType.AVERAGE_ABS_MAX)
    },
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_plain_torch_does_not_cover_is_refused(text: str) -> None:
    """At construction, with the field and what to pass; other modes take aihwkit's tile."""
    for mode in ReadMode:
        config = quiet_config(read_mode=mode)
        for name, value in REFUSED[text].items():
            setattr(config, name, value)
        if mode is not ReadMode.TORCH:
            TrackingTile(3, 4, config)
            continue
        with pytest.raises(ConfigError, match=text) as error:
            TrackingTile(3, 4, config)
        assert "pass read_mode=ReadMode.AUTO or ReadMode.CPP" in str(error.value)


@pytest.mark.parametrize("name", ["ir_drop", "out_noise_std"])
def test_lines_are_refused_as_well(name: str) -> None:
    """By the name of the field that says how transfers read."""
    with pytest.raises(ConfigError, match=f"transfer_forward.{name}=0.1"):
        quiet_tile(read_mode=ReadMode.TORCH, transfer_forward=IOParameters(**{name: 0.1}))


def test_other_data_types_are_refused() -> None:
    """Plain torch is in single precision."""
    io = perfect()
    array = Crossbar(4, 3, IdealDevice(), io, io)
    # aihwkit's wheels have no other arrays.
    array.weights = array.weights.double()
    with pytest.raises(ConfigError, match=r"runtime.data_type=.*pass read_mode"):
        ArrayReads(array, io, io, ReadMode.TORCH)
    auto = ArrayReads(array, io, io, ReadMode.AUTO)
    assert auto.describe() == "forward=backward=cpp(torch.float64)"


def test_wrong_mode_is_refused() -> None:
    """As every misspelled setting."""
    with pytest.raises(ConfigError, match="read_mode"):
        TrackingTransferCompound(read_mode="auto")  # type: ignore[arg-type]
