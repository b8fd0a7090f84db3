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

from aihwkit_dspt.configs.built import Buildable
from aihwkit_dspt.configs.checks import (
    strict_fields,
)
from aihwkit_dspt.configs.compound_checks import check_compound
from aihwkit_dspt.configs.enums import (
    PulseMode,
    ReadMode,
    ReferenceSync,
    ReferenceType,
    TransferScope,
    TransferStart,
)
from aihwkit_dspt.configs.link_settings import residual_scales
from aihwkit_dspt.stages.buffer import TransferBuffer
from aihwkit_dspt.stages.chopper import Chopper
from aihwkit_dspt.stages.estimator import SymmetricPointEstimator
from aihwkit_dspt.stages.estimators import LowPassFilter


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
    :math:`\min(\mathtt{tail\_weightening} / n, 1)` with
    :math:`n = \max(\lceil 1/\mathtt{in\_chop\_prob} \rceil, 2)` reads in a chopper period. It needs
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

    start: TransferStart = TransferStart.AFTER_PERIOD
    """When the slow array starts to learn, see :class:`~aihwkit_dspt.TransferStart`."""

    spread_remainder: bool = False
    """Whether weights that are set keep their sums over the inputs of an output.

    Cells that cannot hold theirs take a bound, and the other cells of the output the rest.
    Otherwise, as in aihwkit, a cell with a reference may show a weight out of its bounds, and takes
    the bound with its first pulse. Where symmetric points, and so bounds, are shifted to one side,
    these jumps add up over the inputs. Unit cells are set as aihwkit does."""

    sweep_every: float = 0.0
    """Vectors in which the whole fast array is read once, whatever its size, the batch and the
    layer. After each batch as many lines are transferred as its vectors are due, in one event;
    after a batch of that many vectors or more, all lines. In a chain the periods of slower links
    grow by 5. ``0`` transfers a line each ``transfer_every``, as aihwkit does."""

    anneal_sweeps: float = 0.0
    r"""Sweep over the fast array in which transfers are as large as ``transfer_lr`` says: in the
    :math:`k`-th sweep increments of the buffer are multiplied with
    :math:`\min(\sqrt{\text{anneal\_sweeps}/k}, 4)`, so that the noise which transfers leave in the
    slow array averages out. In a chain the root is divided by the weight :math:`\gamma_n` of the
    array that is written. ``0`` leaves them as they are, as aihwkit does."""

    join_sweeps: Union[float, List[Optional[float]], None] = 0.0
    """Warm start of a chain: sweeps over the fast array until the next array joins.

    At first the fast array is transferred to the slowest one alone. Then the next slower array but
    one joins and takes the transfers, while the slowest keeps what it has learned, and so on to the
    least significant. A list has one number for each array between, the most significant first.
    ``0`` lets all join at once. ``None`` waits for :func:`~aihwkit_dspt.join_next_array` or
    :class:`~aihwkit_dspt.WarmStart`."""

    auto_scale_by_batch: bool = False
    """Whether ``auto_scale`` follows the vectors of a batch at once, not one by one.

    One by one (aihwkit's C++) each vector has a learning rate of its own, and is an update of its
    own. At once, the averages of the batch are taken over before its update."""

    auto_scale_limit: float = 0.0
    r"""With ``auto_scale``: what the products of a batch may sum up to, on average over the cells,
    in units of the largest one :math:`m_x m_d`. Learning rates of batches with more are smaller:

    .. math:: \alpha = \frac{\mathtt{fast\_lr}\, BL\, \Delta w_{min}}
              {\max\left(m_x m_d,\; S / \mathtt{auto\_scale\_limit}\right)}, \qquad
              S = \sum_v \overline{|x_v|}\; \overline{|d_v|}

    Batches of thousands of vectors (pixels of a convolution) otherwise send a cell of the fast
    array through its range in one step, and it forgets all but the last of them. ``0`` for no
    limit, as aihwkit."""

    read_mode: ReadMode = ReadMode.AUTO
    """How products and reads of lines are simulated: in which way, not with which result."""

    pulse_mode: PulseMode = PulseMode.AUTO
    """How pulses are simulated: in which way, not with which result. Batched pulses pay where cells
    take many in a batch: fine devices, dense inputs, large batches."""

    estimator: Type[SymmetricPointEstimator] = LowPassFilter
    """Class of the estimator of the symmetric points, with a dynamic reference: one of
    :data:`~aihwkit_dspt.ESTIMATORS` or of your own (see ``docs/extending.md``)."""

    buffer: Type[TransferBuffer] = TransferBuffer
    """Class of the transfer buffer, which says what leaves it."""

    chopper: Type[Chopper] = Chopper
    """Class of the chopper, which says what flips."""

    transfer_lr_follows_schedule: bool = False
    """Whether ``transfer_lr`` is scaled with the ratio of the SGD learning rate to the largest so
    far, so that a schedule reaches the transfers and the size of the learning rate does not (that
    reaches the slow array through the fast one, see ``scale_fast_lr``). ``scale_transfer_lr``
    follows the schedule already."""

    scale_fast_lr: bool = False
    """Whether ``fast_lr`` is scaled with the current learning rate of the SGD.

    aihwkit has this field on compounds from 1.2.0 on, with the same default; here it works
    on both host versions."""

    def __post_init__(self) -> None:
        self.check()

    # -- derived quantities ---------------------------------------------------------------

    def chop_period(self) -> int:
        """Return the chopper period in full sweeps, as aihwkit's C++ rounds it."""
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
        check_compound(self)

    def as_bindings(self, data_type: RPUDataType) -> Any:
        """Refuse the conversion into a single C++ compound, which cannot track.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "TrackingTransferCompound is simulated by TrackingTile on several C++ tiles, not by "
            "aihwkit's AnalogTile; use it in a TrackingRPUConfig (its tile_class is TrackingTile)"
        )
