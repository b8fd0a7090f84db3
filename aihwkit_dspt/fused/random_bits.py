"""Random numbers of compiled loops: a counter that is hashed, from a seed of torch."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
import torch
from numba import types, uint64
from numba.extending import intrinsic
from numpy.typing import NDArray

from aihwkit_dspt.fused.compiled import compiled, compiled_inside

_LOG2_NORMALS = 13
N_NORMALS = 2**_LOG2_NORMALS


def _normal_numbers() -> NDArray[np.float32]:
    """Return equally likely normal numbers: quantiles, of mean zero and variance one."""
    count = N_NORMALS
    middles = (torch.arange(count, dtype=torch.float64, device="cpu") + 0.5) / count
    numbers = torch.special.ndtri(middles)
    values: NDArray[np.float32] = (numbers / numbers.std(unbiased=False)).float().numpy()
    return values


NORMALS = _normal_numbers()
"""Normal numbers in order. A random one differs from a normal number by 6e-5 in distribution, as
aihwkit's, which are taken from a table, too."""


def new_seed() -> int:
    """Return a seed from torch's generator of the CPU."""
    return new_seeds(1)[0]


def new_seeds(n_seeds: int) -> List[int]:
    """Return seeds from torch's generator of the CPU."""
    seeds: List[int] = torch.randint(2**62, (n_seeds,), device="cpu").tolist()
    return seeds


@compiled_inside
def advance(state: Any) -> Tuple[Any, Any]:
    """Return the next state of a stream and 64 random bits (splitmix64)."""
    state = state + uint64(0x9E3779B97F4A7C15)
    bits = (state ^ (state >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> uint64(27))) * uint64(0x94D049BB133111EB)
    return state, bits ^ (bits >> uint64(31))


@compiled_inside
def stream(seed: Any, number: Any) -> Any:
    """Return the state of a stream of its own for each number."""
    return advance(advance(uint64(seed))[1] ^ uint64(number))[1]


@compiled_inside
def normal(bits: Any, normals: Any) -> Any:
    """Return a normal number from 64 random bits."""
    return normals[bits >> uint64(64 - _LOG2_NORMALS)]


@intrinsic  # type: ignore[untyped-decorator]
def count_ones(_: Any, word: Any) -> Any:
    """Return the number of ones in a 64-bit word."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), code  # with unsigned numbers Numba would add as floats


@compiled
def fill_normal(values: NDArray[np.float32], seed: int, normals: NDArray[np.float32]) -> None:
    """Write normal numbers, four from each 64 bits of a counter that is hashed.

    Args:
        values: ``[n]``, written.
        seed: seed of the counter.
        normals: normal numbers, see :data:`NORMALS`.
    """
    state = stream(seed, 0)
    whole = len(values) - len(values) % 4
    for place in range(0, whole, 4):
        state, bits = advance(state)
        for part in range(4):
            values[place + part] = normal(bits << uint64(16 * part), normals)
    state, bits = advance(state)
    for place in range(whole, len(values)):
        values[place] = normal(bits, normals)
        bits = bits << uint64(16)
