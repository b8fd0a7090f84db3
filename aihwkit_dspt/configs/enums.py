"""The choices that distinguish one member of the tracking-transfer family from another."""

from enum import Enum


class ReferenceType(Enum):
    """Where the symmetric-point reference of the fast array comes from."""

    DYNAMIC = "Dynamic"
    r"""Estimated while training: :math:`Q \leftarrow (1-\eta) Q + \eta P` (paper eq. (12))."""

    STATIC = "Static"
    """A calibrated constant, see :meth:`~aihwkit_dspt.TrackingTile.set_reference`. With
    zero-shifting as the calibration this is the paper's two-stage method (Algorithm 4)."""

    ZERO = "Zero"
    """No reference: the symmetric point is taken to be at zero (TT-v2, residual learning)."""


class ReferenceSync(Enum):
    r"""When the reference :math:`\tilde Q` that is in use takes the value of the estimate Q."""

    CHOPPER_FLIP = "ChopperFlip"
    """When the chopper of a line flips (E-RIDER, Algorithm 3; AGAD)."""

    EVERY_READ = "EveryRead"
    """After each read of a line (RIDER, Algorithm 2)."""


class TransferScope(Enum):
    """How much of the fast array one transfer event reads and transfers."""

    LINE = "Line"
    """One column (or row) per event, in turn, as aihwkit's compounds do."""

    ARRAY = "Array"
    """The whole array at every event, as Algorithms 2 and 3 are printed."""


class TransferStart(Enum):
    """When the slow array starts to learn."""

    AFTER_PERIOD = "AfterPeriod"
    """With a dynamic reference that is synced on flips: after the first chopper period, as in
    aihwkit's C++ compound. With any other, at the first event."""

    FIRST_SWEEP = "FirstSweep"
    """At the first event. The first phases of the chopper last 2, 2, 4, 8, ... sweeps, until they
    are as long as its period: the reference is taken early, and again while it settles. Its first
    signs alternate from line to line: what the fast array does on its way to its symmetric points
    does not add up over the inputs of a layer. Where all cells go the same way, transfers wait for
    the reference, and with ``auto_scale`` gradient pulses are more for as long (see
    ``docs/defaults.md``). Small learning rates are larger in the first twelve sweeps."""


class PulseMode(Enum):
    """How the pulses of a batch are simulated."""

    AUTO = "Auto"
    """Each where it is the faster, where device and pulses have a batched form; all others by
    aihwkit's tile. With the usual stages and up to 2**20 cells a batch in which cells take eight
    pulses or fewer on average is one compiled call, transfers included, that visits the cells where
    pulses meet. Else gradient pulses of a batch in which a cell takes more than two pulses or so go
    batched, and transfers of 2,000 pulses or more (without write noise). A batch with transfers
    after every eight vectors or more often goes batched, transfers included."""

    BATCHED = "Batched"
    """All vectors of a batch in one compiled call, equal in distribution to
    aihwkit's tile: the same pulse trains, each pulse with the step of its cell, its noise and the
    bounds; fine linear steps some at a time. Lines of a transfer likewise. Its random numbers come
    from torch's generator, so that a seed fixes them. Devices and pulses without this form are
    refused, by a ``ConfigError`` at construction that names them. On a GPU aihwkit's tile sends the
    pulses."""

    CPP = "Cpp"
    """Always aihwkit's C++ or CUDA tile, vector by vector."""


class ReadMode(Enum):
    """How products with the mixed weight and reads of single lines are simulated."""

    AUTO = "Auto"
    """A batch as one matrix product where that equals aihwkit's C++ tile in distribution and is
    faster (for most read parameters on the CPU, for the usual ones on a GPU), else aihwkit's tile,
    which on the CPU takes single vectors in any case. A line as one compiled pass, by the same
    rule. ``repr(tile)`` and :func:`~aihwkit_dspt.read_executors` say which it is."""

    TORCH = "Torch"
    """Plain torch operations for batches of any size, single vectors and lines; they are the
    definition of the faster forms. For debugging, and to repeat reads: all of their random numbers
    come from torch's generator (aihwkit's pulses are seeded by the clock). Read parameters that
    plain torch does not cover are refused, by a ``ConfigError`` at construction that names the
    field."""

    CPP = "Cpp"
    """Always aihwkit's C++ or CUDA tile."""
