"""What no array can be made of, read or pulsed with is refused when the compound is built."""

from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import replace
from re import escape
from typing import Any, Dict, List, Tuple

import pytest
import torch
from aihwkit.exceptions import ArgumentError, ConfigError
from aihwkit.nn import AnalogLinear
from aihwkit.nn.conversion import convert_to_analog
from aihwkit.simulator.configs.compounds import (
    ChoppedTransferCompound,
    MixedPrecisionCompound,
    OneSidedUnitCell,
    ReferenceUnitCell,
    TransferCompound,
    VectorUnitCell,
)
from aihwkit.simulator.configs.devices import (
    ConstantStepDevice,
    FloatingPointDevice,
    IdealDevice,
    LinearStepDevice,
    PiecewiseStepDevice,
    PowStepReferenceDevice,
    SoftBoundsDevice,
)
from aihwkit.simulator.parameters.enums import AnalogMVType, NoiseManagementType, PulseType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.rpu_base import devices as rpu_devices
from torch import nn

from aihwkit_dspt import (
    TrackingRPUConfig,
    TrackingTile,
    TrackingTransferCompound,
    build_config,
    n_states,
)
from tests import device_table

NAN = float("nan")


def soft(**changes: Any) -> SoftBoundsDevice:
    """Return a device of aihwkit's defaults."""
    return SoftBoundsDevice(**changes)


NOT_DEVICES: Dict[str, Any] = {
    "ideal": IdealDevice(),
    "floating point": FloatingPointDevice(),
    "mixed precision": MixedPrecisionCompound(device=SoftBoundsDevice()),
    "transfer": TransferCompound(unit_cell_devices=[soft(), soft()]),
    "chopped": ChoppedTransferCompound(unit_cell_devices=[soft(), soft()]),
    "tracking": TrackingTransferCompound(unit_cell_devices=[soft(), soft()]),
    "class": SoftBoundsDevice,
    "cell class": VectorUnitCell,
    "name": "SoftBoundsDevice",
    "none": None,
}
"""Nothing of this is a device of an array, nor of a unit cell."""

WRONG_TYPES = (
    ("dw_min", "0.1"),
    ("w_max", None),
    ("w_max", float("inf")),
    ("dw_min_std", [0.3]),
    ("mult_noise", 1),
    ("construction_seed", -1),
    ("construction_seed", 2**32),
)
"""Fields of a device, and values of other types than they are declared with."""

BAD_DEVICES: Dict[str, Any] = {
    **NOT_DEVICES,
    **{
        f"{name} in {cell.__name__}": cell(unit_cell_devices=[soft(), device])
        for name, device in NOT_DEVICES.items()
        for cell in (VectorUnitCell, ReferenceUnitCell, OneSidedUnitCell)
    },
    "cell in a cell": VectorUnitCell(unit_cell_devices=[device_table.CELLS["vector"](), soft()]),
    "empty cell": VectorUnitCell(),
    "no list": VectorUnitCell(unit_cell_devices=(soft(), soft())),
    "empty one-sided": OneSidedUnitCell(),
    "three one-sided": OneSidedUnitCell(unit_cell_devices=[soft()] * 3),
    "two classes": OneSidedUnitCell(unit_cell_devices=[soft(), ConstantStepDevice()]),
    "weights": VectorUnitCell(unit_cell_devices=[soft(), soft()], gamma_vec=[1.0]),
    "first": VectorUnitCell(unit_cell_devices=[soft(), soft()], first_update_idx=2),
    "first below": ReferenceUnitCell(unit_cell_devices=[soft(), soft()], first_update_idx=-1),
    "refresh with write noise": OneSidedUnitCell(
        unit_cell_devices=[soft(write_noise_std=1.0)], refresh_every=1
    ),
    "refresh without pulses": OneSidedUnitCell(
        unit_cell_devices=[soft()], refresh_every=1, refresh_update=UpdateParameters(desired_bl=0)
    ),
    "bounds": soft(w_min=0.1),
    "upper bound": soft(w_max=-0.1),
    "no range": soft(w_min=0.0, w_max=0.0),
    "no step": soft(dw_min=0.0),
    "negative step": soft(dw_min=-0.01),
    "nan": soft(up_down=NAN),
    **{f"{name} {value!r}": soft(**{name: value}) for name, value in WRONG_TYPES},
    **{
        f"{name} {value!r} in {cell.__name__}": cell(
            unit_cell_devices=[soft(), soft(**{name: value})]
        )
        for name, value in WRONG_TYPES
        for cell in (VectorUnitCell, ReferenceUnitCell, OneSidedUnitCell)
    },
    "piece": PiecewiseStepDevice(piecewise_up=[1.0, NAN], piecewise_down=[1.0, 2.0]),
    "pieces": PiecewiseStepDevice(piecewise_up="1, 2", piecewise_down=[1.0, 2.0]),
    "drift": soft(drift=None),
    "refresh": OneSidedUnitCell(unit_cell_devices=[soft(), soft()], refresh_every=1.5),
    "flag of a cell": OneSidedUnitCell(unit_cell_devices=[soft(), soft()], copy_inverted="no"),
}

