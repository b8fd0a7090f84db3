"""The compound device that says what a tracking tile simulates."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any, List, Optional, Type, Union

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.compounds import DynamicTransferCompound
from aihwkit.simulator.configs.devices import PulsedDevice
from aihwkit.simulator.parameters.enums import RPUDataType
from numpy import float32
from torch.serialization import add_safe_globals

from aihwkit_dspt.configs.built import Buildable
from aihwkit_dspt.configs.checks import (
    require,
    require_bool,
    require_enum,
    require_number,
    require_subclass,
    strict_fields,
)
from aihwkit_dspt.configs.device_checks import check_device
from aihwkit_dspt.configs.enums import ReadMode, ReferenceSync, ReferenceType, TransferScope
from aihwkit_dspt.configs.link_settings import check_links, residual_scales
from aihwkit_dspt.configs.parameter_checks import check_io, check_update
from aihwkit_dspt.stages.buffer import TransferBuffer
from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.estimators import LowPassFilter, SymmetricPointEstimator


def chop_period(in_chop_prob: float) -> int:
    """Return the period of regular chopper flips in full sweeps, as aihwkit's C++ does."""
    if in_chop_prob > 0.0:
        return max(int(ceil(float32(1.0) / float32(in_chop_prob))), 2)
    return 2


