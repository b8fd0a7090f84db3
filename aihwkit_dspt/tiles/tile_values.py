"""What a tile holds, by name."""

from __future__ import annotations

from typing import Mapping, Optional

from aihwkit.simulator.tiles.analog import AnalogTile
from torch import Tensor, stack
from torch.autograd import no_grad

from aihwkit_dspt.configs.checks import require_choice
from aihwkit_dspt.tiles.given import require_omega, require_weights
from aihwkit_dspt.tiles.hidden_parameters import HiddenParameters, in_order
from aihwkit_dspt.tiles.names import named_values


class TileValues(AnalogTile):
    """aihwkit's analog tile, with the quantities of the method as copies, by two names."""

    def set_weights(
        self, weight: object, bias: Optional[object] = None, *args: object, **kwargs: object
    ) -> None:
        """Set the weights and biases, as aihwkit's tile does.

        Args:
            weight: ``[out_size, in_size]`` weights, or ``[out_size, *]`` kernels.
            bias: ``[out_size]`` biases.
            args: see aihwkit.
            kwargs: see aihwkit.

        Raises:
            TileError: if they do not fit; the tile is left as it was.
            ArgumentError: if ``weight_scaling_omega`` is no number, or negative.
        """
        require_weights(self, weight, bias)
        require_omega(kwargs.get("weight_scaling_omega", args[2] if len(args) > 2 else None))
        super().set_weights(weight, bias, *args, **kwargs)

    def value(self, name: str) -> Tensor:
        """Return a ``[out_size, in_size]`` copy of a quantity by name.

        Args:
            name: as in :mod:`aihwkit_dspt.tiles.names`, e.g. ``"array_1_weights"`` in a chain of
                three arrays; those of two are properties, too.

        Raises:
            ArgumentError: if there is none of this name.
        """
        values = named_values(self.tile.pipeline)
        return self._value(require_choice("name", name, list(values)))

    def _value(self, name: str) -> Tensor:
        self.tile.pipeline.settle()
        value = named_values(self.tile.pipeline)[name]
        return value.detach().cpu().clone().contiguous()

    @property
    def fast_weights(self) -> Tensor:
        """``[out_size, in_size]`` copy of the fast array P, in weight units.

        This and the following have one more column if the bias is analog.
        """
        return self._value("fast_weights")

    @property
    def slow_weights(self) -> Tensor:
        """``[out_size, in_size]`` copy of the slow array W, in weight units."""
        return self._value("slow_weights")

    @property
    def reference(self) -> Tensor:
        r"""``[out_size, in_size]`` copy of the reference :math:`\tilde Q` that is in use."""
        return self._value("reference")

    @property
    def sp_estimate(self) -> Tensor:
        """``[out_size, in_size]`` copy of the symmetric-point estimate Q, in weight units."""
        return self._value("sp_estimate")

    @property
    def sp_known(self) -> Tensor:
        """``[out_size, in_size]`` mask of cells whose estimate rests on pulses.

        All, for an estimator that does not tell them from cells that never got one; see
        :class:`~aihwkit_dspt.AdaptiveGain`.
        """
        pipeline = self.tile.pipeline
        pipeline.settle()
        known: Tensor = pipeline.oriented(pipeline.link.estimator.known_cells())
        return known.cpu().clone().contiguous()

    @property
    def transfer_buffer(self) -> Tensor:
        """``[out_size, in_size]`` copy of the transfer buffer H, in pulses."""
        return self._value("transfer_buffer")

    @property
    def chopper(self) -> Tensor:
        """``[out_size, in_size]`` copy of the chopper signs c, -1 or +1."""
        return self._value("chopper")

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
