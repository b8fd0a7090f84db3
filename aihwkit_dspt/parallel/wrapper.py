"""A model that is trained in several processes on one set of arrays."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Tuple

from aihwkit.exceptions import ArgumentError, TileError
from aihwkit.optim.context import AnalogContext
from torch import nn

from aihwkit_dspt.parallel.errors import RankError
from aihwkit_dspt.parallel.gradients import GradientExchange
from aihwkit_dspt.parallel.owners import owners_by_size
from aihwkit_dspt.parallel.ranks import Ranks
from aihwkit_dspt.parallel.states import SharedArrays, follow_rank_0
from aihwkit_dspt.tiles.of_model import analog_tiles, tracking_tiles
from aihwkit_dspt.tiles.tile import TrackingTile

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

START = "start analog_data_parallel"


class AnalogDataParallel(nn.Module):
    """A model in one of several processes, whose arrays are the same physical devices in all.

    Made by :func:`analog_data_parallel`.

    Args:
        module: the model.
        group: the group of processes, ``None`` for all.

    Attributes:
        module: the model. Arrays that another rank owns are not in it: it computes with their
            weights, and whoever asks for anything else of them gets an error that names the owner.
        owners: name of the tile -> rank that owns its arrays.
        ranks: the ranks.
    """

    def __init__(self, module: nn.Module, group: Optional[ProcessGroup] = None) -> None:
        super().__init__()
        named = _shareable_tiles(module)
        tiles = list(named.values())
        self.ranks = Ranks(tiles[0].tile.pipeline.mixed_array.shared.device, group)
        _require_equal(self.ranks, module)
        sizes = [tile.tile.get_x_size() * tile.tile.get_d_size() for tile in tiles]
        owners = owners_by_size(sizes, self.ranks.size)
        self.owners: Dict[str, int] = dict(zip(named, owners))
        follow_rank_0(self.ranks, module, START)
        self.module = module
        self._arrays = SharedArrays(self.ranks, tiles, owners)
        self._exchange = GradientExchange(self.ranks, module, tiles, owners)
        self._arrays.give_up()
        self._arrays.share_weights(START)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the output of the model for the batch of this rank."""
        return self.module(*args, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """End no backward pass with an exchange inside a ``with`` block, as in torch.

        For accumulated gradients: what was kept in the block is exchanged at the end of the first
        backward pass after it. The result is the same without; the block saves messages.
        """
        before, self._exchange.is_paused = self._exchange.is_paused, True
        try:
            yield
        finally:
            self._exchange.is_paused = before

    # torch has overloads for what this passes on.
    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the state of the model as in one process; call it on all ranks.

        The names have no ``module.`` in front. It loads into a plain model, too.
        """
        self.ranks.meet("return a state_dict")
        with self._arrays.lent_states("return a state_dict"):
            return self.module.state_dict(*args, **kwargs)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Load the state of a model, whoever saved it; call it on all ranks, with the same state.

        Raises:
            TileError, RuntimeError: if the state does not fit, on all ranks.
        """
        what, error, result = "load a state", None, None
        try:
            with self._arrays.whole():
                result = self.module.load_state_dict(state_dict, strict, assign)
        except Exception as caught:  # the others have to know of any
            error = caught
        self._arrays.give_up()
        self.ranks.agree(what, error)
        self._arrays.share_weights(what)
        return result


def analog_data_parallel(
    model: nn.Module, *, group: Optional[ProcessGroup] = None
) -> AnalogDataParallel:
    r"""Return a model that several processes train together, on one set of arrays.

    Every process computes with its own part of the batch. Each array is owned by one rank (arrays
    are spread over ranks by their sizes), which alone has its devices and sends the pulses:

    .. math:: W \leftarrow W - \lambda \sum_{r=1}^{R} \sum_n \tfrac{1}{R}\, d_{rn} x_{rn}^T

    one vector :math:`n` after the other, those of rank 0 first. At the end of a backward pass
    inputs :math:`x` and errors :math:`d` of all ranks go to the owners, and digital gradients are
    averaged; at the end of an optimizer step the weights in use come back. So the training is that
    of one process with the joint batch, whose loss is the mean of the losses of the ranks::

        torch.distributed.init_process_group("gloo")  # started by torchrun
        model = analog_data_parallel(convert(model, config))
        optimizer = AnalogSGD(model.parameters(), lr=0.1)

    At the start all ranks take over the model of rank 0. Move it to its device before. How it is
    used, what it costs and why torch's ``DistributedDataParallel`` is refused is in
    ``docs/how_to/several_processes.md``.

    Args:
        model: the model, the same on all ranks; every analog tile is a
            :class:`~aihwkit_dspt.TrackingTile`, or one of aihwkit's that torch trains.
        group: the group of processes, ``None`` for all.

    Raises:
        ArgumentError: if there is no group of processes, or its backend cannot send from the
            model's device, or ``model`` is wrapped already or no module.
        TileError: if the model has no tracking tile, or analog tiles whose arrays cannot be shared.
        RankError: if the models of the ranks differ, or a rank is gone.
    """
    return AnalogDataParallel(model, group)


def _shareable_tiles(model: nn.Module) -> Dict[str, TrackingTile]:
    """Return the tracking tiles of a model that has no others to share."""
    tiles = tracking_tiles(model)
    if any(isinstance(each, AnalogDataParallel) for each in model.modules()):
        raise ArgumentError("model is an AnalogDataParallel already: pass the model itself")
    for name, tile in analog_tiles(model).items():
        if not isinstance(tile, TrackingTile) and not tile.supports_ddp:
            raise TileError(
                f"the arrays of tile '{name}' ({type(tile).__name__} of aihwkit) cannot be shared "
                "by several processes: convert the layer with a TrackingRPUConfig (with gamma=0 it "
                "is AGAD), or keep it digital"
            )
    return tiles


def _require_equal(ranks: Ranks, model: nn.Module) -> None:
    """Raise ``RankError`` unless the models of all ranks have the same parts."""
    parts: List[Tuple[object, ...]] = [
        (name, None if isinstance(value, AnalogContext) else list(value.shape))
        for name, value in (*model.named_parameters(), *model.named_buffers())
    ]
    parts += [(name, tile.out_size, tile.in_size) for name, tile in tracking_tiles(model).items()]
    first, *others = ranks.meet(START, parts)
    for rank, other in enumerate(others, 1):
        for mine, its in zip(first, other):
            if mine != its:
                raise RankError(
                    f"the models differ: rank 0 has {mine}, rank {rank} {its}. Build the same "
                    "model on all ranks"
                )
        if len(first) != len(other):
            raise RankError(
                f"the models differ: rank 0 has {len(first)} parameters, buffers and tiles, rank "
                f"{rank} {len(other)}. Build the same model on all ranks"
            )
