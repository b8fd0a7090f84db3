"""The mixed weight in one pass over its cells, on the CPU or a GPU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Tuple

from torch import Tensor, dtype, float32, float64, get_num_threads

from aihwkit_dspt import fused
from aihwkit_dspt.fused.form import FusedForm
from aihwkit_dspt.fused.gpu.support import gpu_kernels
from aihwkit_dspt.fused.shared import SharedArrays
from aihwkit_dspt.stages.chopper import Chopper

if TYPE_CHECKING:
    from aihwkit_dspt.stages.mixer import MixedWeight

MANY_CELLS = 2**18
"""From so many cells on, several threads of torch are faster than the compiled pass, which has one.
"""


def is_shared_out(values: Tensor) -> bool:
    """Return whether the pass over a whole array on the CPU is left to threads of torch.

    Its roundings are those of the compiled pass.
    """
    return values.numel() >= MANY_CELLS and get_num_threads() > 1


class FusedMixer(FusedForm, ABC):
    """Passes that do what methods of a mixed weight do by torch.

    Args:
        mixed: the mixed weight.
    """

    DATA_TYPES: Tuple[dtype, ...]
    """Data types that the passes know."""

    def __init__(self, mixed: MixedWeight) -> None:
        self.mixed = mixed

    @abstractmethod
    def store(self, slow: Tensor, reference: Tensor, chopper: Chopper, lines: slice) -> bool:
        """Do what :meth:`MixedWeight.store_by_torch` does, or return ``False``."""

    def refresh(self, fast: Tensor, chopper: Chopper) -> bool:
        """Do what :meth:`MixedWeight.renew` does, or return ``False``."""
        return False


class CpuMixer(FusedMixer):
    """Compiled passes, where outputs are not chopped."""

    NAME = "numba-mixer"
    DEVICE = "cpu"
    DATA_TYPES = (float32, float64)

    def __init__(self, mixed: MixedWeight) -> None:
        super().__init__(mixed)
        self._of_lines, self._of_cells = SharedArrays(), SharedArrays()

    def store(self, slow: Tensor, reference: Tensor, chopper: Chopper, lines: slice) -> bool:
        """Store some lines. All are stored outside of a step, where nothing shall be compiled."""
        if chopper.has_output or lines.stop - lines.start == len(reference):
            return False
        mixed = self.mixed
        stored, weights, held, signs = self._of_lines(
            mixed.stored, slow, reference, chopper.in_sign
        )
        if mixed.transfer_columns:
            stored, weights = stored.T, weights.T
        which = lines.start, lines.stop, mixed.gamma
        fused.line_kernels_cpu.store_lines(stored, weights, held, signs, *which)
        return True

    def refresh(self, fast: Tensor, chopper: Chopper) -> bool:
        """Write the mixed weight, unless several threads do."""
        if chopper.has_output or is_shared_out(fast):
            return False
        mixed = self.mixed
        arrays = self._of_cells(mixed.stored, fast, chopper.in_sign, mixed.output)
        stored, values, signs, output = arrays
        columns, gamma = mixed.transfer_columns, mixed.gamma
        fused.line_kernels_cpu.mix(stored, values, signs, columns, gamma, output)
        return True


class GpuMixer(FusedMixer):
    """A Triton kernel for lines; for the whole weight torch has one kernel."""

    NAME = "triton-mixer"
    DEVICE = "cuda"
    DATA_TYPES = (float32,)

    def store(self, slow: Tensor, reference: Tensor, chopper: Chopper, lines: slice) -> bool:
        """Store lines."""
        mixed = self.mixed
        arrays = mixed.oriented(mixed.stored), mixed.oriented(slow), reference
        signs = chopper.in_sign, chopper.out_sign
        gpu_kernels().lines.store_lines(*arrays, *signs, lines, mixed.gamma)
        return True
