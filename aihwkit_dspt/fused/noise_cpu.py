"""Noise of large products on the CPU, in less time than torch's generator takes."""

from __future__ import annotations

import numpy as np
from numba import uint64
from numpy.typing import NDArray
from torch import Tensor

from aihwkit_dspt.fused.compiled import compiled
from aihwkit_dspt.fused.random_bits import NORMALS, advance, new_seed, normal, stream

Singles = NDArray[np.float32]


@compiled
def fill_normal(values: Singles, seed: int, normals: Singles) -> None:
    """Write normal numbers, four from each 64 bits of a counter that is hashed.

    Args:
        values: ``[n]``, written.
        seed: seed of the counter.
        normals: normal numbers, see :data:`~aihwkit_dspt.fused.random_bits.NORMALS`.
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


def draw_normal(output: Tensor) -> None:
    """Fill a dense tensor of single precision on the CPU with normal numbers.

    Their seed is drawn from torch's generator.
    """
    fill_normal(output.numpy().reshape(-1), new_seed(), NORMALS)