@strict_fields
@dataclass
class TrackingTransferCompound(Buildable, DynamicTransferCompound):
    r"""Two or more analog arrays and tracked symmetric-point (SP) references.

    The model is evaluated at the mixed weight (paper sec. 3)

    .. math:: \bar W = W + \gamma\, c \circ (P - \tilde Q)

    with the slow array :math:`W`, the fast array :math:`P` that takes the gradient pulses, the
    chopper :math:`c \in \{-1, +1\}` and the reference :math:`\tilde Q`. Reads of the fast array
    are compared with the reference, the chopped residual is accumulated in the digital buffer
    and truncated to whole pulses on the slow array.

    More than two ``unit_cell_devices`` (the fastest first, as in aihwkit) are a chain of arrays
    :math:`W_N, \ldots, W_0`: each is read and transferred to the next slower one by a link with
    chopper, schedule, buffer, estimate and reference of its own, and

    .. math:: \bar W = W_0 + \sum_{n=1}^{N} \gamma_n\, c_n \circ (W_n - \tilde Q_n)

    The chopper :math:`c_n` modulates what is written to :math:`W_n`, be it gradient or transfer.

    All fields of aihwkit's
    :class:`~aihwkit.simulator.configs.compounds.DynamicTransferCompound` keep their name, default
    and C++ meaning. (Its ``ChoppedTransferCompound`` has some other defaults: choppers there
    flip at random.) Every published member of the family is one point of this class:

    ==================  =========  ==================  ================  =========
    method              reference  reference_sync      in_chop_prob      gamma
    ==================  =========  ==================  ================  =========
    TT-v2               ZERO       --                  0                 0
    c-TTv2              ZERO       --                  p                 0
    AGAD                DYNAMIC    CHOPPER_FLIP        p                 0
    residual learning   ZERO       --                  0                 :math:`\gamma`
    two-stage           STATIC     --                  0                 :math:`\gamma`
    RIDER               DYNAMIC    EVERY_READ          0                 :math:`\gamma`
    E-RIDER             DYNAMIC    CHOPPER_FLIP        p                 :math:`\gamma`
    ==================  =========  ==================  ================  =========

    Differences from what aihwkit does with the same fields, all deliberate:

    * ``gamma`` weighs the chopped residual, not the raw fast array, and does not rescale
      ``transfer_lr``.
    * ``in_chop_prob=0`` is allowed (RIDER); C++ AGAD refuses it.
    * ``out_chop_prob`` and ``no_buffer`` act with every reference; C++ AGAD ignores them.

    Source: Xiao et al., ICML 2026, Algorithms 2 to 4; Rasch et al., Nat. Commun. 2024 (AGAD); Li et
    al., AISTATS 2026 (more than two arrays).

    Raises:
        ConfigError: at construction, if a setting is misspelled, out of range or contradicts
            another one. The message names the field, its value and what to pass.
    """

    gamma: Union[float, List[float]] = 0.0
    r"""Residual scale :math:`\gamma` of the mixed weight. ``0`` evaluates the model at the slow
    array alone (AGAD, TT-v2).

    With more than two arrays :math:`\gamma_n = \gamma^n`, where :math:`n` is the distance to the
    slowest array, or a list has one number for each link, fastest first. ``transfer_every_vec`` and
    ``transfer_lr_vec`` are such lists, too (an entry for the slowest device may follow, as in
    aihwkit; it is not used). Without ``transfer_every_vec`` each period is ``out_size`` times that
    of the link before, with the cells along a line ``out_size``, as in aihwkit's C++
    ``TransferCompound``; with ``TransferScope.ARRAY`` all are equal."""

    reference: ReferenceType = ReferenceType.DYNAMIC
    """Where the symmetric-point reference of the fast array comes from."""

    reference_sync: ReferenceSync = ReferenceSync.CHOPPER_FLIP
    r"""When :math:`\tilde Q` takes the value of the estimate. Used with a dynamic reference."""

    eta: Optional[float] = None
    r"""Step size :math:`\eta` of the SP estimate (paper eq. (12)).

    ``None`` is aihwkit's rule
    :math:`\min(\text{tail\_weightening} / n, 1)` with
    :math:`n = \max(\lceil 1/\text{in\_chop\_prob} \rceil, 2)` reads in a chopper period. It needs
    a chopper; without one ``eta`` has to be given."""

    reference_device: Optional[PulsedDevice] = None
    r"""Analog device that holds :math:`\tilde Q`.

    If given, each sync programs the reference with pulses on an array of this device, so that
    it has the device's granularity, bounds and write noise, and the programming events are
    counted. ``None`` is an exact digital register."""

    transfer_scope: TransferScope = TransferScope.LINE
    """Whether one column (row) or the whole array is read and transferred at each event.

    The whole array is timed as Algorithms 2 and 3 are printed: transfers start at the first event,
    and random choppers flip with probability ``in_chop_prob`` only. Line by line the timing is that
    of aihwkit's C++ compound: with a dynamic reference that is synced on flips, transfers start
    after the first chopper period, and random choppers also flip when a period is over."""

    read_mode: ReadMode = ReadMode.AUTO
    """How products and reads of lines are simulated: in which way, not with which result."""

    estimator: Type[SymmetricPointEstimator] = LowPassFilter
    """Class of the estimator of the symmetric points, with a dynamic reference: one of
    :data:`~aihwkit_dspt.ESTIMATORS` or of your own (see ``docs/extending.md``)."""

    buffer: Type[TransferBuffer] = TransferBuffer
    """Class of the transfer buffer, which says what leaves it."""

    chopper: Type[Chopper] = Chopper
    """Class of the chopper, which says what flips."""

    scale_fast_lr: bool = False
    """Whether ``fast_lr`` is scaled with the current learning rate of the SGD.

    aihwkit has this field on compounds from 1.2.0 on, with the same default; here it works
    on both host versions."""

    def __post_init__(self) -> None:
        self.check()

    # -- derived quantities ---------------------------------------------------------------

    def chop_period(self) -> int:
        """Return the chopper period in full sweeps, see :func:`chop_period`."""
        return chop_period(self.in_chop_prob)

    def estimator_eta(self) -> float:
        """Return the step size of the SP estimate, see :attr:`eta`."""
        if self.eta is not None:
            return float(self.eta)
        return min(float(float32(self.tail_weightening) / float32(self.chop_period())), 1.0)

    def method_name(self) -> str:
        """Return which member of the family this is, by the name in the table above."""
        is_mixed = any(residual_scales(self))
        if self.reference is ReferenceType.ZERO:
            if is_mixed:
                return "residual learning"
            return "c-TTv2" if self.in_chop_prob > 0.0 else "TT-v2"
        if self.reference is ReferenceType.STATIC:
            return "two-stage"
        if self.reference_sync is ReferenceSync.EVERY_READ:
            return "RIDER"
        return "E-RIDER" if is_mixed else "AGAD"

    # -- checks ---------------------------------------------------------------------------

    def check(self) -> None:
        """Check all fields; called at construction and again when a tile is built.

        Raises:
            ConfigError: naming the first field that is not valid.
        """
        self._check_unit_cell()
        self._check_numbers()
        check_links(self)
        self._check_unsupported()
        self._check_reference()
        self._check_stages()

    def _check_unit_cell(self) -> None:
        require(
            isinstance(self.unit_cell_devices, list) and len(self.unit_cell_devices) != 1,
            "unit_cell_devices",
            self.unit_cell_devices,
            "pass a list of two devices, [fast, slow], or of more, the fastest first",
        )
        for number, device in enumerate(self.unit_cell_devices):
            check_device(f"unit_cell_devices[{number}]", device)

    def _check_numbers(self) -> None:
        require_number("in_chop_prob", self.in_chop_prob, 0.0, 1.0)
        require_number("out_chop_prob", self.out_chop_prob, 0.0, 1.0)
        require_number("transfer_every", self.transfer_every)
        require_number("fast_lr", self.fast_lr, low=0.0)
        require_number("transfer_lr", self.transfer_lr, low=0.0)
        require_number("step", self.step, low=0.0, low_open=True)
        require_number("momentum", self.momentum, 0.0, 1.0)
        require_number("buffer_granularity", self.buffer_granularity, low=0.0)
        require_number("auto_granularity", self.auto_granularity, low=0.0)
        require_number("auto_momentum", self.auto_momentum, 0.0, 1.0)
        require_number("buffer_cap", self.buffer_cap, low=0.0)
        require_number("tail_weightening", self.tail_weightening, low=0.0, low_open=True)
        if self.eta is not None:
            require_number("eta", self.eta, 0.0, 1.0, low_open=True)
        for name in (
            "in_chop_random",
            "auto_scale",
            "correct_gradient_magnitudes",
            "forget_buffer",
            "no_buffer",
            "scale_fast_lr",
            "scale_transfer_lr",
            "transfer_columns",
            "units_in_mbatch",
            "experimental_correct_accumulation",
        ):
            require_bool(name, getattr(self, name))

    def _check_unsupported(self) -> None:
        """Refuse settings of the base classes that have no meaning for tracked arrays."""
        sequential = "the fast array is read line by line in sequence; pass "
        require(
            self.n_reads_per_transfer == 1,
            "n_reads_per_transfer",
            self.n_reads_per_transfer,
            sequential + "1, or transfer_scope=TransferScope.ARRAY",
        )
        require(not self.random_selection, "random_selection", True, sequential + "False")
        require(
            self.with_reset_prob == 0.0,
            "with_reset_prob",
            self.with_reset_prob,
            "a reset would move the fast array away from what the reference tracks; pass 0",
        )
        require(self.no_self_transfer, "no_self_transfer", False, "a device cannot receive itself")
        check_update("transfer_update", self.transfer_update)
        check_io("transfer_forward", self.transfer_forward, is_managed=False)

    def _check_stages(self) -> None:
        for name, base in (
            ("estimator", SymmetricPointEstimator),
            ("buffer", TransferBuffer),
            ("chopper", Chopper),
        ):
            require_subclass(name, getattr(self, name), base)
        require(
            self.reference is ReferenceType.DYNAMIC or self.estimator is LowPassFilter,
            "estimator",
            self.estimator,
            f"nothing is estimated with reference={self.reference}; leave the default",
        )
        # A state with these settings is to be loaded with weights_only=True.
        add_safe_globals([self.estimator, self.buffer, self.chopper])

    def _check_reference(self) -> None:
        require_enum("read_mode", self.read_mode, ReadMode)
        require_enum("reference", self.reference, ReferenceType)
        require_enum("reference_sync", self.reference_sync, ReferenceSync)
        require_enum("transfer_scope", self.transfer_scope, TransferScope)
        dynamic = self.reference is ReferenceType.DYNAMIC
        every_read = self.reference_sync is ReferenceSync.EVERY_READ
        if dynamic and self.in_chop_prob == 0.0:
            require(
                every_read,
                "in_chop_prob",
                0.0,
                "without a chopper nothing flips and the reference would never be synced; pass "
                "in_chop_prob > 0 (E-RIDER) or reference_sync=ReferenceSync.EVERY_READ (RIDER)",
            )
            require(
                self.eta is not None,
                "eta",
                None,
                "without a chopper there is no period to derive it from; pass eta in (0, 1]",
            )
        if not dynamic:
            require(
                self.eta is None,
                "eta",
                self.eta,
                f"nothing is estimated with reference={self.reference}; pass None or "
                "reference=ReferenceType.DYNAMIC",
            )
            require(
                not every_read,
                "reference_sync",
                self.reference_sync,
                f"nothing is synced with reference={self.reference}; leave the default",
            )
            require(
                not self.experimental_correct_accumulation,
                "experimental_correct_accumulation",
                True,
                "it corrects the dynamic reference; pass reference=ReferenceType.DYNAMIC",
            )
        if self.reference_device is not None:
            check_device("reference_device", self.reference_device, with_cells=False)
            require(
                self.reference is not ReferenceType.ZERO,
                "reference_device",
                type(self.reference_device).__name__,
                "with reference=ReferenceType.ZERO there is nothing to hold; pass None",
            )

    def as_bindings(self, data_type: RPUDataType) -> Any:
        """Refuse the conversion into a single C++ compound, which cannot track.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "TrackingTransferCompound is simulated by TrackingTile on several C++ tiles, not by "
            "aihwkit's AnalogTile; use it in a TrackingRPUConfig (its tile_class is TrackingTile)"
        )
