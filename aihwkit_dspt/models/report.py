"""What became analog in a model, and what did not."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Dict, List, Optional

from torch import nn

from aihwkit_dspt.configs.checks import require_module
from aihwkit_dspt.models.rows import AnalogRow, DigitalRow, rows


@dataclass(frozen=True)
class ConversionReport:
    """What the layers of a model are made of."""

    analog: List[AnalogRow]
    """Analog layers."""

    digital: List[DigitalRow]
    """Digital modules with parameters."""

    @property
    def analog_multiplications(self) -> int:
        """Multiplications with weights in arrays, for one vector in each layer."""
        return sum(row.multiplications for row in self.analog)

    @property
    def digital_multiplications(self) -> int:
        """Multiplications with matrices that are digital, for one vector in each module."""
        return sum(row.multiplications for row in self.digital)

    @property
    def analog_share(self) -> Optional[float]:
        """Share of the multiplications that is analog; ``None`` if there are none."""
        total = self.analog_multiplications + self.digital_multiplications
        return self.analog_multiplications / total if total else None

    @property
    def cells(self) -> int:
        """Devices in all arrays."""
        return sum(row.cells for row in self.analog)

    def to_dict(self) -> Dict[str, object]:
        """Return plain numbers, for JSON."""
        return {**asdict(self), "cells": self.cells, "analog_share": self.analog_share}

    def table(self) -> str:
        """Return a table of the analog layers, one of the digital modules, and the shares."""
        first = [["analog", "kind", "out x in", "tiles", "arrays", "cells", "share"]]
        first += [
            [
                row.name or "(model)",
                row.kind,
                " x ".join(map(str, row.shape)),
                f"{row.tiles:,}",
                f"{row.arrays:,}",
                f"{row.cells:,}",
                self._share(row.multiplications),
            ]
            for row in self.analog
        ]
        second = [["digital", "kind", "parameters", "share", "why"]]
        second += [
            [
                row.name or "(model)",
                row.kind,
                f"{row.parameters:,}",
                self._share(row.multiplications),
                row.reason,
            ]
            for row in self.digital
        ]
        share = "no multiplications" if self.analog_share is None else f"{self.analog_share:.1%}"
        last = f"analog: {share} of the multiplications, {self.cells:,} cells"
        return "\n\n".join([_aligned(first), _aligned(second), last])

    def _share(self, multiplications: int) -> str:
        total = self.analog_multiplications + self.digital_multiplications
        return f"{multiplications / total:.1%}" if multiplications else "-"

    def __str__(self) -> str:
        return self.table()


def conversion_report(model: nn.Module) -> ConversionReport:
    """Say what became analog in a model, what is digital, and why.

    The numbers are those of the modules and tiles that are there, however the model was converted.
    Reasons are those that :func:`~aihwkit_dspt.convert` left, or follow from the kind of module.

    Multiplications are counted with one vector in every layer, from the shapes of the weights.
    A convolution sees a vector at each position and a recurrent layer at each step, so in a network
    with layers of several kinds the share of a batch is another one. Products of activations
    with each other (attention), and factors of normalisations, are not counted. Parameters of
    two dimensions or more in a module that is not known count as if each multiplied once.

    Args:
        model: any model.

    Raises:
        ArgumentError: if ``model`` is not a module.
    """
    return ConversionReport(*rows(require_module("model", model)))


def warn_if_digital(model: nn.Module) -> None:
    """Warn if most of the multiplications of a converted model are digital."""
    report = conversion_report(model)
    share = report.analog_share or 0.0
    unsized = [row.name or "the model" for row in report.digital if "no size yet" in row.reason]
    if unsized:
        warnings.warn(
            f"{', '.join(unsized)}: stays digital, for it has no size yet; call the model once "
            "before it is converted",
            stacklevel=3,
        )
    if share >= 0.5:
        return
    largest = sorted(report.digital, key=lambda row: -row.multiplications)[:3]
    names = "; ".join(
        f"{row.name or 'the model'} ({row.kind}): {row.reason}"
        for row in largest
        if row.multiplications
    )
    warnings.warn(
        f"{share:.0%} of the multiplications became analog. {names or 'There is no layer'}. "
        "print(conversion_report(model)) shows all",
        stacklevel=3,
    )


def _aligned(cells: List[List[str]]) -> str:
    """Return rows of cells as columns of equal width."""
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
