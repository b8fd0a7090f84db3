"""Stages of somebody's own: what becomes of them on real layers, and what is refused."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Tuple, Type

import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError, TileError
from aihwkit.simulator.configs.compounds import VectorUnitCell
from aihwkit.simulator.configs.devices import LinearStepDevice, SoftBoundsDevice
from aihwkit.simulator.parameters.io import IOParameters
from torch import Tensor, nn

from aihwkit_dspt import (
    Chopper,
    Listener,
    LowPassFilter,
    PulseMode,
    ReadMode,
    SymmetricPointEstimator,
    SymmetricPointMonitor,
    TrackingRPUConfig,
    TransferBuffer,
    build_config,
    convert,
    load_checkpoint,
    response,
    save_checkpoint,
)
from aihwkit_dspt.devices import Response
from aihwkit_dspt.tiles.of_model import tracking_tiles
from tests.helpers import (
    difference,
    mixed_weight,
    quiet_config,
    quiet_tile,
    snapshot,
    train,
    used_weights,
)
from tests.layers.networks import sgd
from tests.table import METHODS


class Counting(LowPassFilter):
    """A subclass of a subclass, with tensors of its own of several types."""

    def __init__(self, in_size: int, out_size: int, eta: float, data_type: torch.dtype) -> None:
        super().__init__(in_size, out_size, eta, data_type)
        self.register_buffer("phases", torch.zeros(in_size, dtype=torch.complex64))
        self.register_buffer("of_cells", torch.zeros(out_size, dtype=torch.int16))
        self.register_buffer("n_calls", torch.zeros((), dtype=torch.long))

    def update(self, lines: slice, read: Tensor) -> None:
        super().update(lines, read)
        self.phases[lines] += 1j
        self.of_cells += 1
        self.n_calls += lines.stop - lines.start


class Rounded(TransferBuffer):
    """Half a pulse is enough."""

    def release(self, hidden: Tensor) -> Tuple[Tensor, Tensor]:
        steps = hidden.round().clamp(-self.max_steps, self.max_steps)
        return steps, hidden - steps


class Both(Chopper):
    """All lines flip in each fourth sweep, the first cell along them in each."""

    def due(self, lines: slice, sweep: int) -> List[int]:
        return list(range(lines.start, lines.stop)) if sweep % 4 == 3 else []

    def outputs_due(self) -> List[int]:
        return [0]


class Image(nn.Module):
    """A convolution and a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 2)
        self.rnn = nn.LSTM(9, 3)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.rnn(self.conv(x).flatten(2))[0]
        return output


def trained(model: nn.Module, n_steps: int) -> nn.Module:
    """Return the model after some steps."""
    optimizer = sgd(model)
    for _ in range(n_steps):
        optimizer.zero_grad()
        model(torch.rand(2, 1, 4, 4)).square().sum().backward()
        optimizer.step()
    return model


@pytest.mark.parametrize(
    ("mode", "n_arrays"), [(ReadMode.AUTO, 4), (ReadMode.TORCH, 3), (ReadMode.CPP, 2)]
)
def test_own_stages_live_in_layers(mode: ReadMode, n_arrays: int, tmp_path: Path) -> None:
    """All three at once, in chains: called for each read, saved, resumed, copied and shown."""
    chain = {"join_sweeps": 0.0} if n_arrays > 2 else {}
    config = build_config(
        *("e-rider", SoftBoundsDevice(dw_min=0.05)),
        n_arrays=n_arrays,
        **{"estimator": Counting, "buffer": Rounded, "chopper": Both, "read_mode": mode},
        **{"transfer_every": 1.0, "units_in_mbatch": False, **chain},
    )
    model = trained(convert(Image(), config), 6)
    saved, resumed = tmp_path / "own.pt", convert(Image(), config)
    save_checkpoint(saved, model)
    load_checkpoint(saved, resumed)
    others = [tracking_tiles(other) for other in (deepcopy(model), resumed)]
    tiles = tracking_tiles(model)
    assert len(tiles) == 3
    for name, tile in tiles.items():
        links = tile.tile.pipeline.links
        assert len(links) == n_arrays - 1
        for link in links:
            assert link.estimator.n_calls == link.schedule.n_reads
        assert tile.tile.pipeline.link.estimator.n_calls > 0
        assert (tile.chopper == -1.0).any()
        expected = mixed_weight(tile).float()
        assert torch.allclose(tile.tile.get_weights(), expected, atol=1e-6)
        for other in others:
            assert difference(other[name].tile.dump_extra(), tile.tile.dump_extra()) is None
    assert len(SymmetricPointMonitor(model).record()) == 3 * (n_arrays - 1)


