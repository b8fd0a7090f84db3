"""One table of devices with variation for all tests of responses, points and zero-shifting."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.configs.devices import (
    ConstantStepDevice,
    ExpStepDevice,
    LinearStepDevice,
    PiecewiseStepDevice,
    PowStepDevice,
    PowStepReferenceDevice,
    SoftBoundsDevice,
    SoftBoundsPmaxDevice,
    SoftBoundsReferenceDevice,
)
from aihwkit.simulator.parameters.enums import PulseType
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.presets.devices import (
    CapacitorPresetDevice,
    EcRamPresetDevice,
    PCMPresetDevice,
    ReRamArrayHfO2PresetDevice,
    ReRamESPresetDevice,
    ReRamSBPresetDevice,
)
from aihwkit.simulator.tiles.analog import AnalogTile

SEED = 20
VARIATION = {"construction_seed": SEED, "up_down_dtod": 0.1, "dw_min_dtod": 0.2}

# Every pulsed device class that has symmetric points, noise of both kinds, and presets.
DEVICES = {
    "LinearStep": LinearStepDevice(gamma_up=0.3, gamma_down=0.5, dw_min=0.002, **VARIATION),
    "LinearStep-additive": LinearStepDevice(
        gamma_up=0.4, gamma_down=0.6, mult_noise=False, up_down=0.1, **VARIATION
    ),
    "SoftBounds": SoftBoundsDevice(dw_min=0.002, **VARIATION),
    "SoftBounds-write-noise": SoftBoundsDevice(
        dw_min=0.002, mult_noise=False, write_noise_std=2.0, **VARIATION
    ),
    "SoftBoundsPmax": SoftBoundsPmaxDevice(construction_seed=SEED, up_down_dtod=0.05),
    "SoftBoundsReference": SoftBoundsReferenceDevice(
        dw_min=0.002, reference_mean=0.2, reference_std=0.1, slope_up_dtod=0.1, **VARIATION
    ),
    "SoftBoundsReference-subtract": SoftBoundsReferenceDevice(
        dw_min=0.002,
        reference_mean=-0.1,
        reference_std=0.05,
        mult_noise=True,
        subtract_symmetry_point=True,
        **VARIATION,
    ),
    "ExpStep": ExpStepDevice(dw_min=0.002, **VARIATION),
    "PowStep": PowStepDevice(pow_gamma=1.3, pow_up_down_dtod=0.1, dw_min=0.004, **VARIATION),
    "PowStepReference": PowStepReferenceDevice(
        pow_gamma=0.8, reference_mean=0.1, reference_std=0.1, dw_min=0.004, **VARIATION
    ),
    "PiecewiseStep": PiecewiseStepDevice(
        piecewise_up=[1.5, 1.0, 0.9, 0.2], piecewise_down=[0.1, 0.8, 1.0, 1.3], **VARIATION
    ),
    "ReRamES": ReRamESPresetDevice(construction_seed=SEED, dw_min_std=1.0, write_noise_std=5.0),
    "ReRamSB": ReRamSBPresetDevice(construction_seed=SEED),
    "EcRam": EcRamPresetDevice(construction_seed=SEED),
    # One of its down pulses at the top crosses the whole range; smaller ones can be seen.
    "PCM": PCMPresetDevice(construction_seed=SEED, dw_min=0.0002, dw_min_std=0.05),
    "ReRamArrayHfO2": ReRamArrayHfO2PresetDevice(construction_seed=SEED, corrupt_devices_prob=0.05),
}

# Steps that do not depend on the weight have no symmetric point anywhere.
WITHOUT_POINTS = {
    "ConstantStep": ConstantStepDevice(construction_seed=SEED),
    "ConstantStep-symmetric": ConstantStepDevice(
        construction_seed=SEED, up_down_dtod=0.0, dw_min_dtod=0.0
    ),
    "PiecewiseStep-one-node": PiecewiseStepDevice(construction_seed=SEED),
    "SoftBounds-up-only": SoftBoundsDevice(
        construction_seed=SEED, up_down=1.0, up_down_dtod=0.0, dw_min_dtod=0.0
    ),
    "LinearStep-reversed": LinearStepDevice(
        construction_seed=SEED, gamma_up=0.5, gamma_down=0.5, reverse_up=True, reverse_down=True
    ),
    "SoftBounds-corrupt": SoftBoundsDevice(construction_seed=SEED, corrupt_devices_prob=1.0),
}

ALL = {**DEVICES, **WITHOUT_POINTS, "Capacitor": CapacitorPresetDevice(construction_seed=SEED)}


def make_tile(device: Any, size: int = 64, weights: float = 0.0, **update: Any) -> AnalogTile:
    """Return a square aihwkit tile of this device, all of its weights set to one value."""
    config = SingleRPUConfig(device=deepcopy(device), update=UpdateParameters(**update))
    tile = AnalogTile(size, size, config)
    tile.tile.set_weights(torch.full((size, size), weights))
    return tile


def send(tile: AnalogTile, upwards: bool, n_pulses: int = 1) -> None:
    """Send pulses of one sign to all cells, without any code of the package.

    With one pulse slot per update, inputs of 2 and errors of +-2 fire with certainty.
    """
    assert tile.rpu_config.update.desired_bl == 1
    assert not tile.rpu_config.update.update_bl_management
    granularity = tile.tile.dump_extra()["rpu.rpu_device.weight_granularity"][0]
    tile.tile.set_learning_rate(granularity)
    x_input = torch.full((n_pulses, tile.tile.get_x_size()), 2.0)
    d_input = torch.full((n_pulses, tile.tile.get_d_size()), -2.0 if upwards else 2.0)
    tile.tile.update(x_input, d_input, False)


ONE_PULSE = {
    "desired_bl": 1,
    "update_bl_management": False,
    "update_management": False,
    "pulse_type": PulseType.STOCHASTIC_COMPRESSED,
}


def persistent(tile: AnalogTile) -> torch.Tensor:
    """Return the weights that pulses act on, in double precision."""
    hidden = tile.get_hidden_parameters()
    return hidden.get("persistent_weights", tile.tile.get_weights()).double()
