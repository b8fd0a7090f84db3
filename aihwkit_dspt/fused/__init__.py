"""Stages fused into one pass: optimisations, each equal to the plain stages that it names.

The modules with compiled functions are imported at their first use, and Numba with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aihwkit_dspt._later import imported_later

if TYPE_CHECKING:
    from aihwkit_dspt.fused import (  # noqa: F401
        batch_kernels_cpu,
        column_kernels_cpu,
        fine_pulses_cpu,
        line_kernels_cpu,
        line_pulses_cpu,
        pulses_cpu,
        random_bits,
        rates_cpu,
        read_kernels_cpu,
        step_kernels_cpu,
        trains_cpu,
        update_kernels_cpu,
    )
else:
    __getattr__ = imported_later(__name__, {})