def test_flips_of_ones_own_need_no_probability() -> None:
    """With probabilities of zero, gradients and the mixed weight have the signs, too."""
    tiles = []
    for settings in ({"chopper": Both, "in_chop_prob": 0.0}, {"in_chop_prob": 0.25}):
        torch.manual_seed(5)
        tile = quiet_tile(**{**METHODS["c-TTv2"], **settings}, gamma=0.1, transfer_every=1.0)
        if settings["in_chop_prob"]:
            # The same flips by hand: the built-in chopper draws those of cells at random.
            chopper = tile.tile.pipeline.link.chopper
            chopper.has_output, chopper.outputs_due = True, lambda: [0]
        train(tile, 60)
        tiles.append(tile)
    own, built_in = tiles
    for name in ("chopper", "fast_weights", "slow_weights", "transfer_buffer"):
        assert torch.equal(own.value(name), built_in.value(name)), name
    assert torch.allclose(used_weights(own)[0], mixed_weight(own).float(), atol=1e-6)


class Elsewhere(Chopper):
    """Flips a line that was not read."""

    def due(self, lines: slice, sweep: int) -> List[int]:
        return [(lines.start + 1) % 6]


class Twice(Both):
    """Names lines several times, as NumPy's numbers."""

    def due(self, lines: slice, sweep: int) -> List[int]:
        return list(torch.tensor(super().due(lines, sweep) * 2).numpy())


class Parts(TransferBuffer):
    """Releases parts of pulses."""

    def release(self, hidden: Tensor) -> Tuple[Tensor, Tensor]:
        return hidden * 0.5, hidden * 0.5


class Many(TransferBuffer):
    """Releases more pulses than fit into a transfer."""

    def release(self, hidden: Tensor) -> Tuple[Tensor, Tensor]:
        return hidden.sign() * (self.max_steps + 1), hidden


class OneLine(TransferBuffer):
    """Forgets a dimension."""

    def release(self, hidden: Tensor) -> Tuple[Tensor, Tensor]:
        return hidden.trunc()[0], hidden


class Kept(TransferBuffer):
    """Keeps a number of another shape."""

    def release(self, hidden: Tensor) -> Tuple[Tensor, Tensor]:
        return hidden.trunc(), hidden.mean()


class Mean(SymmetricPointEstimator):
    """Has one estimate for each line."""

    def update(self, lines: slice, read: Tensor) -> None:
        self.sp_estimate = self.sp_estimate.mean(1)


class Double(SymmetricPointEstimator):
    """Changes its precision."""

    def update(self, lines: slice, read: Tensor) -> None:
        self.sp_estimate = self.sp_estimate.double()


@pytest.mark.parametrize(
    ("stages", "says"),
    [
        ({"chopper": Elsewhere}, r"Elsewhere flips \[1\]: return numbers from 0 to 0"),
        ({"buffer": Parts}, r"Parts releases .* pulses: return whole numbers from -1 to 1"),
        ({"buffer": Many}, r"Many releases -?2 pulses: return whole numbers"),
        ({"buffer": OneLine}, r"OneLine releases pulses of shape \[4\]: return \[1, 4\]"),
        ({"buffer": Kept}, r"Kept leaves a buffer of shape \[\]: return \[1, 4\]"),
        ({"estimator": Mean}, r"Mean leaves an sp_estimate of torch.float32 and shape \[6\]"),
        ({"estimator": Double}, r"Double leaves an sp_estimate of torch.float64"),
    ],
    ids=lambda value: next(iter(value.values())).__name__ if isinstance(value, dict) else "",
)
def test_what_arrays_cannot_take_is_refused(stages: Dict[str, Any], says: str) -> None:
    """At the first transfer, with what to return."""
    tile = quiet_tile(**METHODS["E-RIDER"], **stages, transfer_every=1.0)
    with pytest.raises(TileError, match=says):
        train(tile, 2)


def test_a_line_that_is_named_twice_flips_once() -> None:
    """Whatever kind of numbers it is named by."""
    states = []
    for chopper in (Twice, Both):
        torch.manual_seed(6)
        tile = quiet_tile(**METHODS["E-RIDER"], chopper=chopper, transfer_every=1.0)
        train(tile, 40)
        states.append(snapshot(tile))
        del states[-1]["extra"]["settings"]
    assert (states[0]["chopper"] == -1.0).any()
    assert difference(*states) is None


class Signs(Chopper):
    """Has signs that the mixed weight does not know of."""

    def signs(self, lines: slice) -> Tensor:
        return -super().signs(lines)


class FewArguments(SymmetricPointEstimator):
    """Takes no data type."""

    def __init__(self, in_size: int, out_size: int, eta: float) -> None:
        super().__init__(in_size, out_size, eta, torch.float32)

    def update(self, lines: slice, read: Tensor) -> None:
        """Do nothing."""


class Empty(Counting):
    """Does not let its base make the tensors."""

    def __init__(self, *_: Any) -> None:
        nn.Module.__init__(self)


class Turned(Counting):
    """Exchanges the sizes."""

    def __init__(self, in_size: int, out_size: int, *others: Any) -> None:
        super().__init__(out_size, in_size, *others)


