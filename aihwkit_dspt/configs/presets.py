"""Ready configurations: RIDER and E-RIDER on each device preset of aihwkit."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Callable, Type

from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.presets.compounds import PCMPresetUnitCell
from aihwkit.simulator.presets.devices import (
    CapacitorPresetDevice,
    EcRamMOPresetDevice,
    EcRamPresetDevice,
    GokmenVlasovPresetDevice,
    IdealizedPresetDevice,
    ReRamArrayHfO2PresetDevice,
    ReRamArrayOMPresetDevice,
    ReRamESPresetDevice,
    ReRamSBPresetDevice,
)
from aihwkit.simulator.presets.utils import PresetIOParameters, PresetUpdateParameters

from aihwkit_dspt.configs.build import ALGORITHMS, UNMANAGED, WHOLE_TRAINS
from aihwkit_dspt.configs.checks import strict_fields
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.device_defaults import DeviceDefaults
from aihwkit_dspt.configs.rpu_config import TrackingRPUConfig

if TYPE_CHECKING:
    from aihwkit.simulator.configs.devices import PulsedDevice


@strict_fields
@dataclass
class TrackingPreset(TrackingRPUConfig):
    """Base of the presets: aihwkit's preset periphery and pulse generation."""

    forward: IOParameters = field(default_factory=PresetIOParameters)
    """Input-output parameter setting for the forward direction."""

    backward: IOParameters = field(default_factory=PresetIOParameters)
    """Input-output parameter setting for the backward direction."""


def _compound(algorithm: str, device: Callable[[], PulsedDevice]) -> TrackingTransferCompound:
    """Return the compound with two devices of the given kind."""
    devices = [device(), device()]
    derived = DeviceDefaults.of(devices[0])
    settings = ALGORITHMS[algorithm]
    if settings["in_chop_prob"]:
        settings = {**settings, **derived.phases()}
    return TrackingTransferCompound(
        unit_cell_devices=devices,
        transfer_forward=PresetIOParameters(**UNMANAGED),
        transfer_update=PresetUpdateParameters(desired_bl=derived.transfer_bl, **WHOLE_TRAINS),
        **derived.of_compound(),
        **settings,
    )


def _preset(name: str, algorithm: str, device: Callable[[], PulsedDevice]) -> Type[TrackingPreset]:
    """Return the preset of an algorithm on a device preset of aihwkit."""

    def update() -> UpdateParameters:
        return PresetUpdateParameters(desired_bl=DeviceDefaults.of(device()).desired_bl)

    def mapping() -> MappingParameter:
        return DeviceDefaults.of(device()).mapping()

    members = {
        "__doc__": f"""{algorithm.upper()}, as ``build_config("{algorithm}", ...)``, with
    :class:`~{device.__module__}.{device.__name__}`.
    """,
        "__module__": __name__,
        "__annotations__": {
            "device": TrackingTransferCompound,
            "update": UpdateParameters,
            "mapping": MappingParameter,
        },
        "device": field(default_factory=partial(_compound, algorithm, device)),
        "update": field(default_factory=update),
        "mapping": field(default_factory=mapping),
    }
    preset: Type[TrackingPreset] = type(name, (TrackingPreset,), members)
    return strict_fields(dataclass(preset))


RIDERReRamESPreset = _preset("RIDERReRamESPreset", "rider", ReRamESPresetDevice)
RIDERReRamSBPreset = _preset("RIDERReRamSBPreset", "rider", ReRamSBPresetDevice)
RIDERReRamArrayOMPreset = _preset("RIDERReRamArrayOMPreset", "rider", ReRamArrayOMPresetDevice)
RIDERReRamArrayHfO2Preset = _preset(
    "RIDERReRamArrayHfO2Preset", "rider", ReRamArrayHfO2PresetDevice
)
RIDERCapacitorPreset = _preset("RIDERCapacitorPreset", "rider", CapacitorPresetDevice)
RIDEREcRamPreset = _preset("RIDEREcRamPreset", "rider", EcRamPresetDevice)
RIDEREcRamMOPreset = _preset("RIDEREcRamMOPreset", "rider", EcRamMOPresetDevice)
RIDERIdealizedPreset = _preset("RIDERIdealizedPreset", "rider", IdealizedPresetDevice)
RIDERGokmenVlasovPreset = _preset("RIDERGokmenVlasovPreset", "rider", GokmenVlasovPresetDevice)
RIDERPCMPreset = _preset("RIDERPCMPreset", "rider", PCMPresetUnitCell)
ERIDERReRamESPreset = _preset("ERIDERReRamESPreset", "e-rider", ReRamESPresetDevice)
ERIDERReRamSBPreset = _preset("ERIDERReRamSBPreset", "e-rider", ReRamSBPresetDevice)
ERIDERReRamArrayOMPreset = _preset("ERIDERReRamArrayOMPreset", "e-rider", ReRamArrayOMPresetDevice)
ERIDERReRamArrayHfO2Preset = _preset(
    "ERIDERReRamArrayHfO2Preset", "e-rider", ReRamArrayHfO2PresetDevice
)
ERIDERCapacitorPreset = _preset("ERIDERCapacitorPreset", "e-rider", CapacitorPresetDevice)
ERIDEREcRamPreset = _preset("ERIDEREcRamPreset", "e-rider", EcRamPresetDevice)
ERIDEREcRamMOPreset = _preset("ERIDEREcRamMOPreset", "e-rider", EcRamMOPresetDevice)
ERIDERIdealizedPreset = _preset("ERIDERIdealizedPreset", "e-rider", IdealizedPresetDevice)
ERIDERGokmenVlasovPreset = _preset("ERIDERGokmenVlasovPreset", "e-rider", GokmenVlasovPresetDevice)
ERIDERPCMPreset = _preset("ERIDERPCMPreset", "e-rider", PCMPresetUnitCell)
