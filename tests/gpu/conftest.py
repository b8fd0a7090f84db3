"""Without a GPU, Triton's interpreter runs the kernels on the CPU."""

from __future__ import annotations

import os

from tests.gpu.device import HAS_GPU

if not HAS_GPU:
    # Triton reads this when it is imported, which happens with the first test here.
    os.environ["TRITON_INTERPRET"] = "1"
