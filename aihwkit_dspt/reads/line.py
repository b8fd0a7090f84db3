"""The one way in for reads of lines, single ones or several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional

from aihwkit.simulator.parameters.io import IOParameters
from torch import Tensor, cat, float32

from aihwkit_dspt.configs.enums import ReadMode
from aihwkit_dspt.fused.read import FusedLine
from aihwkit_dspt.fused.table import FUSED_LINES
from aihwkit_dspt.reads.choose import require_plain
from aihwkit_dspt.reads.coverage import Form, covers, obstacle
from aihwkit_dspt.reads.law import ReadLaw
from aihwkit_dspt.reads.one_hot import LineLaw
from aihwkit_dspt.reads.product import PlainProduct

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.crossbar import Crossbar
    from aihwkit_dspt.tiles.lines import LineAccess


class LineAlone:
    """A C++ (or CUDA) tile of a single line that reads with the non-idealities of the whole array.

    A one-hot input selects one line; the product with all the others is a product with zero. A
    tile that holds just that line gives the same outputs in law and saves the pass over the whole
    array, as long as the read parameters treat a line at zero as absent
    (:attr:`~aihwkit_dspt.reads.coverage.Form.LINE_ALONE`).
    """

    def __init__(self, like: Crossbar, columns: bool, io: IOParameters) -> None:
        x_size, d_size = (1, like.d_size) if columns else (like.x_size, 1)
        crossbar = like.ideal(x_size, d_size, io)
        self._read = crossbar.read_columns if columns else crossbar.read_rows
        self._weights = crossbar.weights.t() if columns else crossbar.weights
        self._input = crossbar.shared.new_ones(1, 1)

    def __call__(self, matrix: Tensor, line: int) -> Tensor:
        """Return the ``[1, out_size]`` read of a line of ``[in_size, out_size]`` weights."""
        self._weights.copy_(matrix[line : line + 1])
        return self._read(self._input)


class LineReads:
    """Reads lines of an array by the executor that is chosen for them.

    What defines a read of a line is the product of a one-hot vector with the array, by aihwkit's
    tile or by plain torch. There are faster forms: the compiled passes
    (:data:`~aihwkit_dspt.fused.table.FUSED_LINES`), else for single lines a tile of one line.

    Raises:
        ConfigError: if plain torch is asked for and does not cover the read parameters.
    """

    def __init__(
        self,
        crossbar: Crossbar,
        lines: LineAccess,
        io: IOParameters,
        mode: ReadMode,
    ) -> None:
        self.crossbar, self.lines = crossbar, lines
        self._settings = lines.columns, io
        backward = not lines.columns
        self._plain: Optional[PlainProduct] = None
        self._law: Optional[LineLaw] = None
        self._may_stand_alone = mode is not ReadMode.TORCH and covers(Form.LINE_ALONE, io, False)
        if mode is ReadMode.TORCH:
            require_plain("transfer_forward", obstacle(io, backward), crossbar.weights)
            self._plain = PlainProduct(ReadLaw.of(io, backward))
        elif (
            mode is ReadMode.AUTO
            and crossbar.weights.dtype is float32
            and covers(Form.LINE_ONE_PASS, io, backward)
        ):
            self._law = LineLaw.of(ReadLaw.of(io, backward))
        self._follow()

    def _follow(self) -> None:
        """Take over weights that the array has got on another device or in new memory."""
        weights = self.crossbar.weights
        self._matrix = weights.t() if self.lines.columns else weights
        self._fused: Optional[FusedLine] = None
        self._alone: Optional[LineAlone] = None
        if self._law is not None:
            kinds = [kind for kind in FUSED_LINES if kind.works_on(weights.device)]
            self._fused = kinds[0](self._law) if kinds else None
        if self._fused is None and self._may_stand_alone:
            self._alone = LineAlone(self.crossbar, *self._settings)
        self._weights = weights  # last: an interrupt before it leaves all of this to be done again

    @property
    def fused(self) -> Optional[FusedLine]:
        """The compiled pass that reads lines now, ``None`` if there is none."""
        if self.crossbar.weights is not self._weights:
            self._follow()
        return self._fused

    @property
    def matrix(self) -> Tensor:
        """The ``[in_size, out_size]`` weights that are read."""
        return self._matrix

    def read(self, lines: slice) -> Tensor:
        """Return the ``[n_lines, out_size]`` analog read of lines."""
        fused = self.fused
        if fused is not None:
            return fused(self._matrix, lines)
        if self._alone is not None and lines.stop - lines.start == 1:
            return self._alone(self._matrix, lines.start)
        parts = [
            self._product(self.lines.one_hot(part, self._weights))
            for part in self.lines.parts(lines)
        ]
        return parts[0] if len(parts) == 1 else cat(parts)

    @property
    def _product(self) -> Callable[[Tensor], Tensor]:
        """What multiplies one-hot vectors with the whole array."""
        if self._plain is not None:
            plain = self._plain
            return lambda vectors: plain(self._matrix, vectors)
        return self.crossbar.read_columns if self.lines.columns else self.crossbar.read_rows

    def executor_name(self, n_lines: int = 1) -> str:
        """Return the name of what reads that many lines at once."""
        fused = self.fused
        tile = "cuda" if self.crossbar.is_cuda else "cpp"
        if self._plain is not None:
            return self._plain.NAME
        if fused is not None:
            return fused.NAME
        return tile if self._alone is None or n_lines > 1 else f"{tile}-line"
