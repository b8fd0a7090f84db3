"""The read law: what the read parameters of one direction mean, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf

from aihwkit.simulator.parameters.enums import (
    AnalogMVType,
    BoundManagementType,
    NoiseManagementType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters
from numpy import float32


def is_ideal(io: IOParameters) -> bool:
    """Return whether a read is the exact product."""
    return bool(io.is_perfect or io.mv_type is AnalogMVType.IDEAL)


@dataclass(frozen=True)
class ReadLaw:
    r"""One direction of a read with aihwkit's non-idealities.

    .. math:: y = s\, f_{out}\big(M\, f_{in}(x / s) + \sigma\,\xi\big)

    with the scale :math:`s` of noise management (times the powers of two of iterative bound
    management, for those vectors that need it), the converters :math:`f_{in}, f_{out}` that round
    to steps and clip to the bounds, and the output noise :math:`\sigma`. Values between the
    converters count in steps of the converters, so that the product also rescales and adds the
    noise.

    Source: aihwkit's ``rpu_forward_backward_pass.cpp``. Which settings have a law:
    :mod:`~aihwkit_dspt.reads.coverage`.
    """

    ideal: bool
    """Whether the read is the exact product times :attr:`out_scale`; all else is unused then."""
    out_scale: float
    noise_management: NoiseManagementType
    nm_thres: float
    """Largest :math:`s`; 0 for no limit."""
    nm_assumed_wmax: float
    manages_bounds: bool
    """Whether vectors with outputs beyond :attr:`out_limit` are read again, with half the input."""
    max_bm_res: float
    largest_factor: float
    """Inputs may be halved once more as long as the factor is not above this."""
    zero_is_zero: bool
    """Whether vectors of zeros have the scale zero, so that zeros come out."""
    inp_res: float
    """Step of the input converter, as a part of the scaled input; 0 for no rounding."""
    out_res: float
    """Step of the output converter, in products of scaled inputs; 0 for no rounding."""
    inp_sto_round: bool
    out_sto_round: bool
    out_bound: float
    """Bound of the outputs, in products of scaled inputs."""
    out_limit: float
    """Largest output, in steps, that needs no bound management."""
    clips_inputs: bool
    inp_limit: float
    """Bound of the inputs, in steps; inf where they are not clipped."""
    inp_noise: float
    """Standard deviation of the noise of each input, in steps."""
    out_noise: float
    """Standard deviation of the noise of each output, in steps."""
    w_noise: float
    """Standard deviation of the noise of each weight, in output steps per input step."""
    inp_asymmetry: float
    out_asymmetry: float

    @classmethod
    def of(cls, io: IOParameters, backward: bool = False) -> ReadLaw:
        """Return the law of read parameters; later changes of these have no effect.

        Backward, aihwkit manages no bounds and returns zeros for errors of zero.
        """
        ideal = is_ideal(io)
        inp_bound = io.inp_bound if io.inp_bound > 0.0 else inf
        out_bound = io.out_bound if io.out_bound > 0.0 else inf
        inp_res, out_res = _step(io.inp_res, io.inp_bound), _step(io.out_res, io.out_bound)
        inp_unit, out_unit = inp_res or 1.0, out_res or 1.0
        # Inputs that are scaled by their largest need no clipping.
        clips_inputs = inp_bound < inf and (
            io.noise_management is not NoiseManagementType.ABS_MAX
            or io.nm_thres > 0.0
            or io.inp_sto_round
        )
        largest_factor = float(io.max_bm_factor)
        if inp_res > 0.0:
            largest_factor = min(largest_factor, io.max_bm_res / inp_res)
        managed = io.bound_management is not BoundManagementType.NONE
        additive = io.w_noise_type is WeightNoiseType.ADDITIVE_CONSTANT
        return cls(
            ideal=ideal,
            out_scale=io.out_scale,
            noise_management=io.noise_management,
            nm_thres=float(io.nm_thres),
            # Not every version of aihwkit has it.
            nm_assumed_wmax=getattr(io, "nm_assumed_wmax", 0.6),
            manages_bounds=managed and not (backward or ideal),
            max_bm_res=io.max_bm_res,
            largest_factor=largest_factor,
            zero_is_zero=backward or io.inp_noise <= 0.0,
            inp_res=inp_res,
            out_res=out_res,
            inp_sto_round=io.inp_sto_round,
            out_sto_round=io.out_sto_round,
            out_bound=out_bound,
            out_limit=_largest_output(out_res, out_bound),
            clips_inputs=clips_inputs,
            inp_limit=inp_bound / inp_unit if clips_inputs else inf,
            inp_noise=max(io.inp_noise, 0.0) / inp_unit,
            out_noise=max(io.out_noise, 0.0) / out_unit,
            w_noise=max(io.w_noise, 0.0) * inp_unit / out_unit if additive else 0.0,
            inp_asymmetry=io.inp_asymmetry,
            out_asymmetry=max(io.out_asymmetry, 0.0),
        )

    @cached_property
    def inp_unit(self) -> float:
        """Scaled input that counts as one: a step, or 1 without rounding."""
        return self.inp_res or 1.0

    @cached_property
    def out_unit(self) -> float:
        """Product of scaled inputs that counts as one: a step, or 1 without rounding."""
        return self.out_res or 1.0

    @cached_property
    def gain(self) -> float:
        """Output steps per input step and weight unit."""
        return self.inp_unit / self.out_unit

    @cached_property
    def bound(self) -> float:
        """Bound of the outputs, in steps."""
        return self.out_bound / self.out_unit

    @cached_property
    def factor(self) -> float:
        """Value of an output step, in weight units times the unit of the scale."""
        return self.out_unit * self.out_scale


def _step(resolution: float, bound: float) -> float:
    """Return the step of a converter, 0 for none, as aihwkit derives it."""
    if resolution > 1.0:
        resolution = 1.0 / resolution
    return max(resolution, 0.0) * 2.0 * max(bound, 0.0)


def _largest_output(out_res: float, out_bound: float) -> float:
    """Return the largest output in steps that aihwkit, in single precision, lets pass."""
    if out_res <= 0.0 or out_bound == inf:
        return float(out_bound)
    steps = round(out_bound / out_res)
    while float32(steps) * float32(out_res) > float32(out_bound):
        steps -= 1
    return steps + 0.5
