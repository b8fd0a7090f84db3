"""torch's attention with its projections as layers."""

from __future__ import annotations

import math
from typing import List, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from aihwkit_dspt.models import kept
from aihwkit_dspt.models.reasons import NOTE


class Attention(nn.Module):
    r"""``nn.MultiheadAttention`` whose projections are linear layers.

    .. math:: \text{softmax}\Big(\frac{(W_q x_q)(W_k x_k)^T}{\sqrt d} + M\Big)\,W_v x_v

    torch keeps :math:`W_q`, :math:`W_k` and :math:`W_v` in raw parameters, and hands those of the
    output projection to a function, so that no layer is called. Here ``q_proj``, ``k_proj``,
    ``v_proj`` and ``out_proj`` are called. Everything else is as in torch: arguments, masks,
    returned weights, ``add_bias_kv`` and ``add_zero_attn``. torch's fast path for evaluation, which
    takes the raw parameters, finds none.

    Args:
        module: torch's attention, whose weights are copied.
    """

    in_proj_weight: Optional[Tensor] = None
    in_proj_bias: Optional[Tensor] = None
    _qkv_same_embed_dim: bool = False

    def __init__(self, module: nn.MultiheadAttention) -> None:
        super().__init__()
        self.embed_dim: int = module.embed_dim
        self.kdim, self.vdim = module.kdim, module.vdim
        self.num_heads: int = module.num_heads
        self.head_dim: int = module.head_dim
        self.dropout: float = module.dropout
        self.batch_first: bool = module.batch_first
        self.add_zero_attn: bool = module.add_zero_attn
        self.q_proj, self.k_proj, self.v_proj = _projections(module)
        self.out_proj = module.out_proj
        self.bias_k: Optional[Tensor] = module.bias_k
        self.bias_v: Optional[Tensor] = module.bias_v
        self.__dict__[NOTE] = "bias_k and bias_v: one more key and one more value"

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Optional[Tensor] = None,
        need_weights: bool = True,
        attn_mask: Optional[Tensor] = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Tuple[Tensor, Optional[Tensor]]:
        """Return outputs and, if asked for, the weights of the attention.

        The arguments are those of ``nn.MultiheadAttention``.

        Raises:
            RuntimeError: if ``is_causal`` comes without ``attn_mask``, as in torch.
        """
        if is_causal and attn_mask is None:
            raise RuntimeError("Need attn_mask if specifying the is_causal hint.")
        batched = query.dim() == 3
        inputs = [query, key, value]
        if not batched:
            inputs = [each.unsqueeze(0) for each in inputs]
        elif not self.batch_first:
            inputs = [each.transpose(0, 1) for each in inputs]
        q, k, v = self._heads(*inputs)
        mask = self._mask(attn_mask, key_padding_mask, q, k)
        dropout = self.dropout if self.training else 0.0
        weights: Optional[Tensor] = None
        if need_weights:
            scores = (q * math.sqrt(1.0 / self.head_dim)) @ k.transpose(-2, -1)
            weights = torch.softmax(scores if mask is None else scores + mask, dim=-1)
            weights = functional.dropout(weights, dropout) if dropout > 0.0 else weights
            heads = weights @ v
            weights = weights.mean(dim=1) if average_attn_weights else weights
        else:
            heads = functional.scaled_dot_product_attention(q, k, v, mask, dropout)
        output: Tensor = self.out_proj(heads.transpose(1, 2).flatten(2))
        if not batched:
            return output.squeeze(0), None if weights is None else weights.squeeze(0)
        return output if self.batch_first else output.transpose(0, 1), weights

    def _heads(self, query: Tensor, key: Tensor, value: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        """Return ``[batch, heads, length, head_dim]`` queries, keys and values."""
        q, k, v = self.q_proj(query), self.k_proj(key), self.v_proj(value)
        if self.bias_k is not None and self.bias_v is not None:
            k = torch.cat([k, self.bias_k.expand(len(k), -1, -1)], dim=1)
            v = torch.cat([v, self.bias_v.expand(len(v), -1, -1)], dim=1)
        if self.add_zero_attn:
            k, v = functional.pad(k, (0, 0, 0, 1)), functional.pad(v, (0, 0, 0, 1))
        q, k, v = (torch.unflatten(each, -1, (self.num_heads, self.head_dim)) for each in (q, k, v))
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)

    def _mask(
        self, attn_mask: Optional[Tensor], padding: Optional[Tensor], q: Tensor, k: Tensor
    ) -> Optional[Tensor]:
        """Return what is added to the scores: minus infinity where nobody looks."""
        masks = []
        if attn_mask is not None:
            mask = _additive(attn_mask, q.dtype)
            masks.append(
                mask if mask.dim() == 2 else torch.unflatten(mask, 0, (len(q), self.num_heads))
            )
        if padding is not None:
            masks.append(_additive(padding, q.dtype).reshape(len(q), 1, 1, -1))
        if not masks:
            return None
        added = k.shape[-2] - masks[0].shape[-1]  # keys that no mask speaks of
        return sum(functional.pad(mask, (0, added)) for mask in masks)  # type: ignore[return-value]


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype is not torch.bool:
        return mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(mask, -math.inf)


def _projections(module: nn.MultiheadAttention) -> List[nn.Linear]:
    """Return the projections of queries, keys and values as layers."""
    if module._qkv_same_embed_dim:
        packed = module.in_proj_weight
        weights = [(packed, part) for part in packed.chunk(3)]
    else:
        each = (module.q_proj_weight, module.k_proj_weight, module.v_proj_weight)
        weights = [(weight, weight) for weight in each]
    source = module.in_proj_bias
    biases = [None] * 3 if source is None else source.chunk(3)
    return [
        kept.linear(part, bias, weight, source) for (weight, part), bias in zip(weights, biases)
    ]
