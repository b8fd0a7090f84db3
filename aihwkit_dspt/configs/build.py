"""``build_config`` with the tracking methods beside aihwkit's own."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields
from typing import Any, Callable, Dict, Mapping, Tuple, Type, Union

from aihwkit.exceptions import ArgumentError
from aihwkit.simulator.configs.compounds import UnitCell
from aihwkit.simulator.configs.configs import (
    DigitalRankUpdateRPUConfig,
    SingleRPUConfig,
    UnitCellRPUConfig,
)
from aihwkit.simulator.configs.devices import PulsedDevice
from aihwkit.simulator.configs.helpers import build_config as aihwkit_build_config
from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType
from aihwkit.simulator.parameters.io import IOParameters
from aihwkit.simulator.parameters.training import UpdateParameters

from aihwkit_dspt.configs.chain_defaults import MOST_ARRAYS, chain_settings
from aihwkit_dspt.configs.checks import require_whole, shown, suggestion
from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.configs.declared import LARGEST_SEED
from aihwkit_dspt.configs.device_defaults import DeviceDefaults
from aihwkit_dspt.configs.enums import ReferenceSync, ReferenceType, TransferStart
from aihwkit_dspt.configs.rpu_config import TrackingRPUConfig
from aihwkit_dspt.plain import plain
from aihwkit_dspt.stages.estimators import LowPassFilter, RunningMean

COMMON: Dict[str, Any] = {
    "sweep_every": 64.0,
    "spread_remainder": True,
    "start": TransferStart.FIRST_SWEEP,
    "auto_scale": True,
    "auto_scale_by_batch": True,
    "scale_fast_lr": True,
    "scale_transfer_lr": False,
    "transfer_lr_follows_schedule": True,
    "auto_granularity": 0.0,
}
"""What the whole family has in common. Residual scale, learning rates and pulse trains follow from
the device, see :class:`~aihwkit_dspt.DeviceDefaults`."""

PAPER_SETTINGS: Dict[str, Any] = {
    "gamma": 0.1,
    "fast_lr": 0.5,
    "transfer_lr": 0.05,
    "scale_fast_lr": False,
    "scale_transfer_lr": False,
    "transfer_lr_follows_schedule": False,
    "auto_scale": False,
    "auto_scale_by_batch": False,
    "auto_scale_limit": 0.0,
    "auto_granularity": 1000.0,
    "units_in_mbatch": True,
    "transfer_every": 1.0,
    "sweep_every": 0.0,
    "spread_remainder": False,
    "start": TransferStart.AFTER_PERIOD,
    "anneal_sweeps": 0.0,
    "estimator": LowPassFilter,
}
"""The paper's settings for E-RIDER (Tables 1 and 2), made for its network, its device (4.3 states)
and 40 epochs: ``build_config("e-rider", device, **PAPER_SETTINGS)``. Pulse trains and mapping are
given apart (``update``, ``transfer_update``, ``mapping``)."""

ALGORITHMS: Dict[str, Dict[str, Any]] = {
    "e-rider": {
        **COMMON,
        "reference": ReferenceType.DYNAMIC,
        "in_chop_prob": 0.05,
        "tail_weightening": 5.0,
        "estimator": RunningMean,
    },
    "rider": {
        **COMMON,
        "reference": ReferenceType.DYNAMIC,
        "reference_sync": ReferenceSync.EVERY_READ,
        "in_chop_prob": 0.0,
        "eta": 0.05,
        "estimator": RunningMean,
    },
    "residual": {**COMMON, "reference": ReferenceType.ZERO, "in_chop_prob": 0.0},
    "two-stage": {**COMMON, "reference": ReferenceType.STATIC, "in_chop_prob": 0.0},
}
"""Settings of each tracking algorithm; every field can be overridden."""

UNMANAGED: Dict[str, object] = {
    "noise_management": NoiseManagementType.NONE,
    "bound_management": BoundManagementType.NONE,
}
"""How lines are read for a transfer."""

WHOLE_TRAINS: Dict[str, bool] = {"update_bl_management": False, "update_management": True}
"""How transfers are pulsed. Without update management a train of BL pulses sends sqrt(BL) at most:
probabilities of both lines are made for inputs of one, and a line asks for up to BL steps."""

AIHWKIT_ALGORITHMS = (
    "sgd",
    "mp",
    "mixed-precision",
    "tiki-taka",
    "ttv1",
    "tt",
    "ttv2",
    "chopped-ttv2",
    "ttv3",
    "c-ttv2",
    "agad",
    "ttv4",
)
"""The names that aihwkit's ``build_config`` knows."""

