"""What the settings of a compound mean for each of its links, and when its arrays join."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, List, Optional

from numpy import float32

from aihwkit_dspt.configs.checks import require, require_number

if TYPE_CHECKING:
    from aihwkit_dspt.configs.compound import TrackingTransferCompound

LARGEST_GAMMA = 1e6
"""Powers of it, of a chain, fit single precision."""

CHAIN_GROWTH = 5.0
"""Period of a link in a chain of more than two arrays, relative to that of the link before."""


def residual_scales(config: TrackingTransferCompound) -> List[float]:
    r"""Return the weight :math:`\gamma_n` of each residual, that of the fastest array first.

    A number is raised to the power of the distance to the slowest array, as in aihwkit's
    compounds: with two arrays it is that number.
    """
    if isinstance(config.gamma, list):
        return [float(scale) for scale in config.gamma]
    n_links = max(len(config.unit_cell_devices) - 1, 1)
    return [float(config.gamma) ** (n_links - number) for number in range(n_links)]


def of_link(
    config: TrackingTransferCompound, number: int, growth: float = 1.0
) -> TrackingTransferCompound:
    """Return the compound of two arrays that a link of a longer chain is.

    Args:
        config: the compound.
        number: number of the array that the link reads, as in ``unit_cell_devices``.
        growth: ratio of a link's period to that of the one before, where the configuration does
            not say it.
    """
    devices = config.unit_cell_devices
    if len(devices) == 2 and not isinstance(config.gamma, list):
        return config
    every, rate = config.transfer_every, config.transfer_lr
    if config.transfer_every_vec:
        every = config.transfer_every_vec[number]
    elif number > 0:
        # One multiplication after the other in single precision, as in C++.
        grown = float32(every)
        for _ in range(number):
            grown = grown * float32(growth)
        every = float(grown)
    sweep_every = config.sweep_every * CHAIN_GROWTH**number
    if config.transfer_lr_vec:
        rate = config.transfer_lr_vec[number]
    link = copy(config)
    link.__dict__.update(
        unit_cell_devices=devices[number : number + 2],
        gamma=residual_scales(config)[number],
        transfer_every=every,
        transfer_every_vec=[],
        sweep_every=sweep_every,
        transfer_lr=rate,
        transfer_lr_vec=[],
    )
    return link


def check_links(config: TrackingTransferCompound) -> None:
    """Check the settings that may differ from link to link.

    Raises:
        ConfigError: naming the first field that is not valid.
    """
    n_devices = len(config.unit_cell_devices)
    n_links = n_devices - 1
    if isinstance(config.gamma, list):
        fits = n_devices == 0 or len(config.gamma) == n_links
        remedy = f"pass a number, or one for each of the {n_links} links, fastest first"
        require(fits and len(config.gamma) > 0, "gamma", config.gamma, remedy)
        for number, scale in enumerate(config.gamma):
            require_number(f"gamma[{number}]", scale, 0.0, LARGEST_GAMMA)
    else:
        require_number("gamma", config.gamma, 0.0, LARGEST_GAMMA)
    require(config.gamma_vec == [], "gamma_vec", config.gamma_vec, "pass gamma")
    for name, single in (
        ("transfer_every_vec", "transfer_every"),
        ("transfer_lr_vec", "transfer_lr"),
    ):
        values = getattr(config, name)
        require(isinstance(values, list), name, values, "pass a list of numbers")
        if not values:
            continue
        require(n_devices > 2, name, values, f"there is one transfer only; pass {single}")
        require(
            len(values) in (n_links, n_devices),
            name,
            values,
            f"pass one number for each of the {n_links} links, fastest first (and one for the "
            "slowest device, which is not used, as in aihwkit)",
        )
        for number, value in enumerate(values):
            low = 0.0 if single == "transfer_lr" else -float("inf")
            require_number(f"{name}[{number}]", value, low)
    numbered = enumerate(config.transfer_every_vec)
    periods = {f"transfer_every_vec[{number}]": every for number, every in numbered}
    for name, every in {"transfer_every": config.transfer_every, **periods}.items():
        require(
            config.units_in_mbatch or not 0.0 < every < 0.5,
            name,
            every,
            "in units of vectors it is rounded, here to 0, which means no transfer at all; pass 0, "
            "at least 0.5, or units_in_mbatch=True",
        )
    rates = config.transfer_lr_vec[:n_links]
    require(
        not (config.correct_gradient_magnitudes and 0.0 in rates[:-1]),
        "transfer_lr_vec",
        config.transfer_lr_vec,
        "with correct_gradient_magnitudes a link divides by the rate of the one before; pass "
        "positive numbers",
    )


def waits(config: TrackingTransferCompound) -> List[Optional[float]]:
    """Return the sweeps after which each array between joins, the most significant first.

    ``None`` where an array waits to be told.
    """
    if isinstance(config.join_sweeps, list):
        return list(config.join_sweeps)
    return [config.join_sweeps] * max(len(config.unit_cell_devices) - 2, 0)


def check_joins(config: TrackingTransferCompound) -> None:
    """Check when the arrays of a chain join.

    Raises:
        ConfigError: if ``join_sweeps`` does not fit.
    """
    given, n_between = config.join_sweeps, len(config.unit_cell_devices) - 2
    if not isinstance(given, list):
        given = [given]
        require(
            n_between > 0 or given == [0.0] or not config.unit_cell_devices,
            "join_sweeps",
            config.join_sweeps,
            "there is no array between that could join; pass 0, or more than two unit_cell_devices",
        )
    else:
        require(
            len(given) == n_between or not config.unit_cell_devices,
            "join_sweeps",
            given,
            f"pass a number, or one for each of the {max(n_between, 0)} arrays between, the most "
            "significant first",
        )
    for number, sweeps in enumerate(given):
        if sweeps is not None:
            name = f"join_sweeps[{number}]" if config.join_sweeps is given else "join_sweeps"
            require_number(name, sweeps, low=0.0)
