"""The processes of a training, and what they send to each other."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Iterator, List, Optional, Sequence

import torch
from aihwkit.exceptions import ArgumentError
from torch import Tensor, distributed

from aihwkit_dspt.parallel.errors import RankError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class Ranks:
    """The ranks of a group of processes.

    All of them have to call the same methods in the same order. :meth:`meet` notices if they do
    not; the other methods then end with the group's timeout.

    Args:
        device: device of the model.
        group: a group of ``torch.distributed``, ``None`` for all processes.

    Attributes:
        rank: number of this process in the group.
        size: number of processes.
        device: where tensors are sent from.

    Raises:
        ArgumentError: if there is no group, or its backend cannot send from the device.
    """

    def __init__(self, device: torch.device, group: Optional[ProcessGroup] = None) -> None:
        if not (distributed.is_available() and distributed.is_initialized()):
            raise ArgumentError(
                "there is no group of processes: start the script with torchrun and call "
                "torch.distributed.init_process_group('gloo') first ('nccl' for GPUs)"
            )
        self.group: Any = distributed.group.WORLD if group is None else group
        self.rank = distributed.get_rank(self.group)
        self.size = distributed.get_world_size(self.group)
        if self.rank < 0:
            raise ArgumentError("group does not contain this process: pass a group that does")
        backends = str(distributed.get_backend_config(self.group)).lower()
        uses_gpu = device.type == "cuda" and "nccl" in backends
        if not uses_gpu and "gloo" not in backends:
            raise ArgumentError(
                f"a group with {backends} cannot send from the model's device {device}: use "
                "backend='gloo', or move the model to a GPU before analog_data_parallel"
            )
        self.device = device if uses_gpu else torch.device("cpu")
        self._n_meetings = 0
        self._is_broken = False

    @contextmanager
    def _together(self, what: str) -> Iterator[None]:
        if self._is_broken:  # whoever tries again would wait for the others once more
            raise RankError(
                f"rank {self.rank} of {self.size} cannot {what}: it lost the other ranks before. "
                "Start all ranks again and go on from the last file with load_checkpoint"
            )
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, RankError):
                raise
            self._is_broken = True
            raise RankError(
                f"rank {self.rank} of {self.size} waited for the others to {what}, and one of them "
                "did not answer: it was killed, ended by an error of its own (see its output), or "
                "took longer than the group's timeout. Start all ranks again and go on from the "
                "last file with load_checkpoint"
            ) from error

    def meet(self, what: str, value: object = None) -> List[Any]:
        """Return the values of all ranks, in their order.

        Args:
            what: what is done now, in words that follow "to".
            value: what this rank has to say.

        Raises:
            RankError: if other ranks do something else, or one is gone.
        """
        self._n_meetings += 1
        said: List[Any] = [None] * self.size
        with self._together(what):
            distributed.all_gather_object(said, (what, self._n_meetings, value), group=self.group)
        for rank, (other, _, _) in enumerate(said):
            if other != what:
                raise RankError(
                    f"rank {self.rank} is about to {what}, rank {rank} to {other}: all ranks have "
                    "to take the same steps in the same order (backward passes, save_checkpoint, "
                    "state_dict, load_state_dict), with equally many batches"
                )
        return [value for _, _, value in said]

    def agree(self, what: str, error: Optional[BaseException] = None) -> None:
        """Go on if no rank has met an error; raise on all ranks otherwise.

        Raises:
            BaseException: ``error`` on the rank that has one.
            RankError: on the others, naming it.
        """
        said = self.meet(what, None if error is None else f"{type(error).__name__}: {error}")
        if error is not None:
            raise error
        for rank, message in enumerate(said):
            if message is not None:
                raise RankError(f"rank {rank} could not {what}: {message}")

    def broadcast(self, what: str, values: Tensor, source: int) -> None:
        """Overwrite a contiguous tensor with that of one rank."""
        sent = values.detach().to(self.device)
        with self._together(what):
            root = distributed.get_global_rank(self.group, source)
            distributed.broadcast(sent, root, group=self.group)
        if self.rank != source and sent.data_ptr() != values.data_ptr():
            values.detach().copy_(sent)

    def broadcast_bytes(self, what: str, content: Optional[Tensor], source: int) -> Tensor:
        """Return the bytes that one rank has, which alone knows how many they are."""
        own = torch.empty(0, dtype=torch.uint8, device="cpu") if content is None else content
        length = torch.tensor([own.numel()], device="cpu")
        self.broadcast(what, length, source)
        if self.rank != source:
            own = torch.empty(int(length), dtype=torch.uint8, device="cpu")
        self.broadcast(what, own, source)
        return own

    def sum(self, what: str, values: Tensor) -> Tensor:
        """Return the sum over all ranks, the same on each."""
        total = values.detach().to(self.device).clone()
        with self._together(what):
            distributed.all_reduce(total, group=self.group)
        return total.to(values.device)

    def exchange(self, what: str, pieces: Sequence[Tensor], sizes: Sequence[int]) -> List[Tensor]:
        """Send bytes to each rank and return those that each has sent to this one.

        Args:
            what: see :meth:`meet`.
            pieces: the bytes for each rank.
            sizes: how many bytes come from each.
        """
        sent = torch.cat([piece.to(self.device) for piece in pieces])
        received = torch.empty(sum(sizes), dtype=torch.uint8, device=self.device)
        with self._together(what):
            distributed.all_to_all_single(
                received, sent, list(sizes), [len(piece) for piece in pieces], group=self.group
            )
        return list(torch.tensor_split(received, list(accumulate(sizes))[:-1]))
