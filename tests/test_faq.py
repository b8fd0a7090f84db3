"""The error messages on the page of frequent questions are those that a user gets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, List

import pytest
import torch
from aihwkit.exceptions import AihwkitException
from aihwkit.nn import AnalogConv2d, AnalogLinear
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.configs.devices import ConstantStepDevice, SoftBoundsDevice
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.rpu_base import cuda
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from aihwkit_dspt import (
    TrackingRPUConfig,
    TrackingTransferCompound,
    analog_data_parallel,
    analog_grad_norms,
    analog_optimizer,
    at_slow_weights,
    build_config,
    calibrate,
    load_checkpoint,
    pulse_budget,
    record_reads,
    save_checkpoint,
    training_plan,
    with_symmetric_point,
)

PAGE = (Path(__file__).parents[1] / "docs" / "faq.md").read_text()
QUOTES = re.findall(r"^> (.*)$", PAGE, re.MULTILINE)

DEVICE = SoftBoundsDevice(dw_min=0.01)


def network(algorithm: str = "e-rider", **settings: Any) -> Any:
    """Return a converted network."""
    return convert_to_analog(
        nn.Sequential(nn.Linear(4, 3)), build_config(algorithm, DEVICE, **settings)
    )


def step(model: nn.Module) -> None:
    """Train for one step."""
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()


def misspelled() -> None:
    build_config("e-rider", DEVICE, gama=0.1)


def unknown_algorithm() -> None:
    build_config("erider", DEVICE)


def out_of_range() -> None:
    build_config("e-rider", DEVICE, in_chop_prob=2.0)


def no_chopper() -> None:
    build_config("e-rider", DEVICE, in_chop_prob=0.0)


def two_counts() -> None:
    TrackingTransferCompound(unit_cell_devices=[DEVICE, DEVICE], sweep_every=64.0, transfer_every=2)


def set_when_built() -> None:
    next(network().analog_tiles()).rpu_config.device.gamma = 0.5


def with_aihwkits_tile() -> None:
    compound = TrackingTransferCompound(unit_cell_devices=[DEVICE, DEVICE])
    AnalogLinear(4, 3, rpu_config=SingleRPUConfig(device=compound))


def converted_by_aihwkit(*layers: nn.Module) -> Any:
    """Return layers that ``convert`` knows and aihwkit's conversion does not."""
    return convert_to_analog(nn.Sequential(*layers), build_config("e-rider", DEVICE))


def groups() -> None:
    converted_by_aihwkit(nn.Conv2d(4, 4, 3, groups=2))


