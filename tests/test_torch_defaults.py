"""torch's default data type and device are the script's, not the arrays'."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest
import torch
from aihwkit.exceptions import TileError
from aihwkit.nn import AnalogConv2d, AnalogLinear
from aihwkit.optim import AnalogSGD
from aihwkit.simulator.configs.compounds import VectorUnitCell
from aihwkit.simulator.configs.devices import SoftBoundsDevice, SoftBoundsReferenceDevice

from aihwkit_dspt import (
    AdaptiveGain,
    PulseMode,
    ReadMode,
    SymmetricPointDrift,
    SymmetricPointMonitor,
    TransferScope,
    build_config,
    calibrate,
    filter_spectra,
    join_next_array,
    load_checkpoint,
    n_states,
    pulse_budget,
    record_reads,
    save_checkpoint,
    training_plan,
    with_symmetric_point,
    zero_shift,
)

CPU: Dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}


@pytest.fixture(params=["float64", "meta"])
def _default(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set another data type, or a device on which nothing can be computed: no array is there."""
    device, data_type = torch.get_default_device(), torch.get_default_dtype()
    if request.param == "meta":
        torch.set_default_device("meta")
    else:
        torch.set_default_dtype(getattr(torch, request.param))
    yield
    torch.set_default_device(None if device == torch.device("cpu") else device)
    torch.set_default_dtype(data_type)


def layer(**settings: Any) -> AnalogLinear:
    """Return a layer."""
    device = settings.pop("device", SoftBoundsReferenceDevice(dw_min=0.01))
    config = build_config(settings.pop("algorithm", "e-rider"), device, **settings)
    return AnalogLinear(6, 5, bias=False, rpu_config=config)


def trained(model: Any, n_steps: int = 12, shape: Any = (4, 6)) -> Any:
    """Train on inputs that say where they are, and return the model."""
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    for _ in range(n_steps):
        optimizer.zero_grad()
        model(torch.randn(*shape, **CPU)).square().sum().backward()
        optimizer.step()
    return model


def shift(tile: Any) -> None:
    """Zero-shift by all methods."""
    for schedule in ("cyclic", "stochastic"):
        for method in ("pulses", "closed-form", "vectorised"):
            zero_shift(tile, 11, schedule, method)
    calibrate(tile, 20)


def move(model: Any) -> None:
    """Move symmetric points and watch."""
    drift = SymmetricPointDrift(model, walk=0.01, wear=0.01, jump_rate=0.1, jump_std=0.1)
    with drift, SymmetricPointMonitor(model, every=1) as monitor:
        trained(model, 3)
    drift.load_state_dict(drift.state_dict())
    assert "step" in monitor.summary()


def record(model: Any) -> None:
    """Record reads and transform them."""
    with record_reads(model.analog_module, [0, 1]) as reads:
        trained(model, 100)
    filter_spectra(reads, segment=8)


def describe(device: Any) -> None:
    """Say what is known of a device."""
    with_symmetric_point(device, 0.1, 0.2)
    pulse_budget(device, 0.1)
    n_states(device)


def chain() -> None:
    """Train three arrays."""
    model = trained(layer(n_arrays=3))
    join_next_array(model)
    trained(deepcopy(model))


FAST = {"transfer_every": 1.0, "sweep_every": 0.0, "units_in_mbatch": True}
CALLS: Dict[str, Callable[[], Any]] = {
    **{str(mode): lambda m=mode: trained(layer(pulse_mode=m)) for mode in PulseMode},
    **{
        str(mode): lambda m=mode: trained(layer(read_mode=m))
        for mode in (ReadMode.CPP, ReadMode.TORCH)
    },
    **{str(scope): lambda s=scope: trained(layer(transfer_scope=s)) for scope in TransferScope},
    "rider": lambda: trained(layer(algorithm="rider")),
    "random chopper": lambda: trained(layer(**FAST, in_chop_random=True, out_chop_prob=0.3)),
    "adaptive": lambda: trained(layer(**FAST, estimator=AdaptiveGain)),
    "reference array": lambda: trained(layer(reference_device=SoftBoundsDevice(dw_min=0.01))),
    "unit cell": lambda: trained(layer(device=VectorUnitCell([SoftBoundsDevice()] * 2))),
    "chain": chain,
    "convolution": lambda: trained(
        AnalogConv2d(
            2, 3, 3, bias=False, rpu_config=build_config("e-rider", SoftBoundsDevice(dw_min=0.01))
        ),
        3,
        (2, 2, 6, 6),
    ),
    "state": lambda: trained(layer()).load_state_dict(trained(layer()).state_dict()),
    "zero shift": lambda: shift(trained(layer()).analog_module),
    "moving points": lambda: move(layer()),
    "reads": lambda: record(layer(**FAST)),
    "device": lambda: describe(SoftBoundsReferenceDevice()),
    "plan": lambda: training_plan(layer(), steps=100, input_shape=(4, 6)),
}


@pytest.mark.usefixtures("_default")
@pytest.mark.parametrize("name", CALLS)
def test_defaults_of_the_script_do_not_matter(name: str) -> None:
    """Arrays, their stages and what measures them name type and place of all they make."""
    CALLS[name]()


@pytest.mark.usefixtures("_default")
def test_checkpoint(tmp_path: Path) -> None:
    """Saved and loaded."""
    model = trained(layer())
    optimizer = AnalogSGD(model.parameters(), lr=0.1)
    save_checkpoint(tmp_path / "c.pt", model, optimizer)
    load_checkpoint(tmp_path / "c.pt", model, optimizer)
    trained(model)


@pytest.mark.parametrize("default", ["dtype(torch.float64)", "device('meta')"])
def test_import(default: str) -> None:
    """The probe of the installation has its own, too; it would say that torch is damaged."""
    script = f"import torch; torch.set_default_{default}; import aihwkit_dspt"
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("sizes", [(0, 5), (6, 0)])
def test_layer_without_cells(sizes: Any) -> None:
    """Refused when it is built."""
    config = build_config("e-rider", SoftBoundsDevice())
    with pytest.raises(TileError, match="has no cells: leave the layer digital"):
        AnalogLinear(*sizes, bias=False, rpu_config=config)
