"""Which rank owns which array."""

from __future__ import annotations

from typing import List, Sequence


def owners_by_size(sizes: Sequence[int], n_ranks: int) -> List[int]:
    """Return the rank that owns each array, so that all ranks own about as many cells.

    The largest array that is left goes to the rank with the fewest cells, the lowest of several
    such ranks. The same sizes give the same owners.

    Args:
        sizes: number of cells of each array.
        n_ranks: number of ranks.
    """
    load = [0] * n_ranks
    owners = [0] * len(sizes)
    for index in sorted(range(len(sizes)), key=lambda each: -sizes[each]):
        rank = load.index(min(load))
        owners[index] = rank
        load[rank] += sizes[index]
    return owners
