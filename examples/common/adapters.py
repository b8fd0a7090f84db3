"""Low-rank adapters beside linear layers that stay as they are."""

from __future__ import annotations

from typing import Any, List, Optional

from torch import Tensor, nn

from common.tasks import converted


class Adapted(nn.Module):
    r"""A frozen linear layer with an adapter: :math:`y = W x + b + \frac{a}{r} B A x`.

    Args:
        base: the layer; it is frozen.
        rank: r, rows of A.
        alpha: a.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[..., out]`` outputs."""
        outputs: Tensor = self.base(x) + self.scale * self.up(self.down(x))
        return outputs


def with_adapters(model: nn.Module, config: Optional[Any], rank: int, alpha: float) -> nn.Module:
    """Freeze a model, give its linear layers adapters and convert these.

    Args:
        model: the model; it is changed.
        config: RPU configuration of the adapters; ``None`` for digital ones.
        rank: of the adapters.
        alpha: their scale times the rank.
    """
    model.requires_grad_(False)
    found: List[str] = [name for name, m in model.named_modules() if isinstance(m, nn.Linear)]
    for name in found:
        parent, _, own = name.rpartition(".")
        layer = Adapted(model.get_submodule(name), rank, alpha)
        setattr(model.get_submodule(parent), own, layer)
    return converted(model, config, [f"{name}.base" for name in found])
