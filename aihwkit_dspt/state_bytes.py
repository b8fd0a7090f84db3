"""The state of a tile as bytes in a tensor."""

from __future__ import annotations

import io
from collections import OrderedDict
from sys import modules
from typing import Any, Dict

import torch
from aihwkit.exceptions import TileError
from torch import Tensor

from aihwkit_dspt.loadable import write_loadable
from aihwkit_dspt.plain import restored, storable
from aihwkit_dspt.tiles.uncompiled import not_exported


class NotATensorError(TileError, AttributeError):
    """A state of a tile was taken for a tensor; to ``hasattr`` it has no such attribute."""


class TileStateDict(Dict[str, Any]):
    """The state of a tile, which says what to do where tensors are expected.

    It is saved and copied as an ``OrderedDict``, which ``weights_only=True`` allows.
    """

    def __getattr__(self, name: str) -> Any:
        # Not loaded for everybody: importing it takes as long as importing this package.
        if "torch.onnx" in modules and torch.onnx.is_in_onnx_export():
            raise not_exported("TrackingTile")
        raise NotATensorError(
            f"the state of an analog tile is a dictionary and has no {name}: for safetensors, "
            "save_pretrained and what else saves tensors only, call states_in_tensors(model) of "
            "aihwkit_dspt first"
        )

    def _average(self, *_: object) -> object:
        raise NotATensorError(
            "the state of an analog tile is a dictionary, and states cannot be averaged: "
            "AveragedWeights(model, decay=...) of aihwkit_dspt averages the weights in use, in a "
            "digital copy (a target network, a teacher)"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _average

    def __reduce__(self) -> Any:
        return OrderedDict, (), None, None, iter(self.items())


def to_tensor(state: object) -> Tensor:
    """Return the state of a tile as bytes.

    Raises:
        ArgumentError: if it could not be loaded again, naming the part.
    """
    file = io.BytesIO()
    write_loadable(storable(state), file)
    return torch.frombuffer(bytearray(file.getvalue()), dtype=torch.uint8)


def from_tensor(state: object) -> Any:
    """Return the state of a tile that may be bytes.

    Raises:
        TileError: if they are not those of a state.
    """
    if not isinstance(state, Tensor):
        return state
    content = io.BytesIO(state.cpu().contiguous().numpy().tobytes())
    try:
        return restored(torch.load(content, map_location=state.device, weights_only=True))
    except Exception as error:
        raise TileError(
            f"the state of a tile is a tensor of {state.dtype} and shape {list(state.shape)}, but "
            "not the bytes of a state: load what states_in_tensors(model) has saved, unchanged"
        ) from error
