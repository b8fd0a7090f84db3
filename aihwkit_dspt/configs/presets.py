"""Ready configurations: RIDER and E-RIDER on each device preset of aihwkit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType
from aihwkit.simulator.parameters.io import IOParameters
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

from aihwkit_dspt.configs.build import ALGORITHMS
from aihwkit_dspt.configs.checks import strict_fields
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.device_defaults import DeviceDefaults
from aihwkit_dspt.configs.rpu_config import TrackingRPUConfig


def _compound(algorithm: str, device: Callable[[], Any]) -> Any:
    """Return a dataclass field that makes the compound with two devices of the given kind."""

    def make() -> TrackingTransferCompound:
        devices = [device(), device()]
        derived = DeviceDefaults.of(devices[0])
        return TrackingTransferCompound(
            unit_cell_devices=devices,
            fast_lr=derived.fast_lr,
            transfer_lr=derived.transfer_lr,
            transfer_forward=PresetIOParameters(
                noise_management=NoiseManagementType.NONE, bound_management=BoundManagementType.NONE
            ),
            transfer_update=PresetUpdateParameters(
                desired_bl=derived.transfer_bl, update_bl_management=False, update_management=False
            ),
            **ALGORITHMS[algorithm],
        )

    return field(default_factory=make)


def _update(device: Callable[[], Any]) -> Any:
    """Return a dataclass field that makes the gradient pulses for a device."""
    return field(
        default_factory=lambda: PresetUpdateParameters(
            desired_bl=DeviceDefaults.of(device()).desired_bl
        )
    )


@strict_fields
@dataclass
class TrackingPreset(TrackingRPUConfig):
    """Base of the presets: aihwkit's preset periphery and pulse generation."""

    forward: IOParameters = field(default_factory=PresetIOParameters)
    """Input-output parameter setting for the forward direction."""

    backward: IOParameters = field(default_factory=PresetIOParameters)
    """Input-output parameter setting for the backward direction."""


