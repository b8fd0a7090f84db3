"""The chopper: a sign per input and output line that flips from time to time."""

from __future__ import annotations

from functools import partial
from typing import Dict, List, Mapping, Tuple

import numpy as np
from numpy.typing import NDArray
from torch import Generator, Tensor, dtype, ones, rand, tensor
from torch.nn import Module

from aihwkit_dspt.stages.timing import TransferTiming
from aihwkit_dspt.stages.uninterrupted import Call, in_one_go


def as_index(numbers: List[int], values: Tensor) -> Tensor:
    """Return numbers as an index of values; a list would make the host wait for a GPU."""
    return tensor(numbers, device="cpu").to(values.device, non_blocking=True)


class Chopper(Module):
    r"""Signs :math:`c_{ij} = o_i\, n_j \in \{-1, +1\}` that modulate gradient and transfer.

    Input signs belong to the lines that are read (columns, or rows with row transfer), output
    signs to the cells along a line. A subclass with other flips says in :meth:`due` and
    :meth:`outputs_due` what flips, whatever the probabilities. Source: paper eq. (17), Algorithm 3;
    flips are timed as in aihwkit's C++ chopped and dynamic compounds.

    Args:
        in_size: number of lines.
        out_size: number of cells along a line.
        in_chop_prob: flip probability of an input sign per read of its line; 0 for none.
        out_chop_prob: flip probability of an output sign per full sweep; 0 for none.
        in_chop_random: whether input signs flip at random or at the end of each phase.
        timing: when a phase ends, and whether signs of lines alternate at first. aihwkit's dynamic
            compound flips at the end of a phase even if it also flips at random.
        seed: seed of the random flips.
        data_type: data type of the signs.

    Attributes:
        has_input: whether input signs ever flip.
        has_output: whether output signs ever flip.
    """

    def __init__(
        self,
        in_size: int,
        out_size: int,
        in_chop_prob: float,
        out_chop_prob: float,
        in_chop_random: bool,
        timing: TransferTiming,
        seed: int,
        data_type: dtype,
    ) -> None:
        super().__init__()
        self.in_chop_prob = in_chop_prob
        self.out_chop_prob = out_chop_prob
        self.in_chop_random = in_chop_random and in_chop_prob > 0.0
        self.regular = in_chop_prob > 0.0 and (not in_chop_random or timing.ends_phases)
        self.timing = timing
        kind = type(self)
        self.has_input = in_chop_prob > 0.0 or kind.due is not Chopper.due
        self.has_output = out_chop_prob > 0.0 or kind.outputs_due is not Chopper.outputs_due
        self.in_sign: Tensor
        self.out_sign: Tensor
        self.register_buffer("in_sign", ones(in_size, dtype=data_type))
        if timing.alternates and self.regular:
            self.in_sign[1::2] = -1.0
        self.register_buffer("out_sign", ones(out_size, dtype=data_type))
        # The decisions do not depend on data, so they are drawn on the host: no device sync.
        self.generator = Generator().manual_seed(seed)
        self._host_signs: List[float] = []
        self._n_flipped = 0
        self._host_version = -1

    def signs(self, lines: slice) -> Tensor:
        """Return the ``[n_lines, out_size]`` (broadcastable) signs of the given lines."""
        in_sign = self.in_sign[lines].unsqueeze(1)
        return in_sign * self.out_sign if self.has_output else in_sign

    def modulate(self, lines: Tensor, cells: Tensor) -> Tuple[Tensor, Tensor]:
        """Return gradient vectors whose outer products have the chopper signs.

        Args:
            lines: ``[n, in_size]`` vectors, an entry for each line.
            cells: ``[n, out_size]`` vectors, an entry for each cell along a line.
        """
        if self.has_input:
            # The version counts changes in place: it tells when signs were loaded. Not by
            # attribute: torch looks for a buffer last.
            if self._host_version != self._buffers["in_sign"]._version:  # type: ignore[union-attr]
                self._update_host()
            # All signs are equal with a regular chopper that started so, but for one sweep in each
            # period.
            if 0 < self._n_flipped < len(self._host_signs):
                lines = lines * self.in_sign
            elif self._n_flipped > 0:
                cells = -cells
        return lines, cells * self.out_sign if self.has_output else cells

    def demodulate(self, lines: slice, residual: Tensor, scale: float) -> Tensor:
        """Return ``scale`` times the ``[n_lines, out_size]`` residual with the signs undone."""
        if not (self.has_input or self.has_output):
            return residual * scale
        return residual * (self.signs(lines) * scale)

    def __getstate__(self) -> Dict[str, object]:
        # The version of a copied tensor says nothing.
        return {**vars(self), "_host_version": -1}

    def _apply(self, fn: object, recurse: bool = True) -> Chopper:
        self._host_version = -1  # nor does that of a moved one
        chopper: Chopper = super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return chopper

    def _update_host(self) -> None:
        self._host_signs = self.in_sign.tolist()
        self._n_flipped = self._host_signs.count(-1.0)
        self._host_version = self.in_sign._version

    def due_one_by_one(self, n_lines: int, sweep: int) -> NDArray[np.bool_]:
        """Return which signs flip after reads of single lines in a sweep, see :meth:`due`."""
        if self.regular and self.timing.ends_phase(sweep):
            return np.ones(n_lines, bool)
        if not self.in_chop_random:
            return np.zeros(n_lines, bool)
        draws = rand(n_lines, generator=self.generator, device="cpu")
        flips: NDArray[np.bool_] = (draws < self.in_chop_prob).numpy()
        return flips

    def follow_signs(self) -> Call:
        """Return the call that notes that somebody has changed the signs in their memory."""
        return partial(vars(self).update, _host_version=-1)

    def may_flip(self, sweep: int) -> bool:
        """Return whether input signs may flip after reads in the sweep after ``sweep`` ones."""
        return self.in_chop_random or (self.regular and self.timing.ends_phase(sweep))

    def due(self, lines: slice, sweep: int) -> List[int]:
        """Return the lines whose input sign flips after a read of ``lines``; draw random flips.

        Args:
            lines: the lines that were read.
            sweep: number of full sweeps before this one.
        """
        indices = range(lines.start, lines.stop)
        if self.regular and self.timing.ends_phase(sweep):
            return list(indices)
        if not self.in_chop_random:
            return []
        draws = rand(len(indices), generator=self.generator, device="cpu").tolist()
        return [line for line, draw in zip(indices, draws) if draw < self.in_chop_prob]

    def flip(self, flipped: List[int], *then: Call) -> None:
        """Flip input signs.

        Args:
            flipped: the lines.
            then: calls that are made in one go with it.
        """
        is_current = self._host_version == self.in_sign._version
        if len(flipped) == len(self.in_sign):
            in_one_go(partial(self.in_sign.neg_), *then)
        elif len(flipped) == 1:
            in_one_go(partial(self.in_sign[flipped[0]].neg_), *then)
        elif flipped:
            index = as_index(flipped, self.in_sign)
            values = self.in_sign[index].neg_()
            in_one_go(partial(self.in_sign.index_copy_, 0, index, values), *then)
        else:
            in_one_go(*then)
        if is_current:
            for line in flipped:
                self._n_flipped += int(self._host_signs[line])
                self._host_signs[line] = -self._host_signs[line]
            self._host_version = self.in_sign._version

    def outputs_due(self) -> List[int]:
        """Return the outputs whose sign flips at the end of a sweep, drawn at random."""
        if self.out_chop_prob <= 0.0:
            return []
        draws = rand(len(self.out_sign), generator=self.generator, device="cpu")
        flipped: List[int] = (draws < self.out_chop_prob).nonzero().flatten().tolist()
        return flipped

    def flip_outputs(self, flipped: List[int], *then: Call) -> None:
        """Flip output signs.

        Args:
            flipped: the outputs.
            then: calls that are made in one go with it.
        """
        if not flipped:
            in_one_go(*then)
            return
        index = as_index(flipped, self.out_sign)
        values = self.out_sign[index].neg_()
        in_one_go(partial(self.out_sign.index_copy_, 0, index, values), *then)

    def get_extra_state(self) -> Dict[str, Tensor]:
        """Return the state of the random flips, for the state dict."""
        return {"generator": self.generator.get_state()}

    def set_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Set the state of the random flips."""
        self.generator.set_state(state["generator"].cpu())
