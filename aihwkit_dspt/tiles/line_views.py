"""Views of the lines of a tensor."""

from __future__ import annotations

from typing import Any, List, Optional

from torch import Tensor, split

from aihwkit_dspt.tiles.arrays import as_array


class LineViews:
    """The lines of a tensor as arrays that are made once and share its memory.

    Slicing takes longer than the arithmetic on a line.
    """

    def __init__(self, dim: int = 0) -> None:
        self._dim = dim
        self._tensor: Optional[Tensor] = None
        self._views: List[Any] = []

    def __call__(self, tensor: Tensor, lines: slice) -> Any:
        """Return the given lines, by :func:`~aihwkit_dspt.tiles.arrays.as_array`.

        Args:
            tensor: a tensor with its lines along the dimension given at construction.
            lines: which lines.
        """
        if lines.stop - lines.start != 1:
            return as_array(tensor.narrow(self._dim, lines.start, lines.stop - lines.start))
        if tensor is not self._tensor:
            self._tensor = tensor
            self._views = [as_array(view) for view in split(tensor, 1, self._dim)]
        return self._views[lines.start]