Factory = Callable[..., Any]


def _factory(given: object) -> Factory:
    """Return a function that makes a changed copy of an instance, or calls a class."""
    if callable(given):
        return given

    def copy(**changes: object) -> object:
        copied = deepcopy(given)
        for name, value in changes.items():
            setattr(copied, name, value)
        return copied

    return copy


def build_config(
    algorithm: str,
    device: Union[Type[PulsedDevice], PulsedDevice, Callable[..., PulsedDevice]],
    io_parameters: Union[
        Type[IOParameters], IOParameters, Callable[..., IOParameters]
    ] = IOParameters,
    up_parameters: Union[
        Type[UpdateParameters], UpdateParameters, Callable[..., UpdateParameters]
    ] = UpdateParameters,
    n_devices: int = 1,
    construction_seed: int = 0,
    n_arrays: int = 2,
    **kwargs: object,
) -> Union[TrackingRPUConfig, UnitCellRPUConfig, SingleRPUConfig, DigitalRankUpdateRPUConfig]:
    r"""Generate an RPU configuration for analog training.

    aihwkit's :func:`~aihwkit.simulator.configs.helpers.build_config` with more algorithms. Their
    learning rates and pulse trains follow from the device's number of states,
    by the rules of :class:`~aihwkit_dspt.DeviceDefaults`.

    Args:
        algorithm: one of

            * ``"e-rider"``: E-RIDER, paper Algorithm 3;
            * ``"rider"``: RIDER, Algorithm 2 (no chopper, the reference follows each read);
            * ``"residual"``: residual learning with the reference at zero;
            * ``"two-stage"``: residual learning with a calibrated reference, Algorithm 4; set it
              with :meth:`~aihwkit_dspt.TrackingTile.set_reference`;
            * any name that aihwkit knows (``"sgd"``, ``"ttv2"``, ``"agad"``, ...), which is
              handed on to aihwkit as it is.
        device: pulsed device (or unit cell) of both arrays, a class or an instance.
        io_parameters: forward, backward and transfer reads, a class or an instance.
        up_parameters: gradient and transfer pulses, a class or an instance, of which
            ``desired_bl`` is replaced; pass ``update`` and ``transfer_update`` to set it.
        n_devices: devices in the unit cell, for aihwkit's ``"sgd"`` only.
        construction_seed: seed of the devices; with the same seed aihwkit's compounds draw the
            same devices.
        n_arrays: arrays in the chain, for the tracking algorithms. With more than two the weight
            of an array between is half that of the one before, and one after the other learns what
            the ones before it leave, see ``docs/concepts/chains.md``.
        kwargs: fields of :class:`~aihwkit_dspt.TrackingTransferCompound` (``gamma``,
            ``fast_lr``, ...) or of the RPU configuration (``mapping``, ``forward``, ...). Whoever
            passes ``transfer_every`` counts in batches, unless ``units_in_mbatch=False``. For
            aihwkit's algorithms, fields of their compound (or of the device, where there is none)
            or of the RPU configuration.

    Returns:
        the RPU configuration.

    Raises:
        ArgumentError: if the algorithm or a keyword is not known, or an argument is of the wrong
            type.
        ConfigError: if a setting is not valid or the device is not a pulsed one.
    """
    known = [*ALGORITHMS, *AIHWKIT_ALGORITHMS]
    name = algorithm.lower() if isinstance(algorithm, str) else ""
    if name not in known:
        raise ArgumentError(
            f"algorithm={shown(algorithm)} is not known{suggestion(name, known)}; pass one of "
            f"{known}"
        )
    _require_makes("device", device, (PulsedDevice, UnitCell))
    _require_makes("io_parameters", io_parameters, (IOParameters,))
    _require_makes("up_parameters", up_parameters, (UpdateParameters,))
    n_devices = require_whole("n_devices", n_devices, 1)
    construction_seed = require_whole("construction_seed", construction_seed, 0, LARGEST_SEED)
    n_arrays = require_whole("n_arrays", n_arrays, 2, MOST_ARRAYS)
    if name in AIHWKIT_ALGORITHMS:
        if n_arrays != 2:
            raise ArgumentError(
                f"n_arrays={n_arrays} is not valid for {name!r}, which aihwkit builds: pass 2"
            )
        arguments = algorithm, device, io_parameters, up_parameters, n_devices, construction_seed
        return _aihwkit_config(arguments, kwargs)
    if n_devices != 1:
        raise ArgumentError(
            f"n_devices={n_devices} is not valid for {name!r}: it has one fast and one slow "
            "device; pass 1"
        )
    of_device, of_config = _by_owner(kwargs, TrackingTransferCompound, TrackingRPUConfig)

    make_device = _factory(device)
    make_io = _factory(io_parameters)
    make_up = _factory(up_parameters)
    devices = [plain(make_device()) for _ in range(n_arrays)]
    derived = DeviceDefaults.of(devices[0])
    settings: Dict[str, Any] = {
        "unit_cell_devices": devices,
        **derived.of_compound(),
        "transfer_forward": make_io(**UNMANAGED),
        "transfer_update": make_up(desired_bl=derived.transfer_bl, **WHOLE_TRAINS),
        "construction_seed": construction_seed,
        **ALGORITHMS[name],
    }
    if {"transfer_every", "transfer_every_vec", "units_in_mbatch"} & of_device.keys():
        settings.update(sweep_every=0.0, units_in_mbatch=True)
    sweep_every = of_device.get("sweep_every", settings["sweep_every"])
    if settings["in_chop_prob"] and sweep_every == COMMON["sweep_every"]:
        settings.update(derived.phases())
    settings.update(of_device)
    if n_arrays > 2:
        settings.update(chain_settings(n_arrays, settings, of_device))
    periphery: Dict[str, Any] = {
        "forward": make_io(),
        "backward": make_io(),
        "update": make_up(desired_bl=derived.desired_bl),
        "mapping": derived.mapping(n_arrays),
    }
    periphery.update(of_config)
    return TrackingRPUConfig(device=TrackingTransferCompound(**settings), **periphery)


