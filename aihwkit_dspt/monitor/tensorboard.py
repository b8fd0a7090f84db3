"""Writing a record to TensorBoard, or to anything that looks like its writer."""

from __future__ import annotations

import math
from typing import Any, Dict

from aihwkit.exceptions import ArgumentError

from aihwkit_dspt.configs.checks import shown
from aihwkit_dspt.monitor.columns import KEYS
from aihwkit_dspt.monitor.ground_truth import CachedGroundTruth


def require_writer(writer: object) -> None:
    """Raise ``ArgumentError`` unless scalars can be added to the writer."""
    if not callable(getattr(writer, "add_scalar", None)):
        raise ArgumentError(
            f"writer={shown(writer)} has no add_scalar: pass e.g. a "
            "torch.utils.tensorboard.SummaryWriter"
        )


def write_scalars(writer: Any, row: Dict[str, Any], step: int) -> None:
    """Add the values of a tile that exist as ``tile/column``."""
    for column, value in row.items():
        if column not in KEYS and math.isfinite(value):
            writer.add_scalar(f"{row['tile']}/{column}", value, step)


def write_histograms(writer: Any, name: str, watched: CachedGroundTruth, step: int) -> None:
    r"""Add histograms of :math:`Q - W_{sp}`, :math:`P - W_{sp}` and :math:`P - \tilde Q`.

    Nothing happens if the writer has no ``add_histogram``.
    """
    if not callable(getattr(writer, "add_histogram", None)):
        return
    truth, link = watched(), watched.link
    fast = watched.pipeline.oriented(link.source.weights)
    residual = fast - link.reference.values
    values = {
        "Q - SP": truth.known(link.estimator.sp_estimate) - truth.points,
        "P - SP": truth.known(fast) - truth.points,
        "P - Q~": residual.flatten(),
    }
    for quantity, cells in values.items():
        # TensorBoard cannot bin what is not finite, nor nothing.
        finite = cells[cells.isfinite()]
        if len(finite) > 0:
            writer.add_histogram(f"{name}/{quantity}", finite, step)
