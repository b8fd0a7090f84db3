"""Where a tile is, and its data type, which is that of the simulation."""

from __future__ import annotations

from typing import Any, Callable, List

from aihwkit.exceptions import TileError
from aihwkit.simulator.tiles.analog import AnalogTile
from torch import Tensor, bfloat16, float16, float32, float64, is_autocast_enabled
from torch import device as torch_device
from torch import dtype as torch_dtype

ON_MOVE: List[Callable[[AnalogTile], None]] = []
"""What is called with a tile that was moved, as aihwkit's conversion moves each one at its end."""


class TileDevice(AnalogTile):
    """aihwkit's analog tile, refusing conversions that its arrays cannot follow.

    aihwkit recurses without end on ``half()`` and its like.
    """

    if isinstance(getattr(AnalogTile, "is_cuda", None), property):

        @property
        def is_cuda(self) -> bool:
            """Whether the arrays are on a GPU, without asking the analog context.

            aihwkit 1.2 asks the context, in the forward of a convolution, too. ``torch.compile``
            does not come to an end in it: the context says of itself that it is a view of a view.
            aihwkit 1.1 keeps an attribute.
            """
            return bool(self.tile.pipeline.mixed_array.is_cuda)

    def to(self, *args: Any, **kwargs: Any) -> TileDevice:
        """Move the tile to a device, or give it another configuration, as in aihwkit.

        Raises:
            TileError: for a data type other than that of the simulation, or the device ``meta``.
        """
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch_dtype):
                self._require_dtype(value)
            if isinstance(value, torch_device) and value.type == "meta":
                raise TileError("arrays cannot be on the device 'meta': pass 'cpu' or 'cuda'")
        moved: TileDevice = super().to(*args, **kwargs)
        for show in ON_MOVE:
            show(self)
        return moved

    def dim(self) -> int:
        """Return 2, the dimensions of an array: ``model.to(memory_format=...)`` asks for them."""
        return 2

    def share_memory_(self) -> TileDevice:
        """Refuse ``model.share_memory()``: simulated arrays are memory of their own process.

        Raises:
            TileError: always.
        """
        raise TileError(
            "arrays cannot be in shared memory: pass the model to the other process, which gets a "
            "copy, or train one set of arrays in all with analog_data_parallel(model)"
        )

    def _require_dtype(self, dtype: torch_dtype) -> TileDevice:
        if dtype is not self.get_dtype():
            raise TileError(
                f"the arrays simulate {self.get_dtype()} and cannot change to {dtype}: build the "
                "layer with the wanted runtime.data_type in its RPU configuration"
            )
        return self

    def float(self) -> TileDevice:
        """Return the tile if it simulates single precision, else raise ``TileError``."""
        return self._require_dtype(float32)

    def double(self) -> TileDevice:
        """Return the tile if it simulates double precision, else raise ``TileError``."""
        return self._require_dtype(float64)

    def half(self) -> TileDevice:
        """Return the tile if it simulates half precision, else raise ``TileError``."""
        return self._require_dtype(float16)

    def bfloat16(self) -> TileDevice:
        """Raise ``TileError``: aihwkit does not simulate this type."""
        return self._require_dtype(bfloat16)

    def _in_precision(self, x_input: Tensor) -> Tensor:
        """Return inputs in the type of the arrays where autocast has made them shorter.

        Without autocast another data type is the caller's, and stays for the arrays to refuse.
        """
        if x_input.dtype in (bfloat16, float16) and is_autocast_enabled(x_input.device.type):
            return x_input.to(self.get_dtype())
        return x_input
