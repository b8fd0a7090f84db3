"""Why a module stays digital."""

from __future__ import annotations

from typing import Optional

import torch
from torch import nn

NOTE = "_stays_digital"
"""Attribute of a module in which the conversion leaves its reason."""

LOOKED_UP = (nn.Embedding, nn.EmbeddingBag)
NORMS = (
    *(nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm, nn.CrossMapLRN2d),
    *(nn.modules.batchnorm._NormBase,),
)
MATRICES = (
    *(nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.MultiheadAttention),
    *(nn.modules.rnn.RNNBase, nn.modules.rnn.RNNCellBase),
)
"""Kinds of torch whose parameters of two and more dimensions are multiplied."""


class StaysDigital(Exception):  # noqa: N818 - it is no error
    """Says that a module stays digital, and why."""


def note(module: nn.Module, reason: str) -> None:
    """Leave the reason why a module and all that it holds stay digital."""
    for part in module.modules():
        part.__dict__[NOTE] = reason


def looks_up(module: nn.Module) -> bool:
    """Whether a module takes rows out of a table."""
    return isinstance(module, LOOKED_UP)


def is_norm(module: nn.Module) -> bool:
    """Whether a module normalises; most libraries have such classes of their own."""
    return isinstance(module, NORMS) or type(module).__name__.lower().endswith(
        ("norm", "norm2d", "layernorm")
    )


def is_matrix(module: nn.Module) -> bool:
    """Whether a module multiplies with its parameters of two and more dimensions."""
    # Hugging Face's Conv1D is a linear layer; the package need not be there.
    return isinstance(module, MATRICES) or any(
        (kind.__module__, kind.__name__) == ("transformers.pytorch_utils", "Conv1D")
        for kind in type(module).__mro__
    )


def is_quantised(module: nn.Module) -> bool:
    """Whether a module is one of torch's with packed weights, which are no parameters."""
    packages = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized")
    return type(module).__module__.startswith(packages) and callable(
        getattr(module, "weight", None)
    )


def reason(module: nn.Module) -> str:
    """Return why a module that holds parameters is digital."""
    noted: Optional[str] = module.__dict__.get(NOTE)
    kinds = (
        (looks_up(module), "embedding: rows are looked up, not multiplied"),
        (is_norm(module), "normalisation: one factor per channel"),
        (isinstance(module, nn.PReLU), "activation: one slope per channel"),
        (noted is not None, noted or ""),
        (is_quantised(module), "quantised: convert the model before it is quantised"),
        (
            isinstance(module, torch.jit.ScriptModule),
            "TorchScript, which has no layers: convert the model before it is scripted",
        ),
        (
            isinstance(module, nn.Bilinear),
            "bilinear: an array multiplies with one vector, not with two",
        ),
        (is_matrix(module), "not converted: see aihwkit_dspt.convert"),
        (True, "parameters of its own, used by its forward in a way that is not known here"),
    )
    return next(text for applies, text in kinds if applies)
