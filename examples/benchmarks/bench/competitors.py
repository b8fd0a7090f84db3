"""What is compared, at equal settings: device, converters, pulse lengths and learning rates."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Dict

from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.parameters.mapping import MappingParameter
from aihwkit.simulator.parameters.training import UpdateParameters
from aihwkit.simulator.tiles.transfer import TorchTransferTile
from common.methods import agad, erider, hfo2, io_parameters, ttv2

from aihwkit_dspt import PAPER_SETTINGS
from bench import names

DEVICE = hfo2(0.4, 0.4)
ARGUMENTS = (DEVICE, MappingParameter(), 5)
"""Device, mapping and ``desired_bl``."""


def _settings(fast_lr: float) -> Dict[str, Any]:
    return {"fast_lr": fast_lr, "transfer_lr": 0.05, "in_chop_prob": 0.05}


def _agad(fast_lr: float) -> Any:
    return agad(*ARGUMENTS, scale_transfer_lr=False, **_settings(fast_lr))


def _torch_transfer(fast_lr: float) -> Any:
    config = _agad(fast_lr)
    config.tile_class = TorchTransferTile
    return config


def _chopped(fast_lr: float) -> Any:
    return ttv2(
        *ARGUMENTS,
        gamma=0.1,
        buffer_granularity=1.0,
        auto_granularity=1000.0,
        momentum=0.0,
        in_chop_random=False,
        scale_transfer_lr=False,
        **_settings(fast_lr),
    )


def _sgd(fast_lr: float) -> Any:
    # AnalogSGD's learning rate is fast_lr, so this one array gets the pulses of a fast array.
    return SingleRPUConfig(
        device=DEVICE,
        forward=io_parameters(),
        backward=io_parameters(),
        update=UpdateParameters(desired_bl=ARGUMENTS[2]),
    )


def _erider(fast_lr: float, gamma: float) -> Any:
    # Transfers of AGAD: E-RIDER's defaults transfer more lines in a step.
    return erider(*ARGUMENTS, **{**PAPER_SETTINGS, **_settings(fast_lr), "gamma": gamma})


CONFIGS: Dict[str, Callable[[float], Any]] = {
    names.BASELINE: _agad,
    names.CHOPPED: _chopped,
    names.TORCH_TRANSFER: _torch_transfer,
    names.SGD: _sgd,
    names.OURS: partial(_erider, gamma=0.1),
    names.OURS_WITHOUT_GAMMA: partial(_erider, gamma=0.0),
}


def rpu_config(name: str, fast_lr: float, every_vector: bool = False) -> Any:
    """Return the RPU configuration of a competitor.

    Without ``gamma``, aihwkit's compounds and ``TorchTransferTile`` evaluate the model at the slow
    array alone. aihwkit's own ``gamma`` is not E-RIDER's, but it also mixes two arrays.

    Args:
        name: see :data:`bench.names.COMPETITORS`.
        fast_lr: learning rate of the gradient pulses.
        every_vector: whether a line is transferred after every vector, not after every batch.
    """
    config = CONFIGS[name](fast_lr)
    if every_vector and hasattr(config.device, "units_in_mbatch"):
        config.device.units_in_mbatch = False
    return config
