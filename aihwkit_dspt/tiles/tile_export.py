"""A tile among modules that are scripted or traced."""

from __future__ import annotations

from typing import Iterator, Tuple

from aihwkit.simulator.tiles.analog import AnalogTile
from torch import nn
from torch.fx import _symbolic_trace

from aihwkit_dspt.tiles.uncompiled import not_exported


class TileExport(AnalogTile):
    """Refuses ``torch.jit.script`` and ``torch.fx`` before they come to what they cannot read.

    Both look at all modules first. Later they fail in words of their own, within the layers around
    tiles: where one unpacks or compares what has no value yet.
    """

    def __prepare_scriptable__(self) -> object:
        """Refuse ``torch.jit.script``, which asks each module what to script in its place."""
        raise not_exported(type(self).__name__)

    def named_modules(self, *args: object, **kwargs: object) -> Iterator[Tuple[str, nn.Module]]:
        """Return the modules of the tile.

        Raises:
            TileError: to ``torch.fx.symbolic_trace``, which takes the names of all modules first.
        """
        if _is_symbolic_trace():
            raise not_exported(type(self).__name__)
        modules: Iterator[Tuple[str, nn.Module]] = super().named_modules(*args, **kwargs)
        return modules


def _is_symbolic_trace() -> bool:
    found = getattr(_symbolic_trace, "is_fx_symbolic_tracing", None)  # not in torch 2.6
    return bool(_symbolic_trace._is_fx_tracing_flag if found is None else found())
