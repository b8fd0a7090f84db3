"""Noise of large products on the CPU, in less time than torch's generator takes."""

from __future__ import annotations

from torch import Tensor

from aihwkit_dspt import fused


def draw_normal(output: Tensor) -> None:
    """Fill a dense tensor of single precision on the CPU with normal numbers.

    Their seed is drawn from torch's generator.
    """
    numbers = fused.random_bits
    numbers.fill_normal(output.numpy().reshape(-1), numbers.new_seed(), numbers.NORMALS)


FEWEST = 512
"""From so many numbers on the compiled loop is faster than torch's generator."""


def draw_noise(output: Tensor) -> None:
    """Fill a dense tensor of single precision on the CPU with normal numbers, the faster way."""
    if output.numel() < FEWEST:
        output.normal_()
    else:
        draw_normal(output)
