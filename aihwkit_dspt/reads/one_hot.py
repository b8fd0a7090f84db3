"""What the read of a single line is, which a one-hot input selects."""

from __future__ import annotations

from math import hypot, inf
from typing import NamedTuple

import torch
from aihwkit.simulator.parameters.io import IOParameters

from aihwkit_dspt.reads.coverage import Form, covers
from aihwkit_dspt.reads.law import ReadLaw
from aihwkit_dspt.reads.product import PlainProduct


def line_noise(io: IOParameters, backward: bool) -> float:
    """Return the standard deviation of repeated reads of a weight by a one-hot input.

    It is in weight units. Of parameters that no line law covers the additive noise counts alone.
    """
    if not covers(Form.LINE_ONE_PASS, io, backward):
        return hypot(max(io.out_noise, 0.0), max(io.w_noise, 0.0)) * abs(float(io.out_scale))
    law = LineLaw.of(ReadLaw.of(io, backward))
    return abs(law.factor) * law.noise


class LineLaw(NamedTuple):
    r"""The read of the weights :math:`w` of one line.

    .. math:: y = \mathrm{factor}\; \mathrm{clip}\big(\mathrm{round}(
              \mathrm{gain}\, w + \mathrm{noise}\, \xi), \pm\mathrm{bound}\big)
    """

    gain: float
    noise: float
    rounds: bool
    bound: float
    factor: float

    @classmethod
    def of(cls, law: ReadLaw) -> LineLaw:
        """Return the law of a line of an array with a law.

        :attr:`~aihwkit_dspt.reads.coverage.Form.LINE_ONE_PASS` has to cover its read parameters.
        """
        if law.ideal:
            return cls(1.0, 0.0, False, inf, law.out_scale)
        plain, one = PlainProduct(law), torch.ones(1, 1, dtype=torch.float32, device="cpu")
        scale = plain.noise_scale(one, -1)
        value = plain.prepare(one, scale, -1).item()
        return cls(
            gain=law.gain * value,
            noise=hypot(law.out_noise, law.w_noise * value),
            rounds=law.out_res > 0.0,
            bound=law.bound,
            factor=(1.0 if scale is None else scale.item()) * law.out_unit * law.out_scale,
        )
