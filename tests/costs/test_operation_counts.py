"""Counts of operations against brute-force tallies and against what settings imply."""

from __future__ import annotations

from typing import Any, Dict

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogConv2d, AnalogLinear, AnalogSequential
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.configs import FloatingPointRPUConfig
from aihwkit.simulator.parameters.training import UpdateParameters
from torch import Tensor, nn

from aihwkit_dspt import (
    Listener,
    ReferenceType,
    TrackingTile,
    TransferScope,
    calibrate,
    estimate_coincidences,
    operation_counts,
)
from tests.helpers import quiet_config, quiet_device, quiet_tile, train
from tests.parity import deterministic_pair
from tests.table import METHODS

CASES: Dict[str, Dict[str, Any]] = {
    **METHODS,
    "E-RIDER-random": {**METHODS["E-RIDER"], "in_chop_random": True, "out_chop_prob": 0.4},
    "E-RIDER-array": {**METHODS["E-RIDER"], "transfer_scope": TransferScope.ARRAY},
    "E-RIDER-steps": {**METHODS["E-RIDER"], "desired_bl": 4, "transfer_every": 2.5},
}
GRADIENT_BL = 31


class Tally(Listener):
    """Counts every call of a tile by itself, from what goes to and comes from the C++ tiles."""

    def __init__(self, tile: TrackingTile) -> None:
        self.slow_pulses = self.reads = self.events = self.cells = 0.0
        simulator = tile.tile
        self._wrap(simulator.pipeline.link.lines, "pulse", self.on_pulse)
        simulator.pipeline.link.listeners.append(self)
        self._wrap(simulator.pipeline.link.reference, "sync", self.on_sync)
        self.slow = simulator.pipeline.slow

    @staticmethod
    def _wrap(owner: Any, name: str, count: Any) -> None:
        plain = getattr(owner, name)

        def wrapped(*arguments: Any) -> Any:
            count(*arguments)
            return plain(*arguments)

        setattr(owner, name, wrapped)

    def on_pulse(self, crossbar: Any, _lines: slice, values: Tensor, *_: Any) -> None:
        assert crossbar is self.slow
        self.slow_pulses += values.abs().sum().item()

    def on_read(self, lines: slice, read: Tensor) -> None:
        self.reads += lines.stop - lines.start

    def on_sync(self, _lines: Any, _outputs: Any, values: Tensor, *_: Any) -> None:
        self.events += 1
        self.cells += values.numel()


@pytest.mark.parametrize("case", CASES)
def test_counts_equal_a_tally(case: str) -> None:
    """Deterministic pulses; and the counted pulses really moved the slow array."""
    tile = quiet_tile(**CASES[case])
    tally = Tally(tile)
    train(tile, 60, n_batch=3)
    counts = operation_counts(tile).total
    assert counts.update_cycles == 180
    assert counts.nominal_pulses == 180 * GRADIENT_BL
    assert counts.transfer_reads == tally.reads > 0
    assert counts.slow_pulses == tally.slow_pulses > 0
    assert counts.programming_events == tally.events
    assert counts.programmed_cells == tally.cells
    assert (tally.events > 0) == (CASES[case]["reference"] is ReferenceType.DYNAMIC)
    assert counts.calibration_pulses == counts.forward_mvms == counts.backward_mvms == 0


def test_slow_pulses_are_the_distance() -> None:
    """On a device with constant steps every pulse is one granularity of way."""
    slow = quiet_device(dw_min=1e-4, up_down=0.0, w_max=100.0, w_min=-100.0)
    settings = {**METHODS["E-RIDER"], "unit_cell_devices": [quiet_device(), slow]}
    tile = quiet_tile(**settings)
    way, before = 0.0, tile.slow_weights
    for _ in range(60):
        train(tile, 1)
        after = tile.slow_weights
        way += (after - before).abs().sum().item()
        before = after
    counts = operation_counts(tile).total
    assert counts.slow_pulses == pytest.approx(way / 1e-4, rel=0.01)