def _by_owner(
    kwargs: Mapping[str, object], device: Any, config: Any
) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Return the keywords that are fields of the device, and those of the configuration.

    Args:
        kwargs: the keywords.
        device: the dataclass of the device, or an instance.
        config: that of the RPU configuration.

    Raises:
        ArgumentError: if one is neither.
    """
    of_config = {item.name for item in fields(config)} - {"device", "tile_class"}
    of_device = {item.name for item in fields(device)} - of_config
    for key in kwargs:
        if key not in of_device | of_config:
            owners = [
                owner.__name__ if isinstance(owner, type) else type(owner).__name__
                for owner in (device, config)
            ]
            raise ArgumentError(
                f"{key!r} is a field neither of {owners[0]} nor of {owners[1]}"
                f"{suggestion(key, of_device | of_config)}"
            )
    return (
        {key: value for key, value in kwargs.items() if key in of_device},
        {key: value for key, value in kwargs.items() if key in of_config},
    )


def _aihwkit_config(arguments: Tuple[Any, ...], kwargs: Mapping[str, object]) -> Any:
    """Return what aihwkit's ``build_config`` makes, with fields of its device set, too.

    aihwkit's own function takes fields of the configuration only.
    """
    usual = aihwkit_build_config(*arguments)
    of_device, of_config = _by_owner(kwargs, usual.device, usual)
    config: Any = aihwkit_build_config(*arguments, **of_config)
    for key, value in of_device.items():
        setattr(config.device, key, value)
    return plain(config)


def _require_makes(name: str, value: object, kinds: Tuple[type, ...]) -> None:
    """Raise ``ArgumentError`` unless a value is of one of the kinds, or makes one that is."""
    if not isinstance(value, kinds) and not callable(value):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ArgumentError(
            f"{name}={shown(value)} is not valid: pass a class, an instance or a function that "
            f"makes a {names}"
        )
