"""What is saved can be loaded; what cannot be loaded is refused while the old file is there."""

from __future__ import annotations

import errno
import io
from collections import Counter, OrderedDict, defaultdict, deque
from copy import deepcopy
from fractions import Fraction
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import pytest
import torch
from aihwkit.exceptions import ArgumentError
from aihwkit.nn import AnalogLinear
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.devices import PiecewiseStepDevice, SoftBoundsDevice
from aihwkit.simulator.parameters.io import IOParameters
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, MultiStepLR, ReduceLROnPlateau, StepLR

from aihwkit_dspt import TrackingTransferCompound, build_config, load_checkpoint, save_checkpoint
from aihwkit_dspt.loadable import write_loadable
from aihwkit_dspt.plain import plain
from tests.helpers import quiet_config
from tests.table import METHODS

NUMBERS: Dict[str, Callable[[float], Any]] = {
    "float64": np.float64,
    "float32": np.float32,
    "0-d array": np.asarray,
    "linspace": lambda value: np.linspace(value, value, 1)[0],
    "tensor": torch.tensor,
    "fraction": Fraction,
}
"""A number as scripts get it from somewhere."""


class Own:
    """A class that no checkpoint can hold."""

    def __init__(self) -> None:
        self.inner = {"rate": 0.5}


def numpy_in(value: Any) -> Any:
    """Return the types that are not plain and are anywhere in a configuration."""
    if isinstance(value, (np.generic, np.ndarray, torch.Tensor, Fraction)):
        return [type(value)]
    items = vars(value).values() if hasattr(value, "__dict__") else ()
    if isinstance(value, (list, tuple)):
        items = value
    return [found for item in items if not isinstance(item, type) for found in numpy_in(item)]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_become_plain(number: str, tmp_path: Path) -> None:
    """At construction, by assignment, and in aihwkit's objects when the tile is made."""
    as_number = NUMBERS[number]
    device = SoftBoundsDevice(dw_min=as_number(0.01), up_down=as_number(0.1))
    config = build_config(
        "e-rider", device, IOParameters(inp_res=as_number(1 / 126)), gamma=as_number(0.25)
    )
    config.device.fast_lr = as_number(0.5)
    config.device.units_in_mbatch = np.bool_(True)
    config.device.n_reads_per_transfer = np.int64(1)
    assert numpy_in(config) == []
    assert (config.device.gamma, config.device.fast_lr) == (0.25, 0.5)
    # These are aihwkit's: nobody hears of an assignment.
    config.forward.out_noise = as_number(0.125)
    config.mapping.weight_scaling_omega = as_number(0.5)
    config.device.unit_cell_devices[0].w_max_dtod = as_number(0.25)
    layer = AnalogLinear(3, 2, rpu_config=config)
    tile = next(layer.analog_tiles())
    assert numpy_in(tile.rpu_config) == []
    assert tile.rpu_config.forward.out_noise == 0.125
    save_checkpoint(tmp_path / "c.pt", layer)
    load_checkpoint(tmp_path / "c.pt", layer)


@pytest.mark.parametrize("algorithm", ["e-rider", "agad", "ttv2", "sgd"])
def test_arrays_in_devices(algorithm: str, tmp_path: Path) -> None:
    """The nodes of a device are a list, also in aihwkit's own methods."""
    device = PiecewiseStepDevice(
        piecewise_up=np.linspace(1.0, 0.5, 3), piecewise_down=np.linspace(0.5, 1.0, 3)
    )
    layer = AnalogLinear(3, 2, rpu_config=build_config(algorithm, device))
    assert numpy_in(next(iter(layer.analog_tiles())).rpu_config) == []
    save_checkpoint(tmp_path / "c.pt", layer)
    load_checkpoint(tmp_path / "c.pt", layer)


def test_nothing_changes_needlessly() -> None:
    """Lists stay the same objects, so that those who hold them still do."""
    devices = [SoftBoundsDevice(), SoftBoundsDevice()]
    compound = TrackingTransferCompound(unit_cell_devices=devices, in_chop_prob=0.1)
    assert compound.unit_cell_devices is devices
    assert plain((1, [2.0], {"a": None})) == (1, [2.0], {"a": None})


