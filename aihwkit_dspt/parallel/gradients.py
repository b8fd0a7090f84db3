"""What happens at the end of a backward pass: vectors go to the owners, digital gradients meet."""

from __future__ import annotations

from itertools import islice
from typing import Any, Dict, List, Tuple

import torch
from aihwkit.exceptions import TileError
from aihwkit.optim.context import AnalogContext
from torch import Tensor, nn
from torch.autograd import Variable

from aihwkit_dspt.optim.gradient import gradient_norm
from aihwkit_dspt.parallel.ranks import Ranks
from aihwkit_dspt.parallel.vectors import (
    Kind,
    Pair,
    from_bytes,
    joined,
    kind_of,
    none_of,
    pair_of,
    to_bytes,
)
from aihwkit_dspt.tiles.context import is_frozen
from aihwkit_dspt.tiles.tile import TrackingTile

WHAT = "end a backward pass"


class GradientExchange:
    r"""Makes the gradients of all ranks those of the joint batch, at the end of a backward pass.

    The joint loss is the mean of the losses of the ranks, :math:`L = \frac{1}{R} \sum_r L_r`, and
    the joint batch has the vectors of rank 0 first, then those of rank 1, and so on. So

    * the owner of an array gets the inputs of all ranks, and their errors divided by R;
    * the others keep no vector, and their ``update`` does nothing;
    * digital gradients are averaged;
    * every rank knows the norm of each array's joint gradient, which is all that clipping needs;
    * buffers, such as the running statistics of batch normalisation, become those of rank 0.

    Args:
        ranks: the ranks.
        module: the model.
        tiles: its tracking tiles.
        owners: the rank that owns each.

    Attributes:
        is_paused: whether backward passes end without an exchange (gradient accumulation).
    """

    def __init__(
        self, ranks: Ranks, module: nn.Module, tiles: List[TrackingTile], owners: List[int]
    ) -> None:
        self.ranks = ranks
        self.tiles = tiles
        self.owners = owners
        self.is_paused = False
        self._index = {id(tile): index for index, tile in enumerate(tiles)}
        self._module = module
        self._parameters: Dict[str, nn.Parameter] = {
            name: value
            for name, value in module.named_parameters()
            if not isinstance(value, AnalogContext)
        }
        self._backward_pass = -1
        for tile in tiles:
            tile.analog_ctx.exchange = self
        parameter: Any  # torch does not say what its hooks take
        for parameter in self._parameters.values():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(self._on_gradient)

    def _on_gradient(self, _: Tensor) -> None:
        self.queue()

    def queue(self) -> None:
        """Let the backward pass that is running end with an exchange."""
        running = torch._C._current_graph_task_id()
        if self.is_paused or running in (-1, self._backward_pass):
            return
        self._backward_pass = running
        Variable._execution_engine.queue_callback(self.run)

    def require_joint(self, context: AnalogContext) -> None:
        """Raise ``TileError`` if an optimizer is about to take the vectors of this rank alone."""
        n_missing = len(context.analog_input) - context.n_joint
        if n_missing > 0 and context.requires_grad:
            raise TileError(
                f"{n_missing} backward passes were made inside no_sync() and none after it, so the "
                "arrays have not got their vectors: let the last backward pass before a step be "
                "outside of the block"
            )

    @torch.no_grad()
    def run(self) -> None:
        """Exchange what has been kept since the last exchange.

        Raises:
            TileError: if images of different sizes, or sparse gradients, would have to be joined.
            RankError: if a rank is gone or does something else.
        """
        self._backward_pass = -1
        new = [self._new_pairs(tile) for tile in self.tiles]
        mine = [[kind_of(pair) for pair in pairs] for pairs in new]
        has_gradient = [each.grad is not None for each in self._parameters.values()]
        said = self.ranks.meet(WHAT, (mine, has_gradient))
        kinds = [kinds for kinds, _ in said]
        received = self._exchange_vectors(new, kinds)
        for index, tile in enumerate(self.tiles):
            self._keep(index, tile, [of_rank[index] for of_rank in kinds], received.get(index, []))
        self._share_norms([any(of_rank[n] for of_rank in kinds) for n in range(len(self.tiles))])
        self._average_digital([any(has) for has in zip(*(has for _, has in said))])
        self._follow_buffers()

    @torch.no_grad()
    def share_weight(self, tile: TrackingTile) -> None:
        """Send the weight that a tile computes with from its owner to all ranks."""
        array = tile.tile.pipeline.mixed_array
        owner = self.owners[self._index[id(tile)]]
        self.ranks.broadcast("end an optimizer step", array.shared, owner)

    # -- vectors ----------------------------------------------------------------------------------

    def _new_pairs(self, tile: TrackingTile) -> List[Pair]:
        context = tile.analog_ctx
        if is_frozen(tile):
            return []
        first = context.n_joint
        kept = zip(context.analog_input[first:], context.analog_grad_output[first:])
        return [pair_of(context, x, d) for x, d in kept]

    def _exchange_vectors(
        self, new: List[List[Pair]], kinds: List[List[List[Kind]]]
    ) -> Dict[int, List[List[Pair]]]:
        """Return the pairs of each rank, for each of the arrays that are here."""
        own = self._owned(self.ranks.rank)
        pieces = [
            to_bytes([pair for index in self._owned(rank) for pair in new[index]])
            for rank in range(self.ranks.size)
        ]
        sizes = [sum(kind.n_bytes for n in own for kind in of_rank[n]) for of_rank in kinds]
        received = self.ranks.exchange(WHAT, pieces, sizes)
        sent_for: Dict[int, List[List[Pair]]] = {index: [] for index in own}
        for content, of_rank in zip(received, kinds):
            pairs = iter(from_bytes(content, [kind for index in own for kind in of_rank[index]]))
            for index in own:
                sent_for[index].append(list(islice(pairs, len(of_rank[index]))))
        return sent_for

    def _owned(self, rank: int) -> List[int]:
        return [index for index, owner in enumerate(self.owners) if owner == rank]

    def _keep(
        self,
        index: int,
        tile: TrackingTile,
        kinds: List[List[Kind]],
        received: List[List[Pair]],
    ) -> None:
        """Let the context of a tile keep the joint vectors, or none where they went elsewhere."""
        context = tile.analog_ctx
        if is_frozen(tile):
            return
        first = context.n_joint
        inputs, errors = context.analog_input[:first], context.analog_grad_output[:first]
        for number in range(max(map(len, kinds))):
            at_hand = [each[number] for each in kinds if len(each) > number]
            if context.use_indexed and len({kind.image for kind in at_hand}) > 1:
                raise TileError(
                    f"ranks have images of sizes {[list(kind.x_shape) for kind in at_hand]} for "
                    "one convolution: pass equally large images to all ranks, or use_indexed=False"
                )
            if self.owners[index] == self.ranks.rank:
                pairs = [each[number] for each in received if len(each) > number]
                x, d = joined(context, pairs, self.ranks.size)
            else:
                x, d = none_of(context, at_hand[0], self.ranks.device)
            runtime = tile.get_runtime()
            inputs.append(x.cpu() if runtime.offload_input else x.to(tile.device))
            errors.append(d.cpu() if runtime.offload_gradient else d.to(tile.device))
        context.analog_input, context.analog_grad_output = inputs, errors
        context.n_joint = len(inputs)

    def _share_norms(self, is_used: List[bool]) -> None:
        """Let the contexts of all ranks know the norm of the joint gradient of each array."""
        norms = torch.zeros(len(self.tiles), dtype=torch.float64, device="cpu")
        for index in self._owned(self.ranks.rank):
            if is_used[index]:
                norms[index] = gradient_norm(self.tiles[index].analog_ctx)
        norms = self.ranks.sum(WHAT, norms)
        for index, tile in enumerate(self.tiles):
            if is_used[index]:
                context = tile.analog_ctx
                context.set_norm(norms[index].to(tile.device, context.analog_grad_output[0].dtype))

    # -- digital parts ----------------------------------------------------------------------------

    def _average_digital(self, is_used: List[bool]) -> None:
        """Average digital gradients; a rank that has none counts as one of zeros."""
        used = [item for item, used in zip(self._parameters.items(), is_used) if used]
        for name, parameter in used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if parameter.grad.is_sparse:
                raise TileError(
                    f"the gradient of {name} is sparse, which cannot be averaged over ranks: pass "
                    "sparse=False to its layer"
                )
        gradients = [parameter.grad for _, parameter in used if parameter.grad is not None]
        for group in _by_type(gradients):
            flat = torch.cat([gradient.flatten() for gradient in group])
            _scatter(self.ranks.sum(WHAT, flat).div_(self.ranks.size), group)

    def _follow_buffers(self) -> None:
        buffers = [each for each in self._module.buffers() if each.numel() > 0]
        for group in _by_type(buffers):
            flat = torch.cat([buffer.flatten() for buffer in group])
            self.ranks.broadcast(WHAT, flat, 0)
            _scatter(flat, group)


def _by_type(tensors: List[Tensor]) -> List[List[Tensor]]:
    """Return tensors in groups of one data type and device, in their order."""
    groups: Dict[Tuple[torch.dtype, torch.device], List[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    return list(groups.values())


def _scatter(flat: Tensor, tensors: List[Tensor]) -> None:
    """Copy the parts of a flat tensor to the tensors that it was made of."""
    start = 0
    for tensor in tensors:
        stop = start + tensor.numel()
        tensor.copy_(flat[start:stop].view_as(tensor))
        start = stop