@strict_fields
@dataclass
class RIDERReRamESPreset(TrackingPreset):
    """RIDER (paper Algorithm 2) with
    :class:`~aihwkit.simulator.presets.devices.ReRamESPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("rider", ReRamESPresetDevice)
    """The compound with the settings of ``build_config("rider", ...)``."""

    update: UpdateParameters = _update(ReRamESPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class RIDERReRamSBPreset(TrackingPreset):
    """RIDER (paper Algorithm 2) with
    :class:`~aihwkit.simulator.presets.devices.ReRamSBPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("rider", ReRamSBPresetDevice)
    """The compound with the settings of ``build_config("rider", ...)``."""

    update: UpdateParameters = _update(ReRamSBPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class RIDERReRamArrayOMPreset(TrackingPreset):
    """RIDER (paper Algorithm 2) with
    :class:`~aihwkit.simulator.presets.devices.ReRamArrayOMPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("rider", ReRamArrayOMPresetDevice)
    """The compound with the settings of ``build_config("rider", ...)``."""

    update: UpdateParameters = _update(ReRamArrayOMPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class RIDERReRamArrayHfO2Preset(TrackingPreset):
    """RIDER (paper Algorithm 2) with
    :class:`~aihwkit.simulator.presets.devices.ReRamArrayHfO2PresetDevice`.
    """

    device: TrackingTransferCompound = _compound("rider", ReRamArrayHfO2PresetDevice)
    """The compound with the settings of ``build_config("rider", ...)``."""

    update: UpdateParameters = _update(ReRamArrayHfO2PresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class RIDERCapacitorPreset(TrackingPreset):
    """RIDER (paper Algorithm 2) with
    :class:`~aihwkit.simulator.presets.devices.CapacitorPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("rider", CapacitorPresetDevice)
    """The compound with the settings of ``build_config("rider", ...)``."""

    update: UpdateParameters = _update(CapacitorPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class RIDEREcRamPreset(TrackingPreset):
    """RIDER (paper Algorithm 2) with
    :class:`~aihwkit.simulator.presets.devices.EcRamPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("rider", EcRamPresetDevice)
    """The compound with the settings of ``build_config("rider", ...)``."""

    update: UpdateParameters = _update(EcRamPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class RIDEREcRamMOPreset(TrackingPreset):
    """RIDER (paper Algorithm 2) with
    :class:`~aihwkit.simulator.presets.devices.EcRamMOPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("rider", EcRamMOPresetDevice)
    """The compound with the settings of ``build_config("rider", ...)``."""

    update: UpdateParameters = _update(EcRamMOPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class RIDERIdealizedPreset(TrackingPreset):
    """RIDER (paper Algorithm 2) with
    :class:`~aihwkit.simulator.presets.devices.IdealizedPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("rider", IdealizedPresetDevice)
    """The compound with the settings of ``build_config("rider", ...)``."""

    update: UpdateParameters = _update(IdealizedPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class RIDERGokmenVlasovPreset(TrackingPreset):
    """RIDER (paper Algorithm 2) with
    :class:`~aihwkit.simulator.presets.devices.GokmenVlasovPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("rider", GokmenVlasovPresetDevice)
    """The compound with the settings of ``build_config("rider", ...)``."""

    update: UpdateParameters = _update(GokmenVlasovPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class RIDERPCMPreset(TrackingPreset):
    """RIDER (paper Algorithm 2) with
    :class:`~aihwkit.simulator.presets.compounds.PCMPresetUnitCell`.
    """

    device: TrackingTransferCompound = _compound("rider", PCMPresetUnitCell)
    """The compound with the settings of ``build_config("rider", ...)``."""

    update: UpdateParameters = _update(PCMPresetUnitCell)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class ERIDERReRamESPreset(TrackingPreset):
    """E-RIDER (paper Algorithm 3) with
    :class:`~aihwkit.simulator.presets.devices.ReRamESPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("e-rider", ReRamESPresetDevice)
    """The compound with the settings of ``build_config("e-rider", ...)``."""

    update: UpdateParameters = _update(ReRamESPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class ERIDERReRamSBPreset(TrackingPreset):
    """E-RIDER (paper Algorithm 3) with
    :class:`~aihwkit.simulator.presets.devices.ReRamSBPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("e-rider", ReRamSBPresetDevice)
    """The compound with the settings of ``build_config("e-rider", ...)``."""

    update: UpdateParameters = _update(ReRamSBPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class ERIDERReRamArrayOMPreset(TrackingPreset):
    """E-RIDER (paper Algorithm 3) with
    :class:`~aihwkit.simulator.presets.devices.ReRamArrayOMPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("e-rider", ReRamArrayOMPresetDevice)
    """The compound with the settings of ``build_config("e-rider", ...)``."""

    update: UpdateParameters = _update(ReRamArrayOMPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class ERIDERReRamArrayHfO2Preset(TrackingPreset):
    """E-RIDER (paper Algorithm 3) with
    :class:`~aihwkit.simulator.presets.devices.ReRamArrayHfO2PresetDevice`.
    """

    device: TrackingTransferCompound = _compound("e-rider", ReRamArrayHfO2PresetDevice)
    """The compound with the settings of ``build_config("e-rider", ...)``."""

    update: UpdateParameters = _update(ReRamArrayHfO2PresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class ERIDERCapacitorPreset(TrackingPreset):
    """E-RIDER (paper Algorithm 3) with
    :class:`~aihwkit.simulator.presets.devices.CapacitorPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("e-rider", CapacitorPresetDevice)
    """The compound with the settings of ``build_config("e-rider", ...)``."""

    update: UpdateParameters = _update(CapacitorPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class ERIDEREcRamPreset(TrackingPreset):
    """E-RIDER (paper Algorithm 3) with
    :class:`~aihwkit.simulator.presets.devices.EcRamPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("e-rider", EcRamPresetDevice)
    """The compound with the settings of ``build_config("e-rider", ...)``."""

    update: UpdateParameters = _update(EcRamPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class ERIDEREcRamMOPreset(TrackingPreset):
    """E-RIDER (paper Algorithm 3) with
    :class:`~aihwkit.simulator.presets.devices.EcRamMOPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("e-rider", EcRamMOPresetDevice)
    """The compound with the settings of ``build_config("e-rider", ...)``."""

    update: UpdateParameters = _update(EcRamMOPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class ERIDERIdealizedPreset(TrackingPreset):
    """E-RIDER (paper Algorithm 3) with
    :class:`~aihwkit.simulator.presets.devices.IdealizedPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("e-rider", IdealizedPresetDevice)
    """The compound with the settings of ``build_config("e-rider", ...)``."""

    update: UpdateParameters = _update(IdealizedPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class ERIDERGokmenVlasovPreset(TrackingPreset):
    """E-RIDER (paper Algorithm 3) with
    :class:`~aihwkit.simulator.presets.devices.GokmenVlasovPresetDevice`.
    """

    device: TrackingTransferCompound = _compound("e-rider", GokmenVlasovPresetDevice)
    """The compound with the settings of ``build_config("e-rider", ...)``."""

    update: UpdateParameters = _update(GokmenVlasovPresetDevice)
    """Parameter for the gradient pulses on the fast array."""


@strict_fields
@dataclass
class ERIDERPCMPreset(TrackingPreset):
    """E-RIDER (paper Algorithm 3) with
    :class:`~aihwkit.simulator.presets.compounds.PCMPresetUnitCell`.
    """

    device: TrackingTransferCompound = _compound("e-rider", PCMPresetUnitCell)
    """The compound with the settings of ``build_config("e-rider", ...)``."""

    update: UpdateParameters = _update(PCMPresetUnitCell)
    """Parameter for the gradient pulses on the fast array."""
