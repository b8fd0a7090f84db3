"""Counts of what a tile did, for comparing methods by their cost."""

from __future__ import annotations

from functools import partial
from typing import Dict, Union

from torch import Tensor, float64, tensor, zeros
from torch import device as torch_device

from aihwkit_dspt.stages.uninterrupted import Call

NUMBERS = ("update_cycles", "forward_mvms", "backward_mvms", "calibration_pulses")


class OperationCounters:
    """Operations since the tile was built; setting weights does not reset them.

    Attributes:
        update_cycles: vector pairs that were sent to the fast array as gradient pulses.
        forward_mvms: vectors that were multiplied with the weight.
        backward_mvms: error vectors that were multiplied with the transposed weight.
        calibration_pulses: pulses that each cell of the fast array received by zero-shifting.
        slow_pulses: pulses sent to the slow array by transfers, summed over its cells (on a GPU a
            tensor, so that it need not be waited for).
        expected_coincidences: expected pulses sent to the fast array, summed over its cells.
        estimates_coincidences: whether the latter are counted.
    """

    def __init__(self) -> None:
        self.update_cycles = 0
        self.forward_mvms = 0
        self.backward_mvms = 0
        self.calibration_pulses = 0
        self.slow_pulses: Union[float, Tensor] = 0.0
        self.expected_coincidences = zeros((), dtype=float64, device="cpu")
        self.estimates_coincidences = False

    def count_update_cycles(self, n_vectors: int) -> Call:
        """Return the call that counts vector pairs."""
        return partial(setattr, self, "update_cycles", self.update_cycles + n_vectors)

    def count_gradient_pulses(self, x_input: Tensor, d_input: Tensor, steps: float) -> Call:
        """Return the call that counts the expected pulses of a batch.

        Inputs are ``[n, x_size]``, errors ``[n, d_size]``; ``steps`` are the pulses at x = d = 1.
        """
        products = x_input.abs().sum(1) * d_input.abs().sum(1)
        return partial(self.expected_coincidences.add_, products.sum() * steps)

    def count_slow_pulses(self, n_pulses: Union[float, Tensor]) -> Call:
        """Return the call that counts pulses to the slow array."""
        # The kernel on a GPU has counted them: another operation there takes time for nothing.
        is_none = isinstance(n_pulses, float) and n_pulses == 0.0
        total = self.slow_pulses if is_none else self.slow_pulses + n_pulses
        return partial(setattr, self, "slow_pulses", total)

    def state(self) -> Dict[str, float]:
        """Return all counts as plain numbers."""
        counts = {name: int(getattr(self, name)) for name in NUMBERS}
        return {
            **counts,
            "slow_pulses": int(self.slow_pulses),
            "expected_coincidences": float(self.expected_coincidences),
        }

    def load_state(self, state: Dict[str, float]) -> None:
        """Set all counts."""
        for name in NUMBERS:
            setattr(self, name, int(state[name]))
        self._set_slow_pulses(float(state["slow_pulses"]), self.expected_coincidences.device)
        self.expected_coincidences.fill_(state["expected_coincidences"])

    def to(self, device: torch_device) -> None:
        """Count on a GPU."""
        self._set_slow_pulses(float(self.slow_pulses), device)
        self.expected_coincidences = self.expected_coincidences.to(device)

    def _set_slow_pulses(self, number: float, device: torch_device) -> None:
        self.slow_pulses = number
        if device.type != "cpu":
            self.slow_pulses = tensor(number, dtype=float64, device=device)
