"""Reading one line of an array without driving the others."""

from __future__ import annotations

from dataclasses import fields
from typing import Optional

from aihwkit.simulator.configs.devices import IdealDevice
from aihwkit.simulator.parameters.enums import RPUDataType
from aihwkit.simulator.parameters.io import IOParameters
from torch import Tensor
from torch import device as torch_device

from aihwkit_dspt.tiles.crossbar import Crossbar

SEPARABLE = {
    "is_perfect",
    "bound_management",
    "noise_management",
    "max_bm_factor",
    "max_bm_res",
    "nm_thres",
    "nm_decay",
    "nm_assumed_wmax",
    "bm_test_negative_bound",
    "inp_bound",
    "inp_res",
    "inp_sto_round",
    "out_bound",
    "out_noise",
    "out_res",
    "out_scale",
    "out_sto_round",
    "w_noise",
    "w_noise_type",
}
"""Read parameters by which lines at zero input do not act on the outputs (and per-output values
are not drawn once and for all)."""


class LineReader:
    """A C++ tile of a single line that reads with the non-idealities of the whole array.

    A one-hot input selects one line; the product with all the others is a product with zero. A
    tile that holds just that line gives the same outputs in law and saves the pass over the whole
    array, as long as the read parameters treat a line at zero as absent.

    Args:
        out_size: number of cells of a line.
        columns: whether a line is a column; else it is a row.
        read: read parameters of the array.
        data_type: data type of the simulation.
    """

    def __init__(
        self, out_size: int, columns: bool, read: IOParameters, data_type: RPUDataType
    ) -> None:
        sizes = (1, out_size) if columns else (out_size, 1)
        self.columns = columns
        self.crossbar = Crossbar(*sizes, IdealDevice(), read, read, data_type=data_type)
        self.input = self.crossbar.shared.new_ones(1, 1)

    @classmethod
    def build(
        cls, out_size: int, columns: bool, read: IOParameters, data_type: RPUDataType
    ) -> Optional[LineReader]:
        """Return a reader, or ``None`` if the read parameters couple the lines."""
        plain = IOParameters()
        for item in fields(read):
            default = getattr(plain, item.name, None)
            if item.name not in SEPARABLE and getattr(read, item.name) != default:
                return None
        return cls(out_size, columns, read, data_type)

    def read(self, weights: Tensor, lines: slice) -> Tensor:
        """Return the ``[1, out_size]`` analog read of a line of ``[d_size, x_size]`` weights."""
        self.crossbar.weights.copy_(weights[:, lines] if self.columns else weights[lines])
        if self.columns:
            return self.crossbar.read_columns(self.input)
        return self.crossbar.read_rows(self.input)

    def cuda(self, device: torch_device) -> LineReader:
        """Move the reader to a GPU and return it."""
        self.crossbar.cuda(device)
        self.input = self.input.to(device)
        return self