def test_multiplications_of_a_network() -> None:
    """A convolution multiplies once per patch; the first layer has no backward product."""
    config = quiet_config(**METHODS["E-RIDER"])
    model = AnalogSequential(
        AnalogConv2d(1, 3, 2, use_indexed=True, rpu_config=config),
        AnalogConv2d(3, 2, 2, use_indexed=True, rpu_config=config),
        nn.Flatten(),
        AnalogLinear(8, 4, rpu_config=config),
    )
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        model(torch.rand(3, 1, 4, 4)).square().sum().backward()
        optimizer.step()
    with torch.no_grad():
        model(torch.rand(7, 1, 4, 4))
    counts = operation_counts(model)
    first, second, last = counts.tiles.values()
    assert [first.forward_mvms, first.backward_mvms] == [22 * 9, 0]
    assert [second.forward_mvms, second.backward_mvms] == [22 * 4, 15 * 4]
    assert [last.forward_mvms, last.backward_mvms] == [22, 15]
    assert [c.update_cycles for c in counts.tiles.values()] == [135, 60, 15]
    assert counts.total.forward_mvms == 22 * 14
    assert list(counts.tiles) == [name for name, _ in model.named_analog_tiles()]
    assert "forward_mvms" in counts.table()
    assert counts.to_dict()["total"]["update_cycles"] == 210


def test_counts_are_saved_and_kept() -> None:
    """They go on after a load; setting weights does not reset them; calibration is counted."""
    settings = METHODS["two-stage"]
    layers = [AnalogLinear(6, 4, rpu_config=quiet_config(**settings)) for _ in range(2)]
    calibrate(layers[0], 250)
    tile = next(iter(layers[0].analog_tiles()))
    train(tile, 20)
    tile.tile.set_weights(torch.zeros(4, 6))
    counts = operation_counts(layers[0]).total
    assert counts.calibration_pulses == 250
    assert counts.nominal_pulses == 250 + 60 * GRADIENT_BL
    layers[1].load_state_dict(layers[0].state_dict())
    assert operation_counts(layers[1]).total == counts


@pytest.mark.parametrize("in_chop_prob", [0.3, 0.1])
@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize("n_updates", [37, 60, 111])
def test_aihwkits_agad_has_the_same_counts(
    in_chop_prob: float, columns: bool, n_updates: int
) -> None:
    """The same settings and data: what can be known of the C++ compound equals our count."""
    case = {
        "in_chop_prob": in_chop_prob,
        "transfer_columns": columns,
        "units_in_mbatch": True,
        "transfer_every": 1.0,
    }
    for reference in (ReferenceType.DYNAMIC, ReferenceType.ZERO):
        theirs, ours = deterministic_pair(reference, case)
        for tile in (theirs, ours):
            train(tile, n_updates)
        expected, found = (operation_counts(tile).total for tile in (ours, theirs))
        assert found.transfer_reads == n_updates
        for name in (
            "update_cycles",
            "nominal_pulses",
            "transfer_reads",
            "programming_events",
            "programmed_cells",
        ):
            assert getattr(found, name) == getattr(expected, name), name
        assert found.slow_pulses is None
        assert (found + expected).slow_pulses is None


def test_expected_coincidences() -> None:
    """The estimate is the mean number of pulses: constant steps count them.

    3,000 trains of 16 cells, each pulse a Bernoulli event: about 48,000 expected pulses with a
    standard deviation below 220; the tolerance of 2 % is more than four of these.
    """
    fast = quiet_device(dw_min=1e-4, up_down=0.0, w_max=100.0, w_min=-100.0)
    config = quiet_config(**{**METHODS["TT-v2"], "unit_cell_devices": [fast, fast]})
    config.device.fast_lr, config.device.transfer_every = 1e-3, 0.0
    config.update = UpdateParameters(desired_bl=31, update_bl_management=False)
    tile = TrackingTile(4, 4, config)
    tile.set_learning_rate(0.1)
    estimate_coincidences(tile)
    x, d = torch.rand(3000, 4), -torch.rand(3000, 4)
    tile.update(x, d)
    counts = operation_counts(tile).total
    assert counts.expected_coincidences == pytest.approx(
        (x.sum(1) * -d.sum(1)).sum().item() * 10.0, rel=1e-5
    )
    assert counts.expected_coincidences == pytest.approx(
        tile.fast_weights.sum().item() / 1e-4, rel=0.02
    )
    estimate_coincidences(tile, False)
    assert operation_counts(tile).total.expected_coincidences is None


def test_refused_models() -> None:
    """The message names what to pass."""
    with pytest.raises(TileError, match="convert_to_analog"):
        operation_counts(nn.Linear(3, 2))
    layer = AnalogLinear(3, 2, rpu_config=FloatingPointRPUConfig())
    with pytest.raises(TileError, match="TrackingTile"):
        estimate_coincidences(layer)
