"""The operations of a tile and of a model, as numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Dict, List, Mapping, Optional, Tuple

from aihwkit.exceptions import ArgumentError

from aihwkit_dspt.configs.checks import shown


@dataclass(frozen=True)
class OperationCounts:
    """Operations of one tile, or of a model; ``None`` where nobody counted."""

    update_cycles: Optional[int]
    """Vector pairs that were sent to the fast array as gradient pulses."""

    nominal_pulses: Optional[int]
    """Pulses per cell of the fast array as the paper counts them: ``desired_bl`` per vector pair,
    and those of a calibration (section 4, Fig. 4)."""

    transfer_reads: Optional[int]
    """Lines that were read for transfers: of the fast array, and of arrays between in a chain."""

    slow_pulses: Optional[int]
    """Pulses that transfers sent to cells of the slow array: whole steps out of the buffer. In a
    chain those of all transfers.

    Exact with one pulse per transfer (``transfer_update.desired_bl=1``, the default). Of more steps
    at once aihwkit may send fewer: its trains clip, without update management at the square root
    of ``desired_bl`` pulses."""

    programming_events: Optional[int]
    """Times that a part of the reference was programmed."""

    programmed_cells: Optional[int]
    """Cells that these events programmed, in total."""

    calibration_pulses: Optional[int]
    """Pulses that each cell of the fast array received by zero-shifting (and, by
    :func:`~aihwkit_dspt.calibrate`, each cell of the arrays between, at the same time)."""

    forward_mvms: Optional[int]
    """Vectors that were multiplied with the weight (training and evaluation)."""

    backward_mvms: Optional[int]
    """Error vectors that were multiplied with the transposed weight."""

    expected_coincidences: Optional[float] = None
    """Estimate of the pulses sent to cells of the fast array, summed over cells and updates, since
    :func:`~aihwkit_dspt.estimate_coincidences` was called; ``None`` if it was not."""

    coincidences: Optional[int] = None
    """Pulses that cells of the fast array received, exactly and in total, from aihwkit's pulse
    counters. They exist on a GPU, for devices with ``count_pulses=True``; ``None`` elsewhere."""

    reasons: Dict[str, str] = field(default_factory=dict)
    """Name of each operation that is ``None`` -> why nobody counted it."""

    def __add__(self, other: OperationCounts) -> OperationCounts:
        """Return the sums; ``None``, with a reason, where either was not counted."""
        sums: Dict[str, Any] = {}
        for name in COUNTS:
            mine, theirs = getattr(self, name), getattr(other, name)
            sums[name] = None if mine is None or theirs is None else mine + theirs
        reasons = {**other.reasons, **self.reasons}
        missing = {name: reasons.get(name, "") for name in COUNTS if sums[name] is None}
        return OperationCounts(**sums, reasons=missing)


COUNTS: Tuple[str, ...] = tuple(
    item.name for item in fields(OperationCounts) if item.name != "reasons"
)
"""Names of the operations that are counted."""


@dataclass(frozen=True)
class ModelCounts:
    """Operations of all tiles of a model."""

    tiles: Dict[str, OperationCounts]
    """Name of the tile in the model -> its operations."""

    total: OperationCounts
    """Sum over the tiles; ``None`` where one of them was not counted, with a reason that names it.
    """

    def to_dict(self) -> Dict[str, object]:
        """Return plain numbers, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, numbers: Dict[str, Any]) -> ModelCounts:
        """Return the counts that :meth:`to_dict` returned, also as read back from JSON."""
        tiles = {name: OperationCounts(**counts) for name, counts in numbers["tiles"].items()}
        return cls(tiles, OperationCounts(**numbers["total"]))

    def table(self) -> str:
        """Return a table with a column per tile and one for the total.

        ``-`` is not counted; the reasons stand below.
        """
        return cost_table({**self.tiles, "total": self.total})


def cost_table(counts: Mapping[str, OperationCounts]) -> str:
    """Return operations side by side, e.g. of methods; ``-`` is not counted.

    Args:
        counts: heading of a column -> operations, such as ``operation_counts(model).total``.

    Returns:
        a table with a line per kind of operation, and below why some were not counted.

    Raises:
        ArgumentError: if ``counts`` is empty or has something else in it.
    """
    require_counts(counts)
    first, width = max(map(len, COUNTS)), max(12, *(len(name) for name in counts)) + 2
    lines = [" " * first + "".join(f"{name:>{width}}" for name in counts)]
    for item in COUNTS:
        values = (getattr(column, item) for column in counts.values())
        cells = ("-" if value is None else f"{value:,.0f}" for value in values)
        lines.append(f"{item:<{first}}" + "".join(f"{cell:>{width}}" for cell in cells))
    return "\n".join(lines + _footnotes(counts))


def require_counts(counts: object) -> None:
    """Raise ``ArgumentError`` unless these are a heading or more, each with its operations."""
    if not isinstance(counts, Mapping) or not counts:
        raise ArgumentError(
            f"counts={shown(counts)} is not valid: pass a mapping from headings to "
            "operation_counts(model).total"
        )
    for heading, column in counts.items():
        if not isinstance(column, OperationCounts):
            raise ArgumentError(
                f"counts[{heading!r}]={shown(column)} is not valid: pass "
                "operation_counts(model).total"
            )


def _footnotes(counts: Mapping[str, OperationCounts]) -> List[str]:
    """Return a line per reason: what was not counted, in which columns."""
    notes: Dict[Tuple[str, str], List[str]] = {}
    for heading, column in counts.items():
        for reason in dict.fromkeys(column.reasons.values()):
            items = ", ".join(item for item, why in column.reasons.items() if why == reason)
            notes.setdefault((items, reason), []).append(heading or "tile")
    return [
        f"- {', '.join(headings)}: {items}: {reason}" for (items, reason), headings in notes.items()
    ]