@pytest.mark.parametrize(
    ("field", "stage", "says"),
    [
        ("chopper", Signs, "override due and outputs_due"),
        ("estimator", FewArguments, "its __init__ gets 4 arguments"),
        ("estimator", Empty, "no attribute 'sp_estimate'"),
        ("estimator", Turned, r"shape \[4, 6\], not torch.float32 of \[6, 4\]"),
    ],
)
def test_classes_that_make_no_stage_are_refused(field: str, stage: Type[Any], says: str) -> None:
    """When the tile is built, by field and class."""
    with pytest.raises(ConfigError, match=rf"{field}=.*{stage.__name__}.*{says}"):
        quiet_tile(**METHODS["E-RIDER"], **{field: stage})


def test_a_listener_is_an_instance() -> None:
    """A class would end the first step with an error that says nothing."""
    tile = quiet_tile(**METHODS["E-RIDER"])
    with pytest.raises(ArgumentError, match=r"listener=.*pass an instance"), tile.listen(Listener):
        pass


class Raising(Counting):
    """Raises once, after it has changed everything."""

    raises = False

    def update(self, lines: slice, read: Tensor) -> None:
        super().update(lines, read)
        if Raising.raises:
            Raising.raises = False
            raise KeyboardInterrupt


def test_an_interrupted_update_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a square array, too, where cells along a line are as many as lines."""
    states = []
    for interrupts in (True, False):
        torch.manual_seed(7)
        tile = quiet_tile((4, 4), **METHODS["E-RIDER"], estimator=Raising, transfer_every=1.0)
        train(tile, 5, 1)
        monkeypatch.setattr(Raising, "raises", interrupts)
        x, d = torch.rand(1, 4), torch.rand(1, 4)
        try:
            tile.update(x, d)
        except KeyboardInterrupt:
            tile.tile.pipeline.settle()
        states.append(snapshot(tile))
        assert tile.tile.pipeline.link.estimator.of_cells.tolist() == [6] * 4
    assert difference(*states) is None


@dataclass
class LabDevice(LinearStepDevice):
    """A device whose response somebody has measured."""


@dataclass
class LabReads(IOParameters):
    """Reads of somebody's array."""


@dataclass
class LabConfig(TrackingRPUConfig):
    """A configuration with a field of its own."""

    batch_of_chips: int = 3


def test_classes_of_ones_own_are_saved(tmp_path: Path) -> None:
    """Devices, parameters and configurations are known as stages are, in cells of devices, too."""
    cell = VectorUnitCell(unit_cell_devices=[LabDevice(), LabDevice()])
    compound = quiet_config(
        **METHODS["E-RIDER"], estimator=Counting, unit_cell_devices=[cell, LabDevice()]
    ).device

    def build() -> nn.Module:
        return convert(nn.Linear(6, 4), LabConfig(device=compound, forward=LabReads()))

    model, resumed = build(), build()
    save_checkpoint(tmp_path / "own.pt", model)
    load_checkpoint(tmp_path / "own.pt", resumed)
    saved, loaded = (next(iter(tracking_tiles(each).values())) for each in (model, resumed))
    assert difference(loaded.tile.dump_extra(), saved.tile.dump_extra()) is None
    assert loaded.rpu_config.batch_of_chips == 3


@dataclass
class Postponed(LinearStepDevice):
    """Its annotation is a text, as that of any class in this file."""

    dw_min: float = 0.01


def test_annotations_that_aihwkit_cannot_read_are_refused() -> None:
    """aihwkit compares values with what is annotated, which has to be a class."""
    with pytest.raises(ConfigError, match=r"dw_min is annotated with the text 'float'.*remove"):
        quiet_config(**METHODS["E-RIDER"], unit_cell_devices=[Postponed(), Postponed()])


class LabResponse(Response):
    """Up pulses of one size, and down pulses that get larger with the weight."""

    def q_plus(self, weights: Tensor) -> Tensor:
        return torch.ones_like(weights)

    def q_minus(self, weights: Tensor) -> Tensor:
        return 1.0 + weights

    def dq_plus(self, weights: Tensor) -> Tensor:
        return torch.zeros_like(weights)

    def dq_minus(self, weights: Tensor) -> Tensor:
        return torch.ones_like(weights)

    def sigma_plus(self, weights: Tensor) -> Tensor:
        return torch.zeros_like(weights)

    sigma_minus = sigma_plus


@response.register
def _(device: LabDevice, hidden_parameters: Mapping[str, Tensor]) -> Response:
    bounds = [hidden_parameters[name].double() for name in ("min_bound", "max_bound")]
    return LabResponse(device.dw_min, *bounds)


def test_a_response_of_ones_own_leaves_pulses_to_aihwkit() -> None:
    """The compiled pulses know the responses of the package only."""
    device = LabDevice(dw_min=0.0005)
    tile = quiet_tile((16, 32), unit_cell_devices=[device, device], transfer_every=1.0)
    tile.update(torch.rand(64, 32), torch.rand(64, 16))
    assert "pulses=cpp" in repr(tile)
    with pytest.raises(ConfigError, match="LabDevice with a response of its own"):
        quiet_tile(unit_cell_devices=[device, device], pulse_mode=PulseMode.BATCHED)
    assert quiet_config(unit_cell_devices=[device, device]) is not None
