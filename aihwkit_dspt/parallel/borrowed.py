"""A tile whose arrays another rank owns."""

from __future__ import annotations

from typing import Any, NoReturn, Optional, Tuple

from aihwkit.exceptions import TileError
from torch import Tensor
from torch import device as torch_device

from aihwkit_dspt.parallel.errors import NotHereError
from aihwkit_dspt.stages.counters import OperationCounters
from aihwkit_dspt.state_bytes import TileStateDict
from aihwkit_dspt.tiles.pipeline import Pipeline
from aihwkit_dspt.tiles.simulator_tile import TrackingSimulatorTile


class BorrowedPipeline:
    """What is left of a pipeline on a rank that does not own it: the weight in use, and its reads.

    Arrays, links and stages are not here, so that nobody takes what they once were for what they
    are. Asking for them is an error that names the owner.

    Args:
        pipeline: the pipeline; its arrays are given up.
        owner: the rank that owns them.

    Attributes:
        mixed_array: the array that forward and backward use; its weights come from the owner.
        reads: multiplies with it, with noise of its own.
        counters: vectors that this rank has multiplied and the owner does not know of yet.
    """

    unfinished = False
    is_changing = False

    def __init__(self, pipeline: Pipeline, owner: int) -> None:
        self.owner = owner
        self.config = pipeline.config
        self.mixed_array = pipeline.mixed_array
        self.reads = pipeline.reads
        self.counters = OperationCounters()
        self.learning_rate = pipeline.learning_rate
        self.x_size, self.d_size = pipeline.x_size, pipeline.d_size

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python asks for what a class may have
            raise AttributeError(name)
        raise NotHereError(
            f"the arrays of this tile are on rank {self.owner}, which owns them, so {name} is not "
            "here: ask on that rank (owners of the AnalogDataParallel names it), pass the wrapped "
            "model to save_checkpoint, or load a checkpoint in one process"
        )

    def settle(self) -> None:
        """Do nothing: nothing is changed here."""

    def refresh_weights(self) -> None:
        """Do nothing: the weights come from the owner."""

    def sizes(self) -> Tuple[int, int]:
        """Return ``(d_size, x_size)``, the shape of the arrays."""
        return self.d_size, self.x_size

    def move_to(self, device: torch_device) -> None:
        """Move the weight in use to a GPU."""
        self.mixed_array.cuda(device)


class BorrowedSimulatorTile(TrackingSimulatorTile):
    """The simulator tile on a rank that does not own the arrays.

    Args:
        tile: the simulator tile that it stands for.
        owner: the rank that owns the arrays.

    Attributes:
        lent_state: the owner's state of the tile while a state dict is made.
    """

    def __init__(self, tile: TrackingSimulatorTile, owner: int) -> None:
        self.__dict__.update(tile.__dict__)
        self.pipeline: Any = BorrowedPipeline(tile.pipeline, owner)
        self.lent_state: Optional[TileStateDict] = None

    def update(self, x_input: Tensor, d_input: Tensor, *_: object, **__: object) -> None:
        """Take no vectors: they were sent to the owner.

        Raises:
            TileError: if there are any, which the owner has never seen.
        """
        if x_input.numel() or d_input.numel():
            raise TileError(
                f"vectors came to a tile whose arrays are on rank {self.pipeline.owner}: train "
                "through backward() and the optimizer, which send them there"
            )

    def update_indexed(self, x_input: Tensor, d_input: Tensor, *_: object, **__: object) -> None:
        """Take no images, as :meth:`update`."""
        self.update(x_input, d_input)

    def _apply(self, method: str, *args: object) -> None:
        """Do nothing: the owner lets its arrays decay, drift or diffuse."""

    def get_brief_info(self, bias: bool = False) -> str:
        """Return a short description."""
        return (
            f"BorrowedSimulatorTile<{self.data_type.value}>({self.x_size},{self.d_size}): "
            f"arrays on rank {self.pipeline.owner}, "
            f"{self.pipeline.reads.describe(bias, self.has_matrix_indices())}"
        )

    def dump_extra(self) -> NoReturn:
        """Refuse: the state is the owner's."""
        raise NotHereError(
            f"the state of a tile is on rank {self.pipeline.owner}, which owns its arrays: call "
            "state_dict() of the AnalogDataParallel (or save_checkpoint with it) on all ranks"
        )
