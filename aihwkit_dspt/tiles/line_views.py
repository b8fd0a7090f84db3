"""Views of the lines of a tensor."""

from __future__ import annotations

from typing import Any, Dict, Optional

from torch import Tensor

from aihwkit_dspt.tiles.arrays import as_array


class LineViews:
    """The lines of a tensor as arrays that share its memory, made when they are first asked for.

    Slicing takes longer than the arithmetic on a line.
    """

    def __init__(self, dim: int = 0) -> None:
        self._dim = dim
        self._tensor: Optional[Tensor] = None
        self._views: Dict[int, Any] = {}

    def __call__(self, tensor: Tensor, line: int) -> Any:
        """Return a line, by :func:`~aihwkit_dspt.tiles.arrays.as_array`.

        Args:
            tensor: a tensor with its lines along the dimension given at construction.
            line: which one.
        """
        if tensor is not self._tensor:
            self._tensor = tensor
            self._views = {}
        view = self._views.get(line)
        if view is None:
            view = self._views[line] = as_array(tensor.narrow(self._dim, line, 1))
        return view
