"""Checks of the fields of a tracking compound."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aihwkit_dspt.configs.checks import (
    is_whole,
    require,
    require_bool,
    require_enum,
    require_number,
    require_subclass,
)
from aihwkit_dspt.configs.declared import LARGEST_SEED
from aihwkit_dspt.configs.device_checks import check_device
from aihwkit_dspt.configs.enums import (
    PulseMode,
    ReadMode,
    ReferenceSync,
    ReferenceType,
    TransferScope,
    TransferStart,
)
from aihwkit_dspt.configs.link_settings import check_joins, check_links
from aihwkit_dspt.configs.parameter_checks import check_io, check_update
from aihwkit_dspt.loadable import allow_classes
from aihwkit_dspt.stages.buffer import TransferBuffer
from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.estimator import SymmetricPointEstimator
from aihwkit_dspt.stages.estimators import LowPassFilter

if TYPE_CHECKING:
    from aihwkit_dspt.configs.compound import TrackingTransferCompound

POSITIVE_OR_ZERO = (
    *("sweep_every", "anneal_sweeps", "fast_lr", "transfer_lr", "buffer_granularity"),
    *("auto_granularity", "buffer_cap", "auto_scale_limit"),
)

FLAGS = (
    *("in_chop_random", "auto_scale", "auto_scale_by_batch", "correct_gradient_magnitudes"),
    *("spread_remainder", "forget_buffer", "no_buffer", "scale_fast_lr", "scale_transfer_lr"),
    *("transfer_lr_follows_schedule", "transfer_columns", "units_in_mbatch"),
    *("experimental_correct_accumulation", "no_self_transfer", "random_selection"),
)

RAREST_FLIPS = 2.0**-31
"""Sweeps of a period of the chopper are counted in 32 bits by aihwkit."""

CHOICES = {
    "read_mode": ReadMode,
    "pulse_mode": PulseMode,
    "reference": ReferenceType,
    "reference_sync": ReferenceSync,
    "transfer_scope": TransferScope,
    "start": TransferStart,
}


def check_compound(config: TrackingTransferCompound) -> None:
    """Check all fields.

    Raises:
        ConfigError: naming the first field that is not valid.
    """
    _check_unit_cell(config)
    _check_numbers(config)
    check_links(config)
    check_joins(config)
    _check_unsupported(config)
    _check_reference(config)
    _check_stages(config)
    # A state with these settings is to be loaded with weights_only=True.
    allow_classes(config)


def _check_unit_cell(config: TrackingTransferCompound) -> None:
    require(
        isinstance(config.unit_cell_devices, list) and len(config.unit_cell_devices) != 1,
        "unit_cell_devices",
        config.unit_cell_devices,
        "pass a list of two devices, [fast, slow], or of more, the fastest first",
    )
    for number, device in enumerate(config.unit_cell_devices):
        check_device(f"unit_cell_devices[{number}]", device)


def _check_numbers(config: TrackingTransferCompound) -> None:
    seed = config.construction_seed
    is_seed = is_whole(seed) and 0 <= seed <= LARGEST_SEED
    remedy = f"pass a whole number from 0 to {LARGEST_SEED}"
    require(is_seed, "construction_seed", seed, remedy)
    require_number("transfer_every", config.transfer_every)
    for name in ("in_chop_prob", "out_chop_prob", "momentum", "auto_momentum"):
        require_number(name, getattr(config, name), 0.0, 1.0)
    for name in POSITIVE_OR_ZERO:
        require_number(name, getattr(config, name), low=0.0)
    for name in ("step", "tail_weightening"):
        require_number(name, getattr(config, name), low=0.0, low_open=True)
    require(
        config.in_chop_prob == 0.0 or config.in_chop_prob >= RAREST_FLIPS,
        "in_chop_prob",
        config.in_chop_prob,
        f"nothing would ever flip; pass 0, or {RAREST_FLIPS:.1e} at least",
    )
    vector = config.transfer_every_vec
    name = "transfer_every" if config.transfer_every != 1.0 else "transfer_every_vec"
    require(
        config.sweep_every == 0.0 or (name == "transfer_every_vec" and not vector),
        "sweep_every",
        config.sweep_every,
        f"{name}={getattr(config, name)!r} says when to transfer, too; pass 0, or leave {name}",
    )
    if config.eta is not None:
        require_number("eta", config.eta, 0.0, 1.0, low_open=True)
    for name in FLAGS:
        require_bool(name, getattr(config, name))


def _check_unsupported(config: TrackingTransferCompound) -> None:
    """Refuse settings of the base classes that have no meaning for tracked arrays."""
    sequential = "the fast array is read line by line in sequence; pass "
    require(
        config.n_reads_per_transfer == 1,
        "n_reads_per_transfer",
        config.n_reads_per_transfer,
        sequential + "1, or transfer_scope=TransferScope.ARRAY",
    )
    require(not config.random_selection, "random_selection", True, sequential + "False")
    require(
        config.with_reset_prob == 0.0,
        "with_reset_prob",
        config.with_reset_prob,
        "a reset would move the fast array away from what the reference tracks; pass 0",
    )
    require(config.no_self_transfer, "no_self_transfer", False, "a device cannot receive itself")
    check_update("transfer_update", config.transfer_update)
    check_io("transfer_forward", config.transfer_forward, is_managed=False)


def _check_stages(config: TrackingTransferCompound) -> None:
    for name, base in (
        ("estimator", SymmetricPointEstimator),
        ("buffer", TransferBuffer),
        ("chopper", Chopper),
    ):
        require_subclass(name, getattr(config, name), base)
    require(
        config.chopper.signs is Chopper.signs,
        "chopper",
        config.chopper,
        "the mixed weight takes its in_sign and out_sign, and does not ask for signs; override due "
        "and outputs_due",
    )
    require(
        config.reference is ReferenceType.DYNAMIC or config.estimator is LowPassFilter,
        "estimator",
        config.estimator,
        f"nothing is estimated with reference={config.reference}; leave the default",
    )


def _check_reference(config: TrackingTransferCompound) -> None:
    for name, choices in CHOICES.items():
        require_enum(name, getattr(config, name), choices)
    dynamic = config.reference is ReferenceType.DYNAMIC
    every_read = config.reference_sync is ReferenceSync.EVERY_READ
    if dynamic and config.in_chop_prob == 0.0:
        require(
            every_read,
            "in_chop_prob",
            0.0,
            "without a chopper nothing flips and the reference would never be synced; pass "
            "in_chop_prob > 0 (E-RIDER) or reference_sync=ReferenceSync.EVERY_READ (RIDER)",
        )
        require(
            config.eta is not None,
            "eta",
            None,
            "without a chopper there is no period to derive it from; pass eta in (0, 1]",
        )
    if not dynamic:
        require(
            config.eta is None,
            "eta",
            config.eta,
            f"nothing is estimated with reference={config.reference}; pass None or "
            "reference=ReferenceType.DYNAMIC",
        )
        require(
            not every_read,
            "reference_sync",
            config.reference_sync,
            f"nothing is synced with reference={config.reference}; leave the default",
        )
        require(
            not config.experimental_correct_accumulation,
            "experimental_correct_accumulation",
            True,
            "it corrects the dynamic reference; pass reference=ReferenceType.DYNAMIC",
        )
    if config.reference_device is not None:
        check_device("reference_device", config.reference_device, with_cells=False)
        require(
            config.reference is not ReferenceType.ZERO,
            "reference_device",
            type(config.reference_device).__name__,
            "with reference=ReferenceType.ZERO there is nothing to hold; pass None",
        )
