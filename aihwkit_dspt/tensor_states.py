"""States that consist of tensors only, for tools that save nothing else."""

from __future__ import annotations

from typing import Any, Dict

import torch
from aihwkit.simulator.tiles.base import AnalogTileStateNames
from torch import Tensor, nn

from aihwkit_dspt.state_bytes import from_tensor, to_tensor
from aihwkit_dspt.tiles.of_model import analog_tiles

STATE, CONTEXT = AnalogTileStateNames.ANALOG_STATE_NAME, AnalogTileStateNames.CONTEXT


def states_in_tensors(model: nn.Module) -> nn.Module:
    """Let ``model.state_dict()`` consist of tensors only from now on, and load such states.

    safetensors, ``save_pretrained`` and Hugging Face's ``Trainer`` save nothing but tensors, while
    the state of an analog tile is a dictionary. It becomes one ``uint8`` tensor with the bytes that
    ``torch.save`` writes: exact, and read with ``weights_only=True``. States of the usual form load
    as before::

        states_in_tensors(model)
        safetensors.torch.save_model(model, "model.safetensors")
        safetensors.torch.load_model(model, "model.safetensors")

    Args:
        model: a model with analog tiles of any kind.

    Returns:
        the model.

    Raises:
        ArgumentError: if ``model`` is not a module.
        TileError: if there is no analog tile.
    """
    analog_tiles(model)
    module: Any = model  # torch does not say what these two take
    if _pack not in module._state_dict_hooks.values():
        module.register_state_dict_post_hook(_pack)
        module.register_load_state_dict_pre_hook(_unpack)
    return model


def _pack(module: nn.Module, state: Dict[str, Any], prefix: str, metadata: object) -> None:
    for key, value in list(state.items()):
        if key.startswith(prefix) and _is_named(key, STATE) and not isinstance(value, Tensor):
            state[key] = to_tensor(value)
        elif key.startswith(prefix) and _is_named(key, CONTEXT) and value.dim() > 0:
            state[key] = torch.zeros(1, device="cpu")  # of aihwkit 1.2: nobody reads the values


def _unpack(module: nn.Module, state: Dict[str, object], prefix: str, *_: object) -> None:
    for key, value in list(state.items()):
        if key.startswith(prefix) and _is_named(key, STATE):
            state[key] = from_tensor(value)


def _is_named(key: str, name: str) -> bool:
    return key.rpartition(".")[2] == name