def padding_mode() -> None:
    converted_by_aihwkit(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"))


def padding_by_name() -> None:
    converted_by_aihwkit(nn.Conv2d(4, 4, 3, padding="same"))


def many_inputs() -> None:
    converted_by_aihwkit(nn.Conv1d(192, 4, 3))


def left_digital() -> None:
    converted_by_aihwkit(nn.TransformerEncoderLayer(4, 2, 4, batch_first=True))


def dropped() -> None:
    activation = nn.ReLU()
    converted_by_aihwkit(nn.Linear(4, 4), activation, nn.Linear(4, 4), activation)


def tied() -> None:
    table, head = nn.Embedding(4, 3), nn.Linear(3, 4)
    head.weight = table.weight
    converted_by_aihwkit(table, head)


def not_converted() -> None:
    training_plan(nn.Linear(4, 3), vectors_per_step=8, steps=100)


def no_calibration() -> None:
    calibrate(network("residual"), n_pulses=10)


def no_reference_device() -> None:
    with_symmetric_point(DEVICE, mean=0.4)


def no_symmetric_point() -> None:
    pulse_budget(ConstantStepDevice(), error=0.1)


def below_the_floor() -> None:
    pulse_budget(SoftBoundsDevice(dw_min=0.1), error=1e-6)


def no_pulses() -> None:
    network(update=UpdateParameters(pulse_type=PulseType.NONE))


def half() -> None:
    network().half()


def data_parallel() -> None:
    next(network().analog_tiles())._replicate_for_data_parallel()


def distributed() -> None:
    model, active = network(), DistributedDataParallel._active_ddp_module
    DistributedDataParallel._active_ddp_module = model  # type: ignore[assignment]
    try:
        model(torch.ones(2, 4))
    finally:
        DistributedDataParallel._active_ddp_module = active


def in_torchs_wrapper() -> None:
    wrapper = DistributedDataParallel.__new__(DistributedDataParallel)
    nn.Module.__init__(wrapper)  # its own would ask for a group of processes first
    wrapper.module = network()


def no_group() -> None:
    analog_data_parallel(network())


def on_cuda() -> None:
    next(network().analog_tiles()).cuda()


def trained_at_slow_weights() -> None:
    model = network()
    with at_slow_weights(model):
        step(model)


def other_method() -> None:
    network("rider").load_state_dict(network().state_dict())


def other_settings() -> None:
    state = network().state_dict()
    model = network(in_chop_prob=0.2)
    for tile in model.analog_tiles():
        tile.set_load_rpu_config_state(False)
    model.load_state_dict(state)


def other_type() -> None:
    network()(torch.ones(2, 4, dtype=torch.float64))


def not_loadable() -> None:
    save_checkpoint("run.pt", network(), history=[object()])


def damaged() -> None:
    save_checkpoint("run.pt", network())
    path = Path("run.pt")
    path.write_bytes(path.read_bytes()[:-100])
    load_checkpoint(path, network())


def without_optimizer() -> None:
    save_checkpoint("run.pt", network())
    model = network()
    load_checkpoint("run.pt", model, AnalogSGD(model.parameters(), lr=0.1))


def nothing_read() -> None:
    with record_reads(next(network().analog_tiles())) as reads:
        pass
    _ = reads.fast


def another_tile_class() -> None:
    TrackingRPUConfig(tile_class=nn.Linear)


def nothing_learned() -> None:
    model = network()
    training_plan(model, vectors_per_step=2, steps=1)
    step(model)


def settings_replaced() -> None:
    network(fast_lr=2.0).load_state_dict(network(fast_lr=4.0).state_dict())


def plain_optimizer() -> None:
    model = network()
    model(torch.ones(2, 4)).sum().backward()
    torch.optim.AdamW(model.parameters()).step()


def no_arrays() -> None:
    analog_optimizer(nn.Linear(4, 3))


def fused_and_scaled() -> None:
    model, scaler = network(), torch.amp.GradScaler("cpu")
    optimizer = analog_optimizer(model, fused=True)
    scaler.scale(model(torch.ones(2, 4)).sum()).backward()
    scaler.step(optimizer)


def unknown_index() -> None:
    layer = AnalogConv2d(1, 1, 1, rpu_config=SingleRPUConfig(), use_indexed=True)
    model = nn.Sequential(layer)
    model(torch.ones(1, 1, 2, 2)).sum().backward()
    analog_grad_norms(model)


def exported() -> None:
    torch.export.export(network(), (torch.ones(2, 4),))


def averaged_model() -> None:
    AveragedModel(network())


def no_tensor() -> None:
    _ = network().state_dict()["0.analog_module.analog_tile_state"].device


def other_bytes() -> None:
    state = network().state_dict()
    state["0.analog_module.analog_tile_state"] = torch.zeros(3)
    network().load_state_dict(state)


def forgotten() -> None:
    model = network()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    for _ in range(30):
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()


def unused() -> None:
    model = network()
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    for _ in range(30):
        optimizer.step()


FAULTS: List[Callable[[], None]] = [
    misspelled,
    unknown_algorithm,
    out_of_range,
    no_chopper,
    two_counts,
    set_when_built,
    with_aihwkits_tile,
    groups,
    padding_mode,
    padding_by_name,
    many_inputs,
    left_digital,
    dropped,
    tied,
    not_converted,
    no_calibration,
    no_reference_device,
    no_symmetric_point,
    below_the_floor,
    no_pulses,
    half,
    data_parallel,
    distributed,
    in_torchs_wrapper,
    no_group,
    trained_at_slow_weights,
    other_method,
    other_settings,
    other_type,
    not_loadable,
    damaged,
    without_optimizer,
    nothing_read,
    another_tile_class,
    nothing_learned,
    settings_replaced,
    plain_optimizer,
    forgotten,
    unused,
    no_arrays,
    fused_and_scaled,
    unknown_index,
    exported,
    averaged_model,
    no_tensor,
    other_bytes,
]
if not cuda.is_compiled():
    FAULTS.append(on_cuda)

ERRORS = (AihwkitException, AttributeError, TypeError, UserWarning, ValueError)
"""Those of aihwkit and of this package, of torch's layers, and warnings."""


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.__name__ for fault in FAULTS])
@pytest.mark.filterwarnings("error::UserWarning")
def test_the_page_has_the_message(
    fault: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Word by word; three dots on the page stand for what differs from case to case."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ERRORS) as caught:
        fault()
    message = str(caught.value)
    assert [quote for quote in QUOTES if matches(quote, message)], message


def test_every_quote_is_of_a_fault_above() -> None:
    """So no message on the page is older than the code."""
    assert len(QUOTES) == len(FAULTS) + (on_cuda not in FAULTS)


def matches(quote: str, message: str) -> bool:
    """Return whether a quote of the page is this message."""
    parts = (re.escape(part) for part in quote.split("…"))
    return re.fullmatch(".*".join(parts), message, re.DOTALL) is not None
