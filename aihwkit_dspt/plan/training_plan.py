"""A preflight: what a training will do to the arrays of a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Callable, Dict, List, Optional, Sequence

from aihwkit.exceptions import ArgumentError
from torch import Tensor, nn

from aihwkit_dspt.configs.checks import require_argument, require_whole
from aihwkit_dspt.plan.first_step import warn_at_first_step
from aihwkit_dspt.plan.measure import Signals, Vectors, given, of_loss, of_shape
from aihwkit_dspt.plan.tile_plan import TilePlan, tile_plan
from aihwkit_dspt.tiles.of_model import tracking_tiles

PRODUCT = 0.05
"""Mean of ``|x d|`` where no batch says it; with ``auto_scale`` the largest ones count as one."""

ROWS: Dict[str, str] = {
    "vectors_per_step": "vectors per step",
    "vectors_per_sweep": "vectors per sweep",
    "steps_per_sweep": "steps per sweep",
    "chopper_period": "chopper period, steps",
    "first_write": "first write of W, step",
    "product": "mean |x d|",
    "fast_pulses": "pulses on P, cell and step",
    "slow_pulses": "pulses on W, cell and step (at most)",
    "reads_per_step": "lines read per step",
    "programmed_lines": "reference lines programmed per step",
    "fast_share": "share of P that is used",
    "slow_share": "share of W that is used (at most)",
    "slow_total": "pulses on a cell of W (at most)",
}
"""Field of a plan -> its name in the table."""


@dataclass(frozen=True)
class TrainingPlan:
    """What a run does to the arrays of a model."""

    steps: int
    """Steps of the run."""

    tiles: Dict[str, TilePlan]
    """Name of the tile in the model -> its plan."""

    @property
    def warnings(self) -> List[str]:
        """What goes wrong in which tiles, and what to do about it."""
        tiles: Dict[str, List[str]] = {}
        for name, plan in self.tiles.items():
            for warning in plan.warnings:
                tiles.setdefault(warning, []).append(short_name(name))
        return [f"{', '.join(names)}: {warning}" for warning, names in tiles.items()]

    @property
    def idle_tiles(self) -> List[str]:
        """Names of the tiles whose slow array learns nothing in the run."""
        return [name for name, plan in self.tiles.items() if not plan.learns]

    def to_dict(self) -> Dict[str, object]:
        """Return plain numbers, for JSON."""
        return asdict(self)

    def table(self) -> str:
        """Return a table with a column per tile, and the warnings below; ``-`` is never."""
        first = max(map(len, ROWS.values()))
        width = max(12, *(len(short_name(name)) for name in self.tiles)) + 2
        head = "".join(f"{short_name(name):>{width}}" for name in self.tiles)
        lines = [f"{f'{self.steps:,} steps':<{first}}{head}"]
        for field, text in ROWS.items():
            cells = (_shown(getattr(plan, field)) for plan in self.tiles.values())
            lines.append(f"{text:<{first}}" + "".join(f"{cell:>{width}}" for cell in cells))
        return "\n".join(lines + [f"- {warning}" for warning in self.warnings])

    def __str__(self) -> str:
        return self.table()


def training_plan(
    model: nn.Module,
    vectors_per_step: Optional[Vectors] = None,
    *,
    steps: int,
    input_shape: Optional[Sequence[int]] = None,
    loss: Optional[Callable[[nn.Module], Tensor]] = None,
    lr: float = 0.1,
    product: float = PRODUCT,
) -> TrainingPlan:
    r"""Say what a training will do to the arrays of a model, without data or with a batch.

    Exact are the numbers of the schedule (sweeps, reads, first write of W, programmed lines): its
    own objects go through the steps, from their present state on. Pulses are estimates, see
    :class:`~aihwkit_dspt.TilePlan`, of a run that has started: in its first twelve sweeps the fast
    array gets up to five times as many, and transfers may be held back. One of these says what the
    tiles see::

        print(training_plan(model, vectors_per_step=64, steps=5000))
        print(training_plan(model, input_shape=(8, 1, 28, 28), steps=5000))
        print(training_plan(model, loss=lambda model: criterion(model(x), y), steps=5000))

    If nothing reaches the slow array of a tile in the run, the first step of training warns, once.

    Args:
        model: a model with tracking tiles, or one tile; it stays as it is.
        vectors_per_step: vectors that a layer sees in a step: the images of a batch, or its tokens
            (batch x length), or batch x positions for a convolution. One number for all tiles, or
            name of a tile (or of a module around it) -> number.
        steps: steps of the run.
        input_shape: shape of a batch. A copy of the model multiplies zeros, and its tiles count the
            vectors.
        loss: function of the model that returns the loss of a batch. A copy of the model takes a
            step of training, and its tiles count vectors and expected pulses.
        lr: learning rate of the optimizer.
        product: mean of :math:`|x_j\, d_i|` over cells and vectors, where it is not measured; with
            ``auto_scale`` in units of the largest input times the largest error.

    Raises:
        ArgumentError: if not exactly one of ``vectors_per_step``, ``input_shape`` and ``loss`` is
            given, or an argument is not valid.
        TileError: if the model has no tracking tile.
    """
    steps = require_whole("steps", steps, 1)
    lr = require_argument("lr", lr, 0.0)
    product = require_argument("product", product, 0.0)
    tiles = tracking_tiles(model)
    signals = _signals(model, vectors_per_step, input_shape, loss, lr)
    plans = {
        name: tile_plan(tile, signals[name], steps, lr, product) for name, tile in tiles.items()
    }
    plan = TrainingPlan(steps, plans)
    warn_at_first_step(tiles, plan.idle_tiles, first_warning(plan))
    return plan


def _signals(
    model: nn.Module,
    vectors_per_step: Optional[Vectors],
    input_shape: Optional[Sequence[int]],
    loss: Optional[Callable[[nn.Module], Tensor]],
    lr: float,
) -> Dict[str, Signals]:
    """Return what the tiles see in a step, from the one argument that says it."""
    arguments = vectors_per_step, input_shape, loss
    if sum(argument is not None for argument in arguments) != 1:
        raise ArgumentError("pass exactly one of vectors_per_step, input_shape and loss")
    if loss is not None:
        return of_loss(model, loss, lr)
    if input_shape is not None:
        return of_shape(model, input_shape)
    assert vectors_per_step is not None
    return given(model, vectors_per_step)


def first_warning(plan: TrainingPlan) -> str:
    """Return what the first step warns of."""
    idle = ", ".join(map(short_name, plan.idle_tiles))
    head = f"W of {idle} learns nothing in {plan.steps:,} steps:"
    return "\n- ".join([head, *plan.warnings])


def short_name(name: str) -> str:
    """Return the name of the layer of a tile, and of the part that it is of a mapped layer."""
    return ".".join(part for part in name.split(".") if part != "analog_module") or "tile"


def _shown(value: Optional[float]) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
