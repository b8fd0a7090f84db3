"""Parameters that several modules share."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from torch import nn


def tied_modules(model: nn.Module) -> Dict[int, str]:
    """Return ``id`` of a module -> name of a parameter of another one that is also its own."""
    owners: Dict[int, List[Tuple[str, nn.Module]]] = {}
    for name, module in model.named_modules():
        for key, value in module._parameters.items():
            if value is not None:
                owners.setdefault(id(value), []).append((f"{name}.{key}".lstrip("."), module))
    tied: Dict[int, str] = {}
    for found in owners.values():
        for _, module in found:
            others = (other for other, owner in found if owner is not module)
            for other in others:
                tied.setdefault(id(module), other)
    return tied


def untie_in_config(model: nn.Module) -> None:
    """Let the configurations of Hugging Face's models say that nothing is tied any more.

    Else they would tie the weights again, which an array cannot follow.

    Args:
        model: the converted model; its configuration is changed.
    """
    for module in model.modules():
        config: Any = getattr(module, "config", None)
        if getattr(config, "tie_word_embeddings", False) is True:
            config.tie_word_embeddings = False
