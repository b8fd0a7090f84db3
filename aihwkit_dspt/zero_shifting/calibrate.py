"""Zero-shifting of a whole model: the first stage of the two-stage method."""

from __future__ import annotations

from typing import Dict, Optional

import torch
from aihwkit.exceptions import TileError
from torch import nn

from aihwkit_dspt.configs.enums import ReferenceType
from aihwkit_dspt.tiles.names import row_name
from aihwkit_dspt.tiles.of_model import tracking_tiles
from aihwkit_dspt.tiles.undo import all_or_none
from aihwkit_dspt.zero_shifting.algorithm import ZeroShiftResult, zero_shift


def calibrate(
    model: nn.Module,
    n_pulses: int,
    schedule: str = "cyclic",
    method: str = "auto",
    *,
    generator: Optional[torch.Generator] = None,
    progress: bool = True,
) -> Dict[str, ZeroShiftResult]:
    r"""Zero-shift the fast array of every tracking tile and keep the result as its reference.

    In a chain of more than two arrays these are all but the slowest, each with its reference.

    With ``reference=ReferenceType.STATIC`` this and the training after it are the two-stage
    method (paper, Algorithm 4); with a dynamic reference the estimate starts from the calibrated
    values. The fast array is left on the reference, so that the residual is zero, and the weights
    of the model are kept (as far as the devices' bounds and write noise allow).

    All arrays are zero-shifted before the first is changed: a failed or interrupted call leaves
    the model as it was.

    Args:
        model: a model with tracking tiles, or one tracking tile. Tiles of other kinds and those
            with ``reference=ReferenceType.ZERO`` use no calibration and stay as they are.
        n_pulses: number of pulses :math:`N` per cell.
        schedule: ``"cyclic"`` or ``"stochastic"``, see
            :func:`~aihwkit_dspt.zero_shift`.
        method: ``"pulses"``, ``"closed-form"``, ``"vectorised"`` or ``"auto"``.
        generator: source of random numbers, to repeat a draw. aihwkit's noise ignores it.
        progress: whether to show a progress bar when the pulses take long.

    Returns:
        name of each tile that was calibrated -> estimate and what it took; with ``.array_1``, ...
        at its end for the arrays between fastest and slowest.

    Raises:
        TileError: if the model has no tracking tile, or none with a reference.
        ArgumentError, ConfigError: see :func:`~aihwkit_dspt.zero_shift`.
    """
    tiles = {
        name: tile
        for name, tile in tracking_tiles(model).items()
        if tile.tile.pipeline.config.reference is not ReferenceType.ZERO
    }
    if not tiles:
        raise TileError(
            f"all tiles of {type(model).__name__} have reference=ReferenceType.ZERO, which uses no "
            "calibration: build them with reference=ReferenceType.STATIC, e.g. "
            "build_config('two-stage', ...)"
        )
    shifted = {
        name: [
            zero_shift(
                link.source,
                n_pulses,
                schedule,
                method,
                store=False,
                generator=generator,
                progress=progress,
            )
            for link in tile.tile.pipeline.fastest_first
        ]
        for name, tile in tiles.items()
    }
    with all_or_none(tiles.values()):
        for name, tile in tiles.items():
            tile.tile.calibrate([result.estimate for result in shifted[name]])
            tile.tile.pipeline.counters.calibration_pulses += n_pulses
    return {
        row_name(name, number): result
        for name, results in shifted.items()
        for number, result in enumerate(results)
    }