BAD_UPDATES: Dict[str, Dict[str, Any]] = {
    "none": {"pulse_type": PulseType.NONE},
    "text": {"pulse_type": "Stochastic"},
    "no pulse": {"desired_bl": 0},
    "negative": {"desired_bl": -1},
    "fraction": {"desired_bl": 1.5},
    "endless": {"desired_bl": 10**9},
    "steps": {"res": 64},
    "x steps": {"x_res_implicit": 64},
    "d nan": {"d_res_implicit": NAN},
    "gradient scale": {"um_grad_scale": 0.0},
    "flag": {"update_management": 1},
    "length": {"desired_bl": "31"},
}

BAD_READS: Dict[str, Dict[str, Any]] = {
    "nan": {"out_noise": NAN},
    "infinite": {"inp_bound": float("inf")},
    "no input range": {"inp_bound": 0.0, "noise_management": NoiseManagementType.NONE},
    "no output range": {"out_bound": -1.0},
    "noise": {"out_noise": "0.06"},
    "rounds": {"max_bm_factor": 10.5},
    "fine steps": {"out_res": 1e-44},
    "type": {"bound_management": "Iterative"},
}


@pytest.mark.parametrize("field", ["fast", "slow", "reference_device"])
@pytest.mark.parametrize("name", BAD_DEVICES)
def test_bad_device_is_refused(name: str, field: str) -> None:
    """By name, wherever it stands."""
    device = BAD_DEVICES[name]
    if field == "reference_device":
        # None is an exact register.
        settings: Dict[str, Any] = {"reference_device": device or IdealDevice()}
    else:
        pair = [device, soft()] if field == "fast" else [soft(), device]
        settings = {"unit_cell_devices": pair}
        field = "unit_cell_devices[0]" if field == "fast" else "unit_cell_devices[1]"
    with pytest.raises(ConfigError) as caught:
        TrackingTransferCompound(**settings)
    assert str(caught.value).startswith((f"{field}=", f"{field}."))
    assert "pass" in str(caught.value)


@pytest.mark.parametrize("name", device_table.QUIET_AND_CELLS)
def test_every_device_is_allowed(name: str) -> None:
    """All pulsed devices and unit cells, on either side."""
    device = device_table.QUIET_AND_CELLS[name]()
    compound = TrackingTransferCompound(unit_cell_devices=[device, soft()], in_chop_prob=0.1)
    TrackingTile(2, 3, TrackingRPUConfig(device=compound))
    compound = TrackingTransferCompound(unit_cell_devices=[soft(), device], in_chop_prob=0.1)
    TrackingTile(2, 3, TrackingRPUConfig(device=compound))


@pytest.mark.parametrize("name", BAD_UPDATES)
def test_bad_update_is_refused(name: str) -> None:
    """For transfers with the compound, for gradients with the tile."""
    (field, value), parameters = (
        next(iter(BAD_UPDATES[name].items())),
        UpdateParameters(**BAD_UPDATES[name]),
    )
    with pytest.raises(ConfigError, match=rf"^transfer_update\.{field}={escape(repr(value))}"):
        TrackingTransferCompound(transfer_update=parameters)
    config = TrackingRPUConfig(
        device=TrackingTransferCompound(unit_cell_devices=[soft(), soft()], in_chop_prob=0.1),
        update=parameters,
    )
    with pytest.raises(ConfigError, match=rf"^update\.{field}={escape(repr(value))}"):
        TrackingTile(2, 3, config)


