"""The reference on an analog array of its own."""

from __future__ import annotations

from copy import deepcopy
from math import ceil

from aihwkit.simulator.configs.devices import PulsedDevice
from aihwkit.simulator.parameters.enums import PulseType, RPUDataType
from aihwkit.simulator.parameters.training import UpdateParameters
from torch import Tensor

from aihwkit_dspt.tiles.crossbar import Crossbar
from aihwkit_dspt.tiles.lines import LineAccess

LONGEST_TRAIN = 10_000
"""Most pulses that a cell gets in one call."""

MOST_IN_A_CALL = 50_000_000
"""Most pulses of all cells in one call, some second of aihwkit's time: no interrupt comes in it."""


class ReferenceArray:
    r"""Holds :math:`\tilde Q` on a pulsed device (paper Algorithm 3: "analog copy of Q").

    Programming is open loop: each cell gets :math:`\mathrm{round}((Q - \tilde Q)/\Delta w_{min})`
    pulses from where it is. What it holds afterwards is up to the device: its granularity,
    asymmetry, bounds, cycle-to-cycle and write noise. The next programming starts from there.

    Trains are sent in pieces, between which an interrupt can come: a device with a tiny granularity
    takes millions of pulses.

    Args:
        x_size: number of columns.
        d_size: number of rows.
        device: the pulsed device.
        lines: access to the lines of the fast array, which the reference shares.
        data_type: data type of the simulation.
        seed: seed of the cells, 0 for none; a seed of the device itself comes first.
    """

    def __init__(
        self,
        x_size: int,
        d_size: int,
        device: PulsedDevice,
        lines: LineAccess,
        data_type: RPUDataType,
        seed: int = 0,
    ) -> None:
        self.lines = lines
        if device.construction_seed == 0:
            device = deepcopy(device)
            device.construction_seed = seed
        self.max_pulses = max(ceil(Crossbar(1, 1, device, data_type=data_type).n_states), 1)
        self._out_size = d_size if lines.columns else x_size
        self.train_length = min(self.max_pulses, LONGEST_TRAIN)
        # Deterministic trains: with both inputs at full scale every bit is a pulse.
        update = UpdateParameters(
            desired_bl=self.train_length,
            pulse_type=PulseType.DETERMINISTIC_IMPLICIT,
            update_bl_management=False,
            update_management=False,
        )
        self.crossbar = Crossbar(x_size, d_size, device, update=update, data_type=data_type)
        self.crossbar.find_faults()
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
        piece = self._piece(lines.stop - lines.start)
        if piece >= self.max_pulses:
            self._send(lines, pulses)
            return self.values()[lines].clone()
        for start in range(0, int(pulses.abs().max()), piece):
            self._send(lines, pulses.sign() * (pulses.abs() - start).clamp(0, piece))
        return self.values()[lines].clone()

    def _piece(self, n_lines: int) -> int:
        """Return how many pulses a cell gets in one call."""
        n_cells = min(n_lines, self.lines.most) * self._out_size
        return max(min(self.train_length, MOST_IN_A_CALL // n_cells), 1)

    def _send(self, lines: slice, pulses: Tensor) -> None:
        full_scale = self.train_length * self.crossbar.granularity
        self.lines.pulse(self.crossbar, lines, pulses / self.train_length, full_scale)
