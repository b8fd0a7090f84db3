"""The sizes from which on one way to read is faster than another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """Sizes between which reads change from one executor to another.

    All say which is faster; none says what comes out. They were measured in training steps of
    single layers, those of the CPU with one thread on a server core, those of the GPU on an H200.
    To measure one again, set it to 0 or to a large number and time ``forward`` and ``backward`` of
    arrays of several sizes with both.
    """

    few_forward: int = 16
    """Most vectors that one compiled pass over the array multiplies faster than a library's matrix
    product, which rearranges its operands first."""

    few_backward: int = 12
    """The same for products with the transposed array."""

    few_products: int = 100_000
    """From this many multiplications on, and two vectors, that pass is faster than aihwkit's
    tile."""

    few_products_threads: int = 2_500_000
    """From this many multiplications on a product is left to a library, if torch has several
    threads: the pass has one."""

    batch_vectors: int = 4
    """Fewer vectors gain nothing from a matrix product."""

    batch_cells: int = 440_000
    """From this many cells on, those of all vectors together, a matrix product is faster than
    aihwkit's tile: the way to it takes as long as the tile takes for these."""

    cells_per_vector: int = 6_000
    """What aihwkit's tile does for each vector takes about as long as a product with so many cells,
    which count as its own."""

    gpu_inputs: int = 256
    """Up to so many inputs a product on a GPU is one kernel; cuBLAS is faster with 784."""

    gpu_vectors: int = 128
    """The same for the number of vectors."""

    gpu_managed_outputs: int = 256
    """The same for the outputs where bounds are managed: one program then has all of a vector."""

    def takes_batch(self, n_vectors: int, n_cells: int) -> bool:
        """Return whether a matrix product is faster than aihwkit's tile on the CPU."""
        cells = n_vectors * (n_cells + self.cells_per_vector)
        return n_vectors >= self.batch_vectors and cells >= self.batch_cells

    def last_change(self, n_cells: int) -> int:
        """Return a number of vectors from which on the executor of an array stays the same."""
        batch = self.batch_cells // (n_cells + self.cells_per_vector) + 1
        most = self.few_forward, self.few_backward, self.batch_vectors - 1, self.gpu_vectors
        return max(batch, *(number + 1 for number in most))


MEASURED = Thresholds()

LINES_AT_ONCE = 256
"""Most lines that are read or pulsed in one call, to bound the size of the one-hot inputs."""
