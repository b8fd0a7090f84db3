"""The reference that is in use."""

from __future__ import annotations

from functools import partial
from typing import Dict, Mapping, Optional, Protocol, Tuple, Union

from torch import Tensor, dtype, zeros
from torch.nn import Module

from aihwkit_dspt.stages.uninterrupted import Call, in_one_go


class Reference(Module):
    r"""The reference :math:`\tilde Q` in an exact digital register.

    Source: paper Algorithm 3.

    Args:
        in_size: number of lines of the fast array.
        out_size: number of cells along a line.
        data_type: data type of the values.

    Attributes:
        values: ``[in_size, out_size]`` reference :math:`\tilde Q`, in weight units.
        n_syncs: number of programming events.
        n_synced_cells: number of cells that these events programmed.
    """

    def __init__(self, in_size: int, out_size: int, data_type: dtype) -> None:
        super().__init__()
        self.values: Tensor
        self.register_buffer("values", zeros(in_size, out_size, dtype=data_type))
        self.n_syncs = 0
        self.n_synced_cells = 0

    def sync(self, lines: slice, outputs: Optional[Tensor], target: Tensor, *then: Call) -> None:
        """Program lines towards a target; what they hold then is up to the reference.

        Args:
            lines: the lines.
            outputs: indices of the cells along the lines, ``None`` for all.
            target: ``[n_lines, n_outputs]`` values, in weight units.
            then: calls that are made in one go with it.
        """
        self._hold(lines if outputs is None else (lines, outputs), target, *then)

    def _hold(self, index: Union[slice, Tuple[slice, Tensor]], values: Tensor, *then: Call) -> None:
        counts = {
            "n_syncs": self.n_syncs + 1,
            "n_synced_cells": self.n_synced_cells + values.numel(),
        }
        held = partial(self.values.__setitem__, index, values)
        in_one_go(held, partial(vars(self).update, counts), *then)

    def count_syncs(self, n_syncs: int, n_lines: int) -> Call:
        """Return the call that counts events in which somebody else has programmed lines."""
        n_cells = n_lines * self.values.shape[1]
        counts = {
            "n_syncs": self.n_syncs + n_syncs,
            "n_synced_cells": self.n_synced_cells + n_cells,
        }
        return partial(vars(self).update, counts)

    def get_extra_state(self) -> Dict[str, int]:
        """Return the counters, for the state dict."""
        return {"n_syncs": self.n_syncs, "n_synced_cells": self.n_synced_cells}

    def set_extra_state(self, state: Mapping[str, int]) -> None:
        """Set the counters."""
        self.n_syncs = int(state["n_syncs"])
        self.n_synced_cells = int(state["n_synced_cells"])


class CellArray(Protocol):
    """An analog array that holds a reference."""

    def values(self) -> Tensor:
        """Return the ``[in_size, out_size]`` view of what the cells hold."""

    def program(self, lines: slice, target: Tensor) -> Tensor:
        """Program lines towards ``[n_lines, out_size]`` values; return what they hold then."""


class AnalogReference(Reference):
    r"""The reference :math:`\tilde Q` on an analog array of its own (``reference_device``).

    It is programmed towards a target from where it is, also when that is done again after an
    interrupt. Sizes are those of :class:`Reference`. Source: paper Algorithm 3, "analog copy of Q".
    """

    def __init__(self, in_size: int, out_size: int, data_type: dtype, array: CellArray) -> None:
        super().__init__(in_size, out_size, data_type)
        self._array = array
        self.values.copy_(array.values())

    def sync(self, lines: slice, outputs: Optional[Tensor], target: Tensor, *then: Call) -> None:
        """Program lines with pulses; see :class:`Reference`."""
        every: Union[slice, Tuple[slice, Tensor]] = (
            slice(None) if outputs is None else (slice(None), outputs)
        )
        whole = self.values[lines].clone()
        whole[every] = target
        held = self._array.program(lines, whole)
        self._hold(lines if outputs is None else (lines, outputs), held[every], *then)
