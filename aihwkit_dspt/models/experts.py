"""Hugging Face's mixtures of experts, with the matrices of each expert as layers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from aihwkit_dspt.models import kept


class Experts(nn.Module):
    r"""Experts of a Mixtral, whose matrices are linear layers.

    .. math:: y_n = \sum_{e \in \text{top } k} p_{ne}\, W^d_e\,
              \big(\text{act}(W^g_e x_n) \odot W^u_e x_n\big)

    Hugging Face keeps the matrices of all experts in two parameters, ``[experts, out, in]``, so
    that no layer is called. Here ``gate_up[e]`` (:math:`W^g` above :math:`W^u`) and ``down[e]`` are
    called with the vectors that expert ``e`` is chosen for. An expert that no vector chooses does
    not learn in that step.

    Args:
        module: Hugging Face's experts, whose weights are copied.
    """

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.act_fn = module.act_fn
        self.gate_up, self.down = (
            nn.ModuleList(kept.linear(weight, None, source) for weight in source)
            for source in (module.gate_up_proj, module.down_proj)
        )

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        """Return the weighted outputs of the experts that each vector chooses.

        Args:
            hidden_states: ``[n, size]`` vectors.
            top_k_index: ``[n, k]`` numbers of their experts; the number of experts stands for none.
            top_k_weights: ``[n, k]`` weights of these.
        """
        outputs = torch.zeros_like(hidden_states)
        for number in torch.unique(top_k_index).tolist():
            if number == len(self.down):
                continue
            vectors, places = torch.where(top_k_index == number)
            gate, up = self.gate_up[number](hidden_states[vectors]).chunk(2, dim=-1)
            output = self.down[number](self.act_fn(gate) * up)
            weighted = output * top_k_weights[vectors, places, None]
            outputs = outputs.index_add(0, vectors, weighted.to(outputs.dtype))
        return outputs


def are_experts(kind: type) -> bool:
    """Whether a class has the forward of Mixtral's experts, as most of Hugging Face's have."""
    if not kind.__module__.startswith("transformers.models.") or "Experts" not in kind.__name__:
        return False
    try:
        mixtral = import_module("transformers.models.mixtral.modeling_mixtral").MixtralExperts
    except (ImportError, AttributeError):
        return False  # transformers before 5: each expert has layers
    return _steps(kind) is not None and _steps(kind) == _steps(mixtral)


def _steps(kind: Any) -> object:
    """Return what the forward of a class of experts does, ``None`` if it is none of them."""
    code = getattr(getattr(kind.forward, "__wrapped__", None), "__code__", None)
    return None if code is None else (code.co_code, code.co_names, code.co_consts)
