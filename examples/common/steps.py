"""Training steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from common.competitors import freeze
from common.tasks import Task


def take_step(
    doing: Task,
    model: nn.Module,
    optimizer: Any,
    generator: torch.Generator,
    is_frozen: bool = False,
) -> Tensor:
    """Train with one batch and return its loss.

    Args:
        doing: what is learned.
        model: the model.
        optimizer: its optimizer.
        generator: draws the batch.
        is_frozen: whether arrays stay as they are.
    """
    x, y = doing.batch(generator)
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x).flatten(0, -2), y.flatten())
    loss.backward()
    if is_frozen:
        freeze(model)
    optimizer.step()
    return loss.detach()
