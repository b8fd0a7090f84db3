"""TT-v2, AGAD and E-RIDER with the paper's settings for the fully connected network."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Callable, Dict

from aihwkit.simulator.configs.compounds import ChoppedTransferCompound, DynamicTransferCompound
from aihwkit.simulator.configs.configs import UnitCellRPUConfig
from aihwkit.simulator.configs.devices import PulsedDevice
from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.presets.devices import ReRamArrayHfO2PresetDevice

from aihwkit_dspt import (
    ReferenceType,
    TrackingRPUConfig,
    TrackingTransferCompound,
    build_config,
)


def hfo2(reference_mean: float, reference_std: float) -> PulsedDevice:
    """Return the paper's device: HfO2 ReRAM whose symmetric point is shifted.

    The reference is subtracted from the weight, so the effective symmetric point has mean
    ``-reference_mean``.
    """
    return ReRamArrayHfO2PresetDevice(
        subtract_symmetry_point=True, reference_mean=reference_mean, reference_std=reference_std
    )


def io_parameters(**changes: Any) -> IOParameters:
    """Return the paper's converters: 7 bit in, 9 bit out, output noise 0.06."""
    settings: Dict[str, Any] = {
        "inp_bound": 1.0,
        "inp_res": 1.0 / 126,
        "out_bound": 12.0,
        "out_res": 1.0 / 510,
        "out_noise": 0.06,
        "noise_management": NoiseManagementType.ABS_MAX,
        "bound_management": BoundManagementType.ITERATIVE,
        **changes,
    }
    return IOParameters(**settings)


def _transfer(device: PulsedDevice, **settings: Any) -> Dict[str, Any]:
    return {
        "unit_cell_devices": [device, device],
        "transfer_forward": io_parameters(
            noise_management=NoiseManagementType.NONE, bound_management=BoundManagementType.NONE
        ),
        "transfer_update": UpdateParameters(
            desired_bl=1, update_bl_management=False, update_management=False
        ),
        "transfer_every": 1.0,
        "units_in_mbatch": True,
        **settings,
    }


def aihwkit_config(compound: Any, mapping: MappingParameter, desired_bl: int) -> UnitCellRPUConfig:
    """Return the configuration of one of aihwkit's compounds with the paper's converters."""
    return UnitCellRPUConfig(
        device=compound,
        forward=io_parameters(),
        backward=io_parameters(),
        update=UpdateParameters(desired_bl=desired_bl),
        mapping=mapping,
    )


def ttv2(device: PulsedDevice, mapping: MappingParameter, desired_bl: int, **settings: Any) -> Any:
    """TT-v2 on aihwkit's C++ compound (``thres_scale`` is ``buffer_granularity`` there)."""
    paper = {
        "fast_lr": 0.03,
        "transfer_lr": 0.01,
        "buffer_granularity": 0.8,
        "momentum": 0.1,
        "in_chop_prob": 0.0,
        **settings,
    }
    return aihwkit_config(
        ChoppedTransferCompound(**_transfer(device, **paper)), mapping, desired_bl
    )


def agad(device: PulsedDevice, mapping: MappingParameter, desired_bl: int, **settings: Any) -> Any:
    """AGAD on aihwkit's C++ compound."""
    paper = {
        "fast_lr": 0.05,
        "transfer_lr": 0.3,
        "in_chop_prob": 0.1,
        "auto_granularity": 1000.0,
        **settings,
    }
    return aihwkit_config(
        DynamicTransferCompound(**_transfer(device, **paper)), mapping, desired_bl
    )


def erider(
    device: PulsedDevice, mapping: MappingParameter, desired_bl: int, **settings: Any
) -> Any:
    """E-RIDER as ``build_config`` makes it for the device."""
    return build_config(
        "e-rider",
        device,
        io_parameters=io_parameters(),
        update=UpdateParameters(desired_bl=desired_bl),
        mapping=mapping,
        **settings,
    )


def counting_twin(config: UnitCellRPUConfig) -> TrackingRPUConfig:
    """Return the tracking configuration that is equal in every state and counts what it does.

    Args:
        config: configuration of aihwkit's AGAD or TT-v2.
    """
    dynamic = isinstance(config.device, DynamicTransferCompound)
    known = {item.name for item in fields(TrackingTransferCompound)}
    settings = {name: value for name, value in vars(config.device).items() if name in known}
    compound = TrackingTransferCompound(
        **{**settings, "gamma": 0.0},
        reference=ReferenceType.DYNAMIC if dynamic else ReferenceType.ZERO,
    )
    return TrackingRPUConfig(
        device=compound,
        forward=config.forward,
        backward=config.backward,
        update=config.update,
        mapping=config.mapping,
    )


METHODS: Dict[str, Callable[..., Any]] = {"TT-v2": ttv2, "AGAD": agad, "E-RIDER": erider}
"""Display name -> function that makes the RPU configuration."""
