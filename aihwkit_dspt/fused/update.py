"""What a fused update of a tile is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf
from typing import TYPE_CHECKING, Optional

from torch import Tensor

from aihwkit_dspt.fused.form import FusedForm

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.pipeline import Pipeline


class FusedUpdate(FusedForm, ABC):
    """Does the update of a batch, its transfers and the mixed weight included.

    It equals the stages one after the other, in distribution where pulses are random.

    Attributes:
        most_pulses: with more pulses of a cell, on average, the update is left to others.
    """

    most_pulses: float = inf

    @classmethod
    @abstractmethod
    def of(cls, pipeline: Pipeline) -> Optional[FusedUpdate]:
        """Return the form for a pipeline, ``None`` if it has stages that the form does not know."""

    @abstractmethod
    def update(
        self, pipeline: Pipeline, x_vectors: Tensor, d_vectors: Tensor, m_batch: int
    ) -> bool:
        """Do an update, if the form is made for it.

        Args:
            pipeline: the pipeline.
            x_vectors: ``[m_batch, x_size]`` inputs.
            d_vectors: ``[m_batch, d_size]`` errors.
            m_batch: vectors of the batch.

        Returns:
            whether it was done; if not, everything is as it was.
        """

    def count(self, pipeline: Pipeline) -> None:
        """Count the pulses that the last call has sent to the slow array, if they are not yet."""
