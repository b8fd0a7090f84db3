"""Response functions, symmetric points and configurations of aihwkit's pulsed devices."""

from aihwkit_dspt.devices.base import Response
from aihwkit_dspt.devices.chosen import dw_min_for_states, n_states, with_symmetric_point
from aihwkit_dspt.devices.exponential import ExpResponse
from aihwkit_dspt.devices.linear import LinearResponse
from aihwkit_dspt.devices.of_device import response
from aihwkit_dspt.devices.piecewise import PiecewiseResponse
from aihwkit_dspt.devices.power import PowResponse
from aihwkit_dspt.devices.symmetric_points import SymmetricPoints, symmetric_points

__all__ = [
    "ExpResponse",
    "LinearResponse",
    "PiecewiseResponse",
    "PowResponse",
    "Response",
    "SymmetricPoints",
    "dw_min_for_states",
    "n_states",
    "response",
    "symmetric_points",
    "with_symmetric_point",
]
