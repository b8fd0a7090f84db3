"""One transfer event, as far as it has come."""

from __future__ import annotations

from enum import IntEnum
from functools import partial
from typing import Any, List, Optional, Union

from numpy import floating, ndarray
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from aihwkit_dspt.stages.uninterrupted import Call


class Stage(IntEnum):
    """What of a transfer event is done."""

    STARTED = 0
    """Nothing yet."""

    TAKEN = 1
    """The read went through BUFFER and ESTIMATE."""

    SENT = 2
    """SLOW: the pulses went to the slow array."""

    FLIPPED = 3
    """Input signs of the chopper flipped."""

    OUTPUTS_FLIPPED = 4
    """Output signs flipped, at the end of a sweep."""

    OUTPUTS_SYNCED = 5
    """The reference of flipped outputs was programmed."""


class TransferEvent:
    """The journal of a transfer event: an interrupted one goes on from where it is.

    Every change of an array or a stage and the note of it here happen in one go, see
    :func:`~aihwkit_dspt.stages.uninterrupted.in_one_go`.

    Args:
        number: number of the event.
        lines: the lines that are transferred.
        sweep: full sweeps before this event.
        beta: increment of the buffer, in pulses per weight unit.
        writes: whether the pulses are sent to the slow array.

    Attributes:
        stage: what is done.
        values: the pulse numbers, as a compiled pass or torch has left them; see :attr:`steps`.
        n_pulses: their number, ``None`` if it was not told.
        before: copies of what BUFFER and ESTIMATE change, where they do it in several operations.
        n_sent: parts of the lines whose pulses were sent.
        flipped: lines whose sign flips, ``None`` before that is drawn.
        n_synced: flipped lines whose reference was programmed.
        outputs: outputs whose sign flips, ``None`` before that is drawn.
    """

    __slots__ = (
        "before",
        "beta",
        "flipped",
        "lines",
        "n_pulses",
        "n_sent",
        "n_synced",
        "number",
        "outputs",
        "stage",
        "sweep",
        "values",
        "writes",
    )

    def __init__(self, number: int, lines: slice, sweep: int, beta: float, writes: bool) -> None:
        self.number = number
        self.lines = lines
        self.sweep = sweep
        self.beta = beta
        self.writes = writes
        self.stage = Stage.STARTED
        self.values: Union[Tensor, NDArray[floating[Any]], None] = None
        self.n_pulses: Union[float, Tensor, None] = None
        self.before: Optional[List[Tensor]] = None
        self.n_sent = 0
        self.flipped: Optional[List[int]] = None
        self.n_synced = 0
        self.outputs: Optional[List[int]] = None

    @property
    def steps(self) -> Optional[Tensor]:
        """The ``[n_lines, out_size]`` pulse numbers that left the buffer."""
        # A compiled pass leaves an array: most events send nothing, and a tensor takes time.
        return from_numpy(self.values) if isinstance(self.values, ndarray) else self.values

    def note(self, stage: Stage) -> Call:
        """Return the call that notes a stage as done."""
        return partial(setattr, self, "stage", stage)
