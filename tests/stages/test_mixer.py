"""The mixer writes ``W + gamma*c*(P - Q~)`` in place."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.mixer import MixedWeight
from aihwkit_dspt.stages.timing import TransferTiming


@pytest.mark.parametrize(
    ("columns", "in_prob", "out_prob", "has_reference", "fuses"),
    product((True, False), (0.0, 0.5), (0.0, 0.5), (True, False), (True, False)),
)
def test_mixed_weight(
    columns: bool, in_prob: float, out_prob: float, has_reference: bool, fuses: bool
) -> None:
    """Full and partial stores, for both orientations, chopped or not."""
    d_size, x_size, gamma = 3, 5, 0.37
    in_size, out_size = (x_size, d_size) if columns else (d_size, x_size)
    timing = TransferTiming.printed(2)
    chopper = Chopper(in_size, out_size, in_prob, out_prob, True, timing, 1, torch.float32)
    output = torch.zeros(d_size, x_size)
    stage = MixedWeight(output, gamma, columns, has_reference, fuses)
    slow, fast = torch.randn(d_size, x_size), torch.randn(d_size, x_size)
    reference = torch.randn(in_size, out_size) if has_reference else torch.zeros(in_size, out_size)

    def expected() -> torch.Tensor:
        signs = chopper.signs(slice(0, in_size)).expand(in_size, out_size)
        lines = [value.t() if columns else value for value in (slow, fast)]
        mixed = lines[0] + gamma * signs * (lines[1] - reference)
        return mixed.t() if columns else mixed

    for _ in range(5):
        # Everything changes and is stored at once ...
        slow.normal_()
        fast.normal_()
        chopper.flip(chopper.due(slice(0, in_size), 0))
        chopper.flip_outputs(chopper.outputs_due())
        copies = slow.clone(), fast.clone(), reference.clone()
        stage.store(slow, reference, chopper, slice(0, in_size))
        stage.refresh(fast, chopper)
        assert torch.allclose(output, expected(), atol=1e-6)
        # ... and two lines alone, as after a transfer; the fast array changes everywhere.
        lines = slice(1, 3)
        (slow.t() if columns else slow)[lines] += 0.3
        chopper.flip(chopper.due(lines, 0))
        if has_reference:
            reference[lines] -= 0.2
        fast += 0.1
        before = fast.clone()
        stage.store(slow, reference, chopper, lines)
        stage.refresh(fast, chopper)
        assert torch.allclose(output, expected(), atol=1e-6)
        assert torch.equal(fast, before)
        assert not torch.equal(copies[0], slow)