@pytest.mark.parametrize("name", BAD_READS)
@pytest.mark.parametrize("field", ["forward", "backward", "transfer_forward"])
def test_bad_read_is_refused(name: str, field: str) -> None:
    """Numbers that are not finite, and resolutions of an endless range."""
    parameters = IOParameters(**BAD_READS[name])
    wrong = next(iter(BAD_READS[name]))
    match = rf"^{field}\.{wrong}="
    compound = TrackingTransferCompound(unit_cell_devices=[soft(), soft()], in_chop_prob=0.1)
    if field == "transfer_forward":
        with pytest.raises(ConfigError, match=match):
            replace(compound, transfer_forward=parameters)
        return
    config = TrackingRPUConfig(device=compound, **{field: parameters})
    with pytest.raises(ConfigError, match=match):
        TrackingTile(2, 3, config)


@pytest.mark.parametrize(
    "device",
    [
        LinearStepDevice(reverse_up=True, mult_noise=False),
        PiecewiseStepDevice(piecewise_up=[], piecewise_down=[]),
        PiecewiseStepDevice(piecewise_up=[1.0], piecewise_down=[1.0, 2.0]),
    ],
)
def test_what_aihwkit_refuses_is_named(device: Any) -> None:
    """What only the simulator knows about ends in an error of aihwkit's kind, too."""
    compound = TrackingTransferCompound(unit_cell_devices=[device, soft()], in_chop_prob=0.1)
    with pytest.raises(ConfigError, match=f"^device={type(device).__name__}.*aihwkit refuses"):
        TrackingTile(2, 3, TrackingRPUConfig(device=compound))


BAD_PARTS: List[Tuple[str, str, Any]] = [
    ("mapping", "max_input_size", None),
    ("mapping", "max_output_size", "512"),
    ("mapping", "weight_scaling_omega", "0.3"),
    ("mapping", "digital_bias", 1),
    ("mapping", "weight_scaling_omega", 1e-44),
    ("mapping", "weight_scaling_omega", 10**30),
    ("runtime", "data_type", "float"),
    ("runtime", "data_type", None),
    ("runtime", "offload_input", 1),
]
"""Other parts of the configuration, and values of other types than they are declared with."""


@pytest.mark.parametrize("seed", [-1, 2**32, 10**30, 1.5, "1", None, True])
def test_bad_seed_is_refused(seed: Any) -> None:
    """Of a compound and, where a device is looked at alone, of a device."""
    with pytest.raises(ConfigError, match=rf"^construction_seed={escape(repr(seed))}.*pass"):
        TrackingTransferCompound(unit_cell_devices=[soft(), soft()], construction_seed=seed)
    device = soft(construction_seed=seed)
    for look in (n_states, lambda one: build_config("e-rider", one)):
        with pytest.raises(
            ConfigError, match=rf"^\w+Device\.construction_seed={escape(repr(seed))}"
        ):
            look(device)
    with pytest.raises(ArgumentError, match="construction_seed="):
        build_config("e-rider", soft(), construction_seed=seed)


@pytest.mark.parametrize(("part", "field", "value"), BAD_PARTS)
def test_bad_part_is_refused(part: str, field: str, value: Any) -> None:
    """By a tile and by a layer; aihwkit's mapped layers read the sizes before they ask us."""
    compound = TrackingTransferCompound(unit_cell_devices=[soft(), soft()], in_chop_prob=0.1)
    config = TrackingRPUConfig(device=compound)
    setattr(getattr(config, part), field, value)
    for make in (
        lambda: TrackingTile(2, 3, config),
        lambda: AnalogLinear(3, 2, rpu_config=config),
        lambda: convert_to_analog(nn.Linear(3, 2), config),
    ):
        with pytest.raises(ConfigError, match=rf"^{part}\.{field}={escape(repr(value))}"):
            make()


