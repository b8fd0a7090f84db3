"""Zero-shifting: finding symmetric points by pulses, and what that costs."""

from aihwkit_dspt.zero_shifting.algorithm import ZeroShiftResult, zero_shift
from aihwkit_dspt.zero_shifting.budget import PulseBudget, pulse_budget, training_pulses
from aihwkit_dspt.zero_shifting.calibrate import calibrate
from aihwkit_dspt.zero_shifting.closed_form import closed_form
from aihwkit_dspt.zero_shifting.vectorised import simulate_pulses

__all__ = [
    "PulseBudget",
    "ZeroShiftResult",
    "calibrate",
    "closed_form",
    "pulse_budget",
    "simulate_pulses",
    "training_pulses",
    "zero_shift",
]
