"""The reference on an analog array of its own."""

from __future__ import annotations

from math import ceil

from aihwkit.simulator.configs.devices import PulsedDevice
from aihwkit.simulator.parameters.enums import PulseType, RPUDataType
from aihwkit.simulator.parameters.training import UpdateParameters
from torch import Tensor

from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.lines import LineAccess


class ReferenceArray:
    r"""Holds :math:`\tilde Q` on a pulsed device (paper Algorithm 3: "analog copy of Q").

    Programming is open loop: each cell gets :math:`\mathrm{round}((Q - \tilde Q)/\Delta w_{min})`
    pulses from where it is. What it holds afterwards is up to the device: its granularity,
    asymmetry, bounds, cycle-to-cycle and write noise. The next programming starts from there.

    Args:
        x_size: number of columns.
        d_size: number of rows.
        device: the pulsed device.
        lines: access to the lines of the fast array, which the reference shares.
        data_type: data type of the simulation.
    """

    def __init__(
        self,
        x_size: int,
        d_size: int,
        device: PulsedDevice,
        lines: LineAccess,
        data_type: RPUDataType,
    ) -> None:
        self.lines = lines
        self.max_pulses = 1
        # Deterministic trains: with both inputs at full scale every bit is a pulse.
        self.crossbar = Crossbar(x_size, d_size, device, data_type=data_type)
        self.max_pulses = max(int(ceil(self.crossbar.n_states)), 1)
        update = UpdateParameters(
            desired_bl=self.max_pulses,
            pulse_type=PulseType.DETERMINISTIC_IMPLICIT,
            update_bl_management=False,
            update_management=False,
        )
        self.crossbar = Crossbar(x_size, d_size, device, update=update, data_type=data_type)
        self.crossbar.program(self.crossbar.weights.new_zeros(d_size, x_size))

    def values(self) -> Tensor:
        """Return the ``[in_size, out_size]`` view of what the cells hold."""
        weights = self.crossbar.weights
        return weights.t() if self.lines.columns else weights

    def program(self, lines: slice, target: Tensor) -> Tensor:
        """Program the given lines towards a target.

        Args:
            lines: the lines.
            target: ``[n_lines, out_size]`` values to hold, in weight units.

        Returns:
            ``[n_lines, out_size]`` values that the cells hold afterwards.
        """
        pulses = ((target - self.values()[lines]) / self.crossbar.granularity).round_()
        pulses.clamp_(-self.max_pulses, self.max_pulses)
        full_scale = self.max_pulses * self.crossbar.granularity
        self.lines.pulse(self.crossbar, lines, pulses / self.max_pulses, full_scale)
        return self.values()[lines].clone()
