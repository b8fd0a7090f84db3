"""What a training cost so far, in operations of the hardware."""

from aihwkit_dspt.costs.coincidences import estimate_coincidences
from aihwkit_dspt.costs.counts import ModelCounts, OperationCounts, cost_table
from aihwkit_dspt.costs.operation_counts import operation_counts

__all__ = [
    "ModelCounts",
    "OperationCounts",
    "cost_table",
    "estimate_coincidences",
    "operation_counts",
]
