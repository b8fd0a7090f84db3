"""Whether there is a GPU and an aihwkit that was compiled for it, and what runs kernels if not."""

from __future__ import annotations

import os

import pytest
import torch
from aihwkit.simulator.rpu_base import cuda

HAS_GPU = bool(cuda.is_compiled() and torch.cuda.is_available())

GPU = "cuda"

needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="no GPU, or aihwkit's wheel for CPUs")

if not HAS_GPU:
    # Triton's interpreter runs the kernels on the CPU. Triton reads this when it is imported, which
    # happens with the first test that needs it.
    os.environ["TRITON_INTERPRET"] = "1"