@pytest.mark.parametrize(("part", "field", "value"), BAD_PARTS[:6])
def test_bad_mapping_is_refused_when_it_is_given(part: str, field: str, value: Any) -> None:
    """aihwkit's mapped convolutions split by it without asking anybody."""
    mapping = MappingParameter(**{field: value})
    with pytest.raises(ConfigError, match=rf"^{part}\.{field}={escape(repr(value))}"):
        TrackingRPUConfig(mapping=mapping)
    config = TrackingRPUConfig()
    with pytest.raises(ConfigError, match=rf"^{part}\.{field}={escape(repr(value))}"):
        config.mapping = mapping


@pytest.mark.parametrize("value", [None, 1.0, "float", IOParameters(), MappingParameter])
@pytest.mark.parametrize("part", ["mapping", "pre_post", "runtime", "tile_array_class"])
def test_what_is_no_part_is_refused(part: str, value: Any) -> None:
    """Where it is given: aihwkit asks for its settings before there is a tile."""
    with pytest.raises(ConfigError, match=rf"^{part}={escape(repr(value))} is not valid: pass"):
        TrackingRPUConfig(**{part: value})
    config = TrackingRPUConfig()
    with pytest.raises(ConfigError, match=rf"^{part}={escape(repr(value))} is not valid: pass"):
        setattr(config, part, value)


@pytest.mark.parametrize(
    "field", ["unit_cell_devices[0]", "unit_cell_devices[1]", "reference_device"]
)
def test_cells_without_numbers_are_refused(field: str) -> None:
    """Their weights would be no numbers from the first pulse on, as in C++ AGAD.

    A reference at the symmetric point has none where pulses only go one way.
    """
    broken = PowStepReferenceDevice(
        up_down=0.9, up_down_dtod=0.5, pow_up_down_dtod=0.5, subtract_symmetry_point=True
    )
    settings: Dict[str, Any] = {"unit_cell_devices": [soft(), soft()]}
    if field == "reference_device":
        settings[field] = broken
    else:
        settings["unit_cell_devices"][int(field[-2])] = broken
    config = TrackingRPUConfig(device=TrackingTransferCompound(in_chop_prob=0.1, **settings))
    match = (
        rf"^{escape(field)}=PowStepReferenceDevice .* of 600 cells have no number as .*reference"
    )
    with pytest.raises(ConfigError, match=match):
        TrackingTile(20, 30, config)


def test_copies_draw_no_cells() -> None:
    """A tile with good cells can be copied and saved, although the next draw may have bad ones."""
    device = PowStepReferenceDevice(
        up_down=0.9, up_down_dtod=0.01, pow_up_down_dtod=0.5, subtract_symmetry_point=True
    )
    compound = TrackingTransferCompound(unit_cell_devices=[device, device], in_chop_prob=0.1)
    made, refused = [], 0
    for _ in range(40):
        try:
            made.append(TrackingTile(2, 2, TrackingRPUConfig(device=compound)))
        except ConfigError:
            refused += 1
    assert made
    assert refused
    for tile in made[:8]:
        copied = pickle.loads(pickle.dumps(deepcopy(tile)))
        assert torch.equal(copied.fast_weights, tile.fast_weights)


@pytest.mark.parametrize("mv_type", AnalogMVType)
def test_any_product_is_read_or_refused(mv_type: AnalogMVType) -> None:
    """Each type of product either builds and reads, or is refused by name."""
    compound = TrackingTransferCompound(unit_cell_devices=[soft(), soft()], in_chop_prob=0.1)
    config = TrackingRPUConfig(device=compound, forward=IOParameters(mv_type=mv_type))
    if not hasattr(rpu_devices.AnalogMVType, mv_type.value):
        with pytest.raises(ConfigError, match=r"^forward=.*aihwkit cannot read"):
            TrackingTile(2, 3, config)
        return
    tile = TrackingTile(2, 3, config)
    array = tile.tile.pipeline.mixed_array
    assert array.read_columns(array.weights.new_ones(1, 3)).isfinite().all()
