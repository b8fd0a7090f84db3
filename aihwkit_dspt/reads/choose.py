"""The one way in for products with an array, where the executor of a read is chosen."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Dict, List, Optional, Tuple

from aihwkit.exceptions import ConfigError, TileError
from aihwkit.simulator.parameters.io import IOParameters
from torch import Tensor, float32, get_num_threads

from aihwkit_dspt.configs.enums import ReadMode
from aihwkit_dspt.fused.noise_cpu import draw_normal
from aihwkit_dspt.fused.read import FusedProduct, Layout, ProductSize
from aihwkit_dspt.fused.table import FUSED_PRODUCTS
from aihwkit_dspt.reads.coverage import covers, obstacle
from aihwkit_dspt.reads.law import ReadLaw
from aihwkit_dspt.reads.layout import Product, layout_of, multiply, with_ones
from aihwkit_dspt.reads.product import PlainProduct
from aihwkit_dspt.reads.thresholds import Thresholds

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.crossbar import Crossbar

MATRIX = Layout.MATRIX
TORCH = ReadMode.TORCH


class DirectionReads:
    """Products with an array in one direction, by the executor that is chosen for them.

    Executors are aihwkit's tile, the plain torch product and the fused forms of it
    (:data:`~aihwkit_dspt.fused.table.FUSED_PRODUCTS`). All are equal in distribution. Backward,
    vectors are errors of rows.

    Raises:
        ConfigError: if plain torch is asked for and does not cover the read parameters.
    """

    def __init__(
        self,
        crossbar: Crossbar,
        io: IOParameters,
        backward: bool,
        mode: ReadMode,
        thresholds: Thresholds,
    ) -> None:
        self.crossbar = crossbar
        self.backward = backward
        self.mode = mode
        self.thresholds = thresholds
        sizes = crossbar.d_size, crossbar.x_size
        self.out_size, self.in_size = sizes[::-1] if backward else sizes
        self.obstacle = obstacle(io, backward)
        if mode is TORCH:
            require_plain("backward" if backward else "forward", self.obstacle, crossbar.weights)
        elif mode is ReadMode.CPP:
            self.obstacle = f"read_mode={mode}"
        elif crossbar.weights.dtype is not float32:
            self.obstacle = str(crossbar.weights.dtype)
        self._plain: Optional[PlainProduct] = None
        self._kinds: List[type[FusedProduct]] = []
        if self.obstacle is None:
            law = ReadLaw.of(io, backward)
            self._plain = PlainProduct(law)
            if not (law.ideal or mode is TORCH):
                self._kinds = [kind for kind in FUSED_PRODUCTS if covers(kind.FORM, io, backward)]
        self._fused: List[FusedProduct] = []
        self._follow(crossbar.weights)

    def _follow(self, weights: Tensor) -> None:
        """Take over weights that the array has got on another device or in new memory."""
        self._matrix = weights if self.backward else weights.t()
        if self._plain is not None:
            law, device = self._plain.law, weights.device
            is_torch = self.mode is TORCH or weights.is_cuda
            self._plain = PlainProduct(law, Tensor.normal_ if is_torch else draw_normal)
            self._fused = [
                kind(law, self.backward) for kind in self._kinds if kind.works_on(device)
            ]
        self._chosen: Dict[Tuple[int, Layout, int], Optional[Product]] = {}
        self._weights = weights  # last: an interrupt before it leaves all of this to be done again

    def choose(self, n_vectors: int, layout: Layout, n_threads: int) -> Optional[Product]:
        """Return what multiplies vectors of this number and layout, ``None`` for aihwkit's tile."""
        plain, thresholds = self._plain, self.thresholds
        if plain is None or self.mode is TORCH:
            return plain
        if layout is Layout.MIXED:
            return None
        size = ProductSize(n_vectors, self.in_size, self.out_size, layout, n_threads)
        for fused in self._fused:
            if fused.suits(size, thresholds):
                return fused
        if self.crossbar.is_cuda:
            is_exact = plain.law.ideal or n_vectors == 0
            return plain if is_exact and layout is not Layout.TRANSPOSED else None
        return plain if thresholds.takes_batch(n_vectors, self.in_size * self.out_size) else None

    def __call__(
        self,
        vectors: Tensor,
        bias: bool,
        in_trans: bool,
        out_trans: bool,
        is_test: bool = False,
    ) -> Tensor:
        """Return the analog products of vectors; see aihwkit's tiles.

        Raises:
            TileError: if plain torch is asked for and the vectors do not fit.
        """
        weights = self.crossbar.weights
        if weights is not self._weights:
            self._follow(weights)
        # Imaginary parts of what is conjugated may be negative by a bit that no pointer shows.
        vectors = vectors.resolve_neg()
        shape = vectors.shape
        is_matrix = len(shape) == 2 and not (bias or in_trans or out_trans)
        layout = MATRIX if is_matrix else layout_of(vectors, bias, in_trans, out_trans)
        length = self.in_size - 1 if bias and not self.backward else self.in_size
        if not shape or shape[0 if in_trans else -1] != length or layout is Layout.MIXED:
            return self._misfit(vectors, bias, in_trans, out_trans, is_test)
        n_vectors = shape[0] if is_matrix else vectors.numel() // length
        key = n_vectors, layout, get_num_threads()
        try:
            product = self._chosen[key]
        except KeyError:
            product = self._chosen[key] = self.choose(*key)
        if product is None:
            return self._by_tile(vectors, bias, in_trans, out_trans, is_test)
        vectors, matrix = vectors.detach(), self._matrix
        if is_matrix:
            return product(matrix, vectors)
        if bias and self.backward:
            matrix = matrix[:, :-1]
        elif bias:
            vectors = with_ones(vectors, 0 if in_trans else -1)
        return multiply(product, matrix, vectors, layout)

    def _by_tile(
        self, vectors: Tensor, bias: bool, in_trans: bool, out_trans: bool, is_test: bool
    ) -> Tensor:
        if self.backward:
            return self.crossbar.read_rows(vectors, bias, in_trans, out_trans)
        return self.crossbar.read_columns(vectors, bias, in_trans, out_trans, is_test)

    def _misfit(
        self, vectors: Tensor, bias: bool, in_trans: bool, out_trans: bool, is_test: bool
    ) -> Tensor:
        """Leave vectors that do not fit to aihwkit's tile and its errors."""
        if self.mode is not TORCH:
            return self._by_tile(vectors, bias, in_trans, out_trans, is_test)
        length = self.in_size - int(bias and not self.backward)
        raise TileError(
            f"{'d_input' if self.backward else 'x_input'} has shape {list(vectors.shape)} with "
            f"in_trans={in_trans}, out_trans={out_trans}: pass [*, {length}], or [{length}, *] if "
            "both are True"
        )

    # -- what is chosen -------------------------------------------------------------------------

    def executor_name(self, n_vectors: int, layout: Layout = MATRIX) -> str:
        """Return the name of what multiplies that many vectors now."""
        if self.crossbar.weights is not self._weights:
            self._follow(self.crossbar.weights)
        product = self.choose(n_vectors, layout, get_num_threads())
        return self.tile_name if product is None else product.NAME

    @property
    def tile_name(self) -> str:
        """Name of aihwkit's tile."""
        return "cuda" if self.crossbar.is_cuda else "cpp"

    def describe(self, layout: Layout = MATRIX) -> str:
        """Return the executors for all numbers of vectors, and if only aihwkit's tile, why."""
        if self.obstacle is not None:
            return f"{self.executor_name(1)}({self.obstacle})"
        last = self.thresholds.last_change(self.in_size * self.out_size)
        numbers = groupby(range(1, last + 1), lambda n: self.executor_name(n, layout))
        parts = []
        for name, group in numbers:
            found = list(group)
            end = "+" if found[-1] == last else "" if len(found) == 1 else f"-{found[-1]}"
            parts.append((name, f"{found[0]}{end}"))
        if len(parts) == 1:
            return parts[0][0]
        return "[" + ", ".join(f"{name}: {span}" for name, span in parts) + "]"


def require_plain(field: str, found: Optional[str], weights: Tensor) -> None:
    """Raise ``ConfigError`` unless plain torch covers the read parameters in a field.

    ``found`` is what :func:`~aihwkit_dspt.reads.coverage.obstacle` returned.
    """
    if found is None and weights.dtype is not float32:
        field, found = "runtime", f"data_type={weights.dtype}"
    if found is not None:
        raise ConfigError(
            f"{field}.{found} is not valid with read_mode=ReadMode.TORCH: plain torch does not "
            "cover it; pass read_mode=ReadMode.AUTO or ReadMode.CPP"
        )
