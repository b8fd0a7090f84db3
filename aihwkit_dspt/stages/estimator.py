"""What an estimator of the symmetric point is."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, dtype, zeros
from torch.nn import Module


class SymmetricPointEstimator(Module, ABC):
    r"""Estimates the symmetric points of the fast array from its reads.

    A subclass says in :meth:`update` what a read does to the estimate :math:`Q`. It may keep more:
    tensors that are registered with ``register_buffer`` are saved, loaded, copied and moved with
    the tile. Of tensors ``[in_size, *]`` of two dimensions and more an update may change the part
    of its lines only: an interrupted one is undone as far as that.

    Args:
        in_size: number of lines of the fast array.
        out_size: number of cells along a line.
        eta: step size :math:`\eta` of the configuration, in (0, 1].
        data_type: data type of the estimate.

    Attributes:
        sp_estimate: ``[in_size, out_size]`` estimate :math:`Q`, in weight units; zero at first.
        read_noise: standard deviation of reads of a cell that stays where it is, in weight units.
            The tile sets it.
        chop_period: reads of a line until the chopper has had both signs, 0 without one. The tile
            sets it.
    """

    read_noise = 0.0
    chop_period = 0.0

    def __init__(self, in_size: int, out_size: int, eta: float, data_type: dtype) -> None:
        super().__init__()
        self.eta = eta
        self.sp_estimate: Tensor
        self.register_buffer("sp_estimate", zeros(in_size, out_size, dtype=data_type))

    @abstractmethod
    def update(self, lines: slice, read: Tensor) -> None:
        """Take a read into the estimate.

        Args:
            lines: the lines that were read.
            read: ``[n_lines, out_size]`` read of :math:`P`, in weight units; not to be changed.
        """

    def set_points(self, points: Tensor) -> None:
        r"""Take over ``[in_size, out_size]`` symmetric points that are known, in weight units.

        Called after a calibration. An estimator with a gain of its own counts them as
        :math:`1/\eta` reads, so that they are kept as by the paper's filter.
        """
        self.sp_estimate.copy_(points)

    def known_cells(self) -> Tensor:
        """Return the ``[in_size, out_size]`` mask of cells of which the reads tell something.

        A cell that never got a pulse is always read where it was. Here: all, for an estimator that
        does not tell them apart.
        """
        one = torch.ones((), dtype=torch.bool, device=self.sp_estimate.device)
        return one.expand_as(self.sp_estimate)
