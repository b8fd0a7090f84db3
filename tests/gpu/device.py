"""Whether there is a GPU and an aihwkit that was compiled for it."""

from __future__ import annotations

import pytest
import torch
from aihwkit.simulator.rpu_base import cuda

HAS_GPU = bool(cuda.is_compiled() and torch.cuda.is_available())

needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="no GPU, or aihwkit's wheel for CPUs")
