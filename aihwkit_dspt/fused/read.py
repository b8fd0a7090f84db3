"""What fused forms of reads are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import IntEnum
from typing import NamedTuple

from torch import Tensor

from aihwkit_dspt.fused.form import FusedForm
from aihwkit_dspt.reads.coverage import Form
from aihwkit_dspt.reads.law import ReadLaw
from aihwkit_dspt.reads.one_hot import LineLaw
from aihwkit_dspt.reads.thresholds import Thresholds


class Layout(IntEnum):
    """How the vectors of a product lie in their tensor."""

    MATRIX = 0
    """``[n, size]``, as they are."""
    ROWS = 1
    """``[*, size]`` of another shape, or with a bias input."""
    UNFOLDED = 2
    """``[n, m, size]``, in memory ``[n, size, m]``: what layers pass for images on the CPU."""
    TRANSPOSED = 3
    """``[size, *]``."""
    MIXED = 4
    """Inputs are transposed and outputs are not, or the other way round."""


class ProductSize(NamedTuple):
    """What the choice of an executor depends on."""

    n_vectors: int
    in_size: int
    """Length of the vectors, the bias input included."""
    out_size: int
    layout: Layout
    n_threads: int
    """Threads of torch."""


class FusedProduct(FusedForm, ABC):
    """Does for vectors what :class:`~aihwkit_dspt.reads.product.PlainProduct` does, in less time.

    Outputs equal those of the plain product in distribution, without noise but for the order of
    the sums.

    Args:
        law: the read law, of read parameters that :attr:`FORM` covers; not that of an ideal read.
        backward: whether vectors are errors of rows.
    """

    FORM: Form
    """Says which read parameters it covers."""

    def __init__(self, law: ReadLaw, backward: bool) -> None:
        self.law = law
        self.backward = backward

    @abstractmethod
    def suits(self, size: ProductSize, thresholds: Thresholds) -> bool:
        """Return whether this form takes vectors of this layout, and is the faster way."""

    @abstractmethod
    def __call__(self, matrix: Tensor, vectors: Tensor) -> Tensor:
        """Return ``[n, out_size]`` products of ``[n, in_size]`` vectors."""

    def of_columns(self, matrix: Tensor, vectors: Tensor) -> Tensor:
        """Return ``[n, out_size, m]`` products of ``[n, in_size, m]`` vectors.

        The matrix is ``[out_size, in_size]``. A form that suits :attr:`Layout.UNFOLDED` has it.
        """
        raise NotImplementedError(self.NAME)


class FusedLine(FusedForm, ABC):
    """Reads lines of an array in single precision.

    Reads equal those of the plain product of one-hot vectors in distribution.

    Args:
        law: the law of a line.
    """

    def __init__(self, law: LineLaw) -> None:
        self.law = law

    @abstractmethod
    def __call__(self, matrix: Tensor, lines: slice) -> Tensor:
        """Return the ``[n_lines, out_size]`` read of ``[in_size, out_size]`` weights."""
