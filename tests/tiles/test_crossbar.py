"""The crossbar: shared memory, signs of pulses and reads, exact state."""

from __future__ import annotations

import pytest
import torch
from aihwkit.simulator.configs.devices import IdealDevice, SoftBoundsDevice

from aihwkit_dspt import n_states
from aihwkit_dspt.tiles.array_state import set_state, state_of
from aihwkit_dspt.tiles.crossbar import Crossbar
from tests import device_table
from tests.helpers import deterministic, difference, perfect, quiet_device
from tests.table import DEVICES


def array(device: object) -> Crossbar:
    """Return a 4 x 3 array with perfect reads and one-pulse updates."""
    return Crossbar(4, 3, device, perfect(), perfect(), deterministic(1))


def test_memory_is_shared() -> None:
    """Writing the tensor changes what the simulator computes with, and the other way round."""
    crossbar = array(quiet_device())
    pointer = crossbar.weights.data_ptr()
    weights = torch.empty(3, 4).uniform_(-0.3, 0.3)
    crossbar.weights.copy_(weights)
    assert torch.allclose(crossbar.read_columns(torch.eye(4)), weights.t(), atol=1e-7)
    assert torch.allclose(crossbar.read_rows(torch.eye(3)), weights, atol=1e-7)
    assert torch.equal(crossbar.tile.get_weights(), weights)
    crossbar.program(-weights)
    assert torch.equal(crossbar.weights, -weights)
    crossbar.pulse(torch.ones(1, 4), torch.ones(1, 3), 0.01)
    assert torch.equal(crossbar.weights, crossbar.tile.get_weights())
    assert crossbar.weights.data_ptr() == pointer
    assert not crossbar.is_cuda


def test_pulse_decreases_for_equal_signs() -> None:
    """``W <- W - lr d x^T`` for a device with a symmetric point at zero and weights there."""
    crossbar = array(quiet_device(up_down=0.0))
    crossbar.program(torch.zeros(3, 4))
    x, d = torch.tensor([[1.0, 0.0, -1.0, 1.0]]), torch.tensor([[1.0, -1.0, 0.0]])
    copies = x.clone(), d.clone()
    crossbar.pulse(x, d, 0.01)
    assert torch.allclose(crossbar.weights, -0.01 * d.t() @ x, atol=1e-8)
    crossbar.pulse(x, d, 0.0)
    assert torch.allclose(crossbar.weights, -0.01 * d.t() @ x, atol=1e-8)
    assert torch.equal(x, copies[0])
    assert torch.equal(d, copies[1])


def test_programming_clips_to_the_bounds() -> None:
    """Cells cannot hold more than their bounds."""
    crossbar = array(quiet_device())
    crossbar.program(torch.tensor([[9.0, -9.0, 0.1, 0.0]]).expand(3, 4))
    expected = torch.tensor([[0.6, -0.6, 0.1, 0.0]]).expand(3, 4)
    assert torch.allclose(crossbar.weights, expected)


@pytest.mark.parametrize("name", DEVICES)
def test_granularity_and_states(name: str) -> None:
    """Weight step and number of states are finite and positive for every preset device."""
    crossbar = array(DEVICES[name]())
    assert 0.0 < crossbar.granularity < 1.0
    assert 1.0 < crossbar.n_states < 1e6
    assert crossbar.updates_cells_independently == (name != "PCM")


@pytest.mark.parametrize("name", device_table.QUIET_AND_CELLS)
def test_states_are_those_of_the_configuration(name: str) -> None:
    """The simulator counts them as ``n_states`` does, also for unit cells."""
    device = device_table.QUIET_AND_CELLS[name]()
    assert array(device).n_states == pytest.approx(n_states(device), rel=1e-6)


@pytest.mark.parametrize("name", device_table.QUIET_AND_CELLS)
def test_pulse_granularity_stays(name: str) -> None:
    """Pulse trains keep their granularity whatever is set, loaded or copied; the device its own."""
    device = device_table.QUIET_AND_CELLS[name]()
    first, second, third = array(device), array(device), array(device)
    for crossbar in (first, second):
        crossbar.set_pulse_granularity(0.5)
    parameters = first.hidden_parameters()
    parameters[[name.startswith("dwmin") for name in first.hidden_parameter_names()]] *= 1.25
    first.set_hidden_parameters(parameters)
    set_state(second, state_of(first))
    third.copy_from(first)
    for crossbar in (first, second, third):
        assert crossbar.granularity == first.granularity != 0.5
        assert crossbar.pulse_granularity == 0.5
        assert crossbar.tile.dump_extra()["rpu.rpu_device.weight_granularity"] == [0.5]
        assert state_of(crossbar)["extra"]["rpu.rpu_device.weight_granularity"] == [
            first.granularity
        ]


def test_granularity_is_dw_min() -> None:
    """For a plain device: the step, and the range over the step."""
    crossbar = array(quiet_device(dw_min=0.02))
    assert crossbar.granularity == pytest.approx(0.02)
    assert crossbar.n_states == pytest.approx(60.0)


@pytest.mark.parametrize("on_set", [True, False])
@pytest.mark.parametrize("write_noise_std", [0.0, 2.0])
def test_state_round_trip(write_noise_std: float, on_set: bool) -> None:
    """Visible weight, persistent weight and device parameters return exactly, also into another
    array with other devices; the pulses that follow move the persistent weight alike.
    """
    device = SoftBoundsDevice(
        dw_min=0.02,
        write_noise_std=write_noise_std,
        dw_min_std=0.0,
        apply_write_noise_on_set=on_set,
    )
    first, second = array(device), array(device)
    assert not torch.equal(first.hidden_parameters(), second.hidden_parameters())
    first.program(torch.empty(3, 4).uniform_(-0.2, 0.2))
    for _ in range(7):
        first.pulse(torch.randn(2, 4).sign(), torch.randn(2, 3).sign(), 0.02)
    if write_noise_std:
        index = first.hidden_parameter_names().index("persistent_weights")
        assert not torch.equal(first.hidden_parameters()[index], first.weights)
    state = state_of(first)
    set_state(second, state)
    assert difference(state, state_of(second)) is None
    # Loading again, into an array with the same parameters, changes nothing either.
    set_state(second, state)
    assert difference(state, state_of(second)) is None
    assert torch.equal(second.weights, first.weights)
    for crossbar in (first, second):
        crossbar.pulse(torch.ones(1, 4), torch.ones(1, 3), 0.02)
    if write_noise_std:
        hidden = [crossbar.hidden_parameters()[index] for crossbar in (first, second)]
        assert torch.equal(*hidden)
    else:
        assert torch.equal(first.weights, second.weights)


def test_device_without_parameters() -> None:
    """An ideal device has none; its state still works."""
    crossbar = array(IdealDevice())
    crossbar.program(torch.full((3, 4), 5.0))
    other = array(IdealDevice())
    set_state(other, state_of(crossbar))
    assert torch.equal(other.weights, torch.full((3, 4), 5.0))


def test_config_is_copied() -> None:
    """Changing the caller's device afterwards does nothing."""
    device = quiet_device()
    crossbar = array(device)
    device.dw_min = 0.3
    assert crossbar.granularity == pytest.approx(0.01)
