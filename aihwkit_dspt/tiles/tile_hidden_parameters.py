"""Hidden parameters of the tile that layers see."""

from __future__ import annotations

from typing import Mapping

from aihwkit.simulator.tiles.analog import AnalogTile
from torch import Tensor, stack
from torch.autograd import no_grad

from aihwkit_dspt.tiles.hidden_parameters import HiddenParameters, in_order


class TileHiddenParameters(AnalogTile):
    """aihwkit's analog tile, whose hidden parameters answer to two names."""

    def get_hidden_parameters(self) -> HiddenParameters:
        """Return name -> ``[out_size, in_size]`` copy, device parameters first.

        The quantities of the method also answer to the names that they have in aihwkit's C++ AGAD,
        e.g. ``hidden_weights_0`` for the fast array.
        """
        values = self.tile.get_hidden_parameters()
        return HiddenParameters(zip(self.tile.get_hidden_parameter_names(), values))

    @no_grad()
    def set_hidden_parameters(self, ordered_parameters: Mapping[str, Tensor]) -> None:
        """Set the hidden parameters; a dictionary with aihwkit's names will do.

        Args:
            ordered_parameters: name -> ``[out_size, in_size]`` values, of all hidden parameters
                (the chopper may be missing) in any order. An empty dictionary changes nothing.

        Raises:
            TileError: if names or values do not fit; the tile is left as it was.
        """
        names = self.tile.get_hidden_parameter_names()
        values = in_order(ordered_parameters, names, self.get_hidden_parameters())
        if values is not None:
            self.tile.set_hidden_parameters(stack([value.cpu().float() for value in values]))