SCHEDULERS: Dict[str, Callable[[Any], Any]] = {
    "step": lambda o: StepLR(o, np.int64(2), np.float64(0.5)),
    "milestones": lambda o: MultiStepLR(o, list(np.array([1, 3]))),
    "lambda": lambda o: LambdaLR(o, lambda epoch: np.float64(0.5) ** epoch),
    "plateau": lambda o: ReduceLROnPlateau(o, factor=np.float32(0.5)),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_numbers_of_optimizers_and_schedulers(name: str, tmp_path: Path) -> None:
    """Learning rates and what schedulers count."""
    model = nn.Sequential(AnalogLinear(3, 2, rpu_config=quiet_config(**METHODS["E-RIDER"])))
    optimizer = AnalogSGD(model.parameters(), lr=np.float64(0.5), momentum=np.float32(0.0))
    parts = model, optimizer, SCHEDULERS[name](optimizer)
    model(torch.rand(4, 3)).sum().backward()
    optimizer.step()
    parts[2].step(*([np.float64(0.25)] if name == "plateau" else []))
    expected = optimizer.param_groups[0]["lr"], deepcopy(parts[2].state_dict())
    save_checkpoint(tmp_path / "c.pt", *parts)
    load_checkpoint(tmp_path / "c.pt", *parts)
    assert (optimizer.param_groups[0]["lr"], parts[2].state_dict()) == expected
    assert type(optimizer.param_groups[0]["lr"]) is float


def test_extra_values(tmp_path: Path) -> None:
    """Numbers come back as plain ones, arrays as arrays, anywhere."""
    model = nn.Linear(2, 2)
    extra = {
        "loss": np.float32(0.25),
        "history": [np.float64(0.5), (np.int64(3), {np.int64(4): np.bool_(True)})],
        "curves": {"a": np.arange(6, dtype=np.int16).reshape(2, 3)[:, ::-1]},
        "counts": Counter({np.int64(1): np.int64(2)}),
        "ordered": OrderedDict(a=np.asarray(1.5)),
        "tensor": torch.tensor(0.5),
        "names": {np.str_("a")},
        "big": np.arange(3, dtype=">f4"),
    }
    save_checkpoint(tmp_path / "c.pt", model, **extra)
    found = load_checkpoint(tmp_path / "c.pt", model)
    assert found["loss"] == 0.25
    assert found["history"] == [0.5, (3, {4: True})]
    array = found["curves"].pop("a")
    assert array.dtype == np.int16
    assert np.array_equal(array, extra["curves"]["a"])
    assert found["counts"] == Counter({1: 2})
    assert type(found["counts"]) is Counter
    assert found["ordered"] == OrderedDict(a=1.5)
    assert torch.equal(found.pop("tensor"), torch.tensor(0.5))
    assert found["names"] == {"a"}
    assert np.array_equal(found["big"], extra["big"])
    assert not any("numpy" in type(v).__module__ for v in (found["loss"], *found["history"]))


REFUSED: Dict[str, Any] = {
    "extra.a[2]": [1, 2, Own()],
    "extra.a.b['c d']": {"b": {"c d": defaultdict(int)}},
    "extra.a": lambda: None,
    "extra.a[0][1]": ((1, deque()),),
    "extra.a[key range(0, 3)]": {range(3): 1},
    "extra.a.names": {"names": np.array(["a"])},
    "extra.a.x": {"x": np.zeros(2, dtype=[("x", "<f4")])},
    "extra.a.q": {"q": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)},
}
"""Where a value is, and what it is in."""


@pytest.mark.parametrize("path", REFUSED)
def test_refused_by_name_before_the_old_file_is_touched(path: str, tmp_path: Path) -> None:
    """The path of the value is named, and the former checkpoint is still there."""
    model = nn.Linear(2, 2)
    save_checkpoint(tmp_path / "c.pt", model, epoch=1)
    with pytest.raises(ArgumentError) as error:
        save_checkpoint(tmp_path / "c.pt", model, a=REFUSED[path])
    assert str(error.value).startswith(f"{path}=")
    assert load_checkpoint(tmp_path / "c.pt", model) == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["c.pt"]


def endless() -> Any:
    """Return a list that holds itself."""
    values: Any = [1]
    values.append({"b": values})
    return values


def deep() -> Any:
    """Return lists in lists."""
    values: Any = []
    for _ in range(5000):
        values = [values]
    return values


@pytest.mark.parametrize("make", [endless, deep])
def test_too_deep(make: Callable[[], Any], tmp_path: Path) -> None:
    """Named by the first levels of its path."""
    model = nn.Linear(2, 2)
    with pytest.raises(ArgumentError, match=r"^extra\.a\[.* holds itself, or is nested too"):
        save_checkpoint(tmp_path / "c.pt", model, good=[1, {"b": 2}], a=make())
    assert list(tmp_path.iterdir()) == []


def test_parts_that_are_none(tmp_path: Path) -> None:
    """States in place of what has them, and parts in each other's place, are refused by name."""
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for call in (save_checkpoint, load_checkpoint):
        for parts, name in (
            ((optimizer, model), "model"),
            ((model.state_dict(),), "model"),
            ((model, optimizer.state_dict()), "optimizer"),
            ((model, model), "optimizer"),
            ((model, optimizer, 0.1), "scheduler"),
        ):
            with pytest.raises(ArgumentError, match=f"^{name}=.* is not valid: pass"):
                call(tmp_path / "c.pt", *parts)
    assert list(tmp_path.iterdir()) == []


def test_refused_inside_a_scheduler_and_a_configuration(tmp_path: Path) -> None:
    """A callable object of a scheduler, and a device class of one's own."""

    class OwnDevice(SoftBoundsDevice):
        pass

    config = quiet_config(**METHODS["E-RIDER"])
    config.device.unit_cell_devices = [OwnDevice(), SoftBoundsDevice()]
    layer = AnalogLinear(3, 2, rpu_config=config)
    with pytest.raises(
        ArgumentError, match=r"rpu_config.*device\.unit_cell_devices\[0\]=.*OwnDevice"
    ):
        save_checkpoint(tmp_path / "c.pt", layer)
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    class Rule:
        def __init__(self) -> None:
            self.memory = Own()

        def __call__(self, epoch: int) -> float:
            return 1.0

    scheduler = LambdaLR(optimizer, Rule())
    with pytest.raises(ArgumentError, match=r"^scheduler\.lr_lambdas\[0\]\.memory="):
        save_checkpoint(tmp_path / "c.pt", model, optimizer, scheduler)
    assert list(tmp_path.iterdir()) == []


class Full(io.BytesIO):
    """A file on a disk that has no place left at some time."""

    left = 2000

    def write(self, data: Any) -> int:
        """Write what there is place for."""
        self.left -= len(data)
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


def test_a_full_disk_is_said() -> None:
    """torch speaks of an unexpected position in its place."""
    model = AnalogLinear(20, 30, rpu_config=quiet_config(**METHODS["E-RIDER"]))
    with pytest.raises(OSError, match="No space left"):
        write_loadable({"model": model.state_dict()}, Full())
