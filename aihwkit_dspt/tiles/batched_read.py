"""Analog products of a whole batch at once, equal in distribution to aihwkit's C++ tile."""

from __future__ import annotations

from math import hypot, inf, isnan
from typing import Any, Callable, NamedTuple, Optional, Tuple

import torch
from aihwkit.simulator.parameters.enums import (
    BoundManagementType,
    NoiseManagementType,
    WeightNoiseType,
)
from aihwkit.simulator.parameters.io import IOParameters
from numpy import empty, float32
from torch import Tensor

from aihwkit_dspt.tiles.read_kernels import (
    convert_again,
    convert_inputs,
    convert_outputs,
    replace_outputs,
    rescale_outputs,
    rows_beyond,
)
from aihwkit_dspt.tiles.read_support import is_ideal

TINY = torch.finfo(torch.float32).tiny


class OneHotRead(NamedTuple):
    r"""The read of the weights :math:`w` of one line.

    .. math:: y = \mathrm{factor}\; \mathrm{clip}\big(\mathrm{round}(
              \mathrm{gain}\, w + \mathrm{noise}\, \xi), \pm\mathrm{bound}\big)
    """

    gain: float
    noise: float
    rounds: bool
    bound: float
    factor: float


class BatchedRead:
    r"""One direction of a read with aihwkit's non-idealities, as one matrix product.

    aihwkit's C++ tile on the CPU multiplies vector by vector. Here, for all vectors of a batch,

    .. math:: y = s\, f_{out}\big(M\, f_{in}(x / s) + \sigma\,\xi\big)

    with the scale :math:`s` of noise management (times the powers of two of iterative bound
    management, for those vectors that need it), the converters :math:`f_{in}, f_{out}` that round
    to ``inp_res`` and ``out_res`` and clip to the bounds, and the output noise :math:`\sigma`.
    Values between the converters count in steps of the converters, so that the product also
    rescales and adds the noise. Random numbers come from torch's global generator.

    Source: aihwkit's ``rpu_forward_backward_pass.cpp``. Covered settings:
    :func:`~aihwkit_dspt.tiles.read_support.obstacle`.

    Args:
        io: the non-idealities; later changes of it have no effect.
        backward: whether this is the backward direction, where aihwkit manages no bounds and
            returns zeros for errors of zero.
    """

    def __init__(self, io: IOParameters, backward: bool = False) -> None:
        self.ideal = is_ideal(io)
        self.out_scale = io.out_scale
        self.noise_management = io.noise_management
        self.nm_thres = io.nm_thres
        self.nm_assumed_wmax = getattr(io, "nm_assumed_wmax", 0.6)
        self.manages_bounds = not backward and io.bound_management is not BoundManagementType.NONE
        self.max_bm_res = io.max_bm_res
        self.zero_is_zero = backward or io.inp_noise <= 0.0

        self.inp_bound = io.inp_bound if io.inp_bound > 0.0 else inf
        self.out_bound = io.out_bound if io.out_bound > 0.0 else inf
        self.inp_res = _step(io.inp_res, io.inp_bound)
        self.out_res = _step(io.out_res, io.out_bound)
        # Inputs may be halved once more as long as the factor is not above this.
        self.largest_factor = float(io.max_bm_factor)
        if self.inp_res > 0.0:
            self.largest_factor = min(self.largest_factor, io.max_bm_res / self.inp_res)
        self.inp_unit = self.inp_res or 1.0
        self.out_unit = self.out_res or 1.0
        self.gain = self.inp_unit / self.out_unit
        self.inp_sto_round = io.inp_sto_round
        self.out_sto_round = io.out_sto_round
        self.inp_noise = max(io.inp_noise, 0.0) / self.inp_unit
        self.out_noise = max(io.out_noise, 0.0) / self.out_unit
        additive = io.w_noise_type is WeightNoiseType.ADDITIVE_CONSTANT
        self.w_noise = max(io.w_noise, 0.0) * self.gain if additive else 0.0
        self.inp_asymmetry = io.inp_asymmetry
        self.out_asymmetry = max(io.out_asymmetry, 0.0)
        # Inputs that are scaled by their largest need no clipping.
        self.clips_inputs = self.inp_bound < inf and (
            io.noise_management is not NoiseManagementType.ABS_MAX
            or io.nm_thres > 0.0
            or io.inp_sto_round
        )
        self.inp_limit = self.inp_bound / self.inp_unit if self.clips_inputs else inf
        self.out_limit = self._largest_output()
        # In the usual settings the converters have one pass each over their values.
        self.is_usual = (
            io.noise_management is NoiseManagementType.ABS_MAX
            and self.zero_is_zero
            and not (self.inp_noise > 0.0 or self.inp_sto_round or self.out_sto_round)
            and self.inp_asymmetry == 0.0
        )
        # In the plain ones there is no noise but one of one size at the outputs.
        self.is_plain = self.is_usual and not (self.out_asymmetry > 0.0 or self.w_noise > 0.0)
        self.before, self.after = self._passes()

    def _passes(self) -> Tuple[Tuple[float, float, float], Tuple[float, float, float, bool]]:
        """Return the settings of the two converters in the usual settings."""
        # Bound management reads again what is too large; else it is clipped.
        limit, bound = inf, self.out_bound / self.out_unit
        if self.manages_bounds:
            limit, bound = self.out_limit, inf
        factor = self.out_unit * self.out_scale
        before = float(self.nm_thres), self.inp_res, self.inp_limit
        return before, (limit, bound, factor, self.out_res > 0.0)

    def _largest_output(self) -> float:
        """Return the largest output in steps that aihwkit, in single precision, lets pass."""
        if self.out_res <= 0.0 or self.out_bound == inf:
            return float(self.out_bound)
        steps = round(self.out_bound / self.out_res)
        while float32(steps) * float32(self.out_res) > float32(self.out_bound):
            steps -= 1
        return steps + 0.5

    def __call__(self, matrix: Tensor, vectors: Tensor, dim: int = -1) -> Tensor:
        """Return the analog products.

        Args:
            matrix: ``[in_size, out_size]`` for ``dim=-1``, ``[out_size, in_size]`` for ``dim=-2``.
            vectors: ``[n, in_size]`` inputs for ``dim=-1``; ``[n, in_size, m]`` for ``dim=-2``.
            dim: the dimension of the vectors.

        Returns:
            ``[n, out_size]`` or ``[n, out_size, m]`` outputs.
        """
        if self.ideal:
            output, product, operands = _product(matrix, vectors, dim)
            product(*operands, beta=0.0, alpha=self.out_scale)
            return output
        if self.is_usual and dim == -1:
            return self._usual(matrix, vectors.contiguous())
        scale = self._noise_scale(vectors, dim)
        output = self._pass(matrix, vectors, scale, dim)
        if output.numel() == 0:
            return output
        if self.out_bound < inf:
            if not self.manages_bounds:
                output.clamp_(-self.out_bound / self.out_unit, self.out_bound / self.out_unit)
            elif self._exceeds(output):
                scale = self._manage_bounds(matrix, vectors, scale, output, dim)
        factor = self.out_unit * self.out_scale
        if scale is None:
            return output.mul_(factor) if factor != 1.0 else output
        return output.mul_(scale * factor)

    def of_one_hot(self) -> Optional[OneHotRead]:
        """Return what the read of a single line is, ``None`` if not all of it is one pass.

        Zero inputs have to stay zero, as without ``inp_noise``.
        """
        if self.ideal:
            return OneHotRead(1.0, 0.0, False, inf, self.out_scale)
        if self.inp_noise > 0.0 or self.out_asymmetry > 0.0 or self.manages_bounds:
            return None
        if self.inp_sto_round or self.out_sto_round:
            return None
        one = torch.ones(1, 1)
        scale = self._noise_scale(one, -1)
        value = self._prepare(one, scale, -1).item()
        return OneHotRead(
            gain=self.gain * value,
            noise=hypot(self.out_noise, self.w_noise * value),
            rounds=self.out_res > 0.0,
            bound=self.out_bound / self.out_unit,
            factor=(1.0 if scale is None else scale.item()) * self.out_unit * self.out_scale,
        )

    def _usual(self, matrix: Tensor, vectors: Tensor) -> Tensor:
        """Return the products of ``[n, in_size]`` vectors in the usual settings."""
        inputs, scales = torch.empty_like(vectors), empty((len(vectors), 1), float32)
        convert_inputs(vectors.numpy(), inputs.numpy(), scales, *self.before)
        output = self._multiply(matrix, inputs, -1)
        if convert_outputs(output.numpy(), scales, *self.after):
            self.read_again(lambda rows: self._multiply(matrix, rows, -1), vectors, output, scales)
        return output

    def read_again(
        self, multiply: Callable[[Tensor], Tensor], vectors: Tensor, output: Tensor, scales: Any
    ) -> None:
        """Read vectors again whose outputs exceed the bound, clip and rescale all outputs.

        It does what :meth:`_manage_bounds` does, in the usual settings.

        Args:
            multiply: returns the products of ``[n, in_size]`` converted inputs with their noise.
            vectors: ``[n, in_size]`` vectors.
            output: ``[n, out_size]`` rounded outputs in steps, written.
            scales: ``[n, 1]`` NumPy array of scales, written.
        """
        outputs = output.numpy()
        rows = rows_beyond(outputs, self.out_limit)
        factor = 1
        while len(rows) > 0 and factor <= self.largest_factor:
            factor *= 2
            inputs = vectors.new_empty(len(rows), vectors.shape[1])
            convert_again(
                vectors.numpy(), rows, scales, inputs.numpy(), self.inp_res, self.inp_limit
            )
            again = multiply(inputs).numpy()
            rows = replace_outputs(outputs, rows, again, self.out_limit, self.out_res > 0.0)
        bound, unit = self.out_bound / self.out_unit, self.out_unit * self.out_scale
        rescale_outputs(outputs, scales, bound, unit)

    def _noise_scale(self, vectors: Tensor, dim: int) -> Optional[Tensor]:
        """Return what noise management divides each vector by; ``None`` for one."""
        kind, threshold = self.noise_management, self.nm_thres
        if kind is NoiseManagementType.NONE:
            return None
        if kind is NoiseManagementType.CONSTANT:
            return vectors.new_full((), threshold if threshold > 0.0 else 1.0)
        scale = vectors.abs().amax(dim, keepdim=True)
        if threshold > 0.0:
            scale.clamp_(max=threshold)
        if kind is NoiseManagementType.ABS_MAX_NP_SUM:
            scale = self._worst_case(vectors, scale, dim)
        return scale if self.zero_is_zero else scale.masked_fill_(scale <= 0.0, 1.0)

    def _worst_case(self, vectors: Tensor, largest: Tensor, dim: int) -> Tensor:
        """Return the scale for the largest output that positive or negative inputs can give."""
        positive = vectors.clamp(min=0.0).sum(dim, keepdim=True)
        negative = vectors.clamp(max=0.0).sum(dim, keepdim=True)
        bound = 1.0 if self.out_bound == inf else self.out_bound
        scale = positive.maximum(negative.neg_()).mul_(self.nm_assumed_wmax / bound)
        if self.inp_res > 0.0:
            scale = scale.minimum(largest * (self.max_bm_res / self.inp_res))
        return scale.maximum(largest)

    def _pass(self, matrix: Tensor, vectors: Tensor, scale: Optional[Tensor], dim: int) -> Tensor:
        """Return the rounded outputs, in steps and not clipped yet, of one pass."""
        output = self._multiply(matrix, self._prepare(vectors, scale, dim), dim)
        return _rounded(output, self.out_sto_round) if self.out_res > 0.0 else output

    def _multiply(self, matrix: Tensor, inputs: Tensor, dim: int) -> Tensor:
        """Return the products of converted inputs, in steps of the outputs, with their noise."""
        output, product, operands = _product(matrix, inputs, dim)
        if self.out_asymmetry > 0.0:
            product(*operands, beta=0.0, alpha=self.gain)
            if self.w_noise > 0.0:
                output.add_(torch.randn_like(output).mul_(self._weight_noise(inputs, dim)))
            output.mul_(1.0 - self.out_asymmetry * (output < 0.0))
            if self.out_noise > 0.0:
                output.add_(torch.randn_like(output), alpha=self.out_noise)
        elif self.w_noise > 0.0:
            # Both noises at once.
            std = self._weight_noise(inputs, dim).square_().add_(self.out_noise**2).sqrt_()
            output.normal_().mul_(std)
            product(*operands, alpha=self.gain)
        elif self.out_noise > 0.0:
            output.normal_()
            product(*operands, beta=self.out_noise, alpha=self.gain)
        else:
            product(*operands, beta=0.0, alpha=self.gain)
        return output

    def _weight_noise(self, inputs: Tensor, dim: int) -> Tensor:
        """Return the standard deviation of the additive weight noise at the outputs, in steps."""
        return (inputs * inputs).sum(dim, keepdim=True).sqrt_().mul_(self.w_noise)

    def _prepare(self, vectors: Tensor, scale: Optional[Tensor], dim: int) -> Tensor:
        """Return the converted inputs, in steps."""
        if scale is None:
            inputs = vectors / self.inp_unit
        else:
            # As in C++: times the inverse, then over the step. A vector of zeros stays zero.
            inputs = vectors * scale.clamp(min=TINY).reciprocal_()
            if self.inp_res > 0.0:
                inputs.div_(self.inp_unit)
        if self.inp_res > 0.0:
            _rounded(inputs, self.inp_sto_round)
        if self.clips_inputs:
            inputs.clamp_(-self.inp_limit, self.inp_limit)
        if self.inp_noise > 0.0:
            inputs.add_(torch.randn_like(inputs), alpha=self.inp_noise)
        if self.inp_asymmetry != 0.0:
            inputs.mul_(1.0 - self.inp_asymmetry * (inputs < 0.0))
        return inputs

    # -- bound management -------------------------------------------------------------------------

    def _exceeds(self, output: Tensor) -> bool:
        low, high = (value.item() for value in output.aminmax())
        if isnan(high):  # a vector that is not a number must not hide the others
            return bool((output.abs() > self.out_limit).any())
        return high > self.out_limit or low < -self.out_limit

    def _manage_bounds(
        self, matrix: Tensor, vectors: Tensor, scale: Optional[Tensor], output: Tensor, dim: int
    ) -> Tensor:
        """Read vectors whose outputs exceed the bound again with halved inputs; return the scales.

        The outputs are written in place and clipped in the end: aihwkit gives up after
        ``max_bm_factor`` or where the inputs have too few steps left (``max_bm_res``).
        """
        shape = list(vectors.shape)
        shape[dim] = 1
        scale = vectors.new_ones(shape) if scale is None else scale.expand(shape).clone()
        rows, rows_out, rows_scale = vectors, output, scale
        if dim != -1:
            matrix = matrix.t()
            rows, rows_out, rows_scale = (
                values.transpose(1, 2) for values in (vectors, output, scale)
            )
        index = (rows_out.abs().amax(-1) > self.out_limit).nonzero(as_tuple=True)
        inputs, scales = rows[index], rows_scale[index]
        factor = 1
        while len(scales) > 0 and factor <= self.largest_factor:
            factor *= 2
            scales = scales * 2.0
            again = self._pass(matrix, inputs, scales, -1)
            rows_out[index] = again
            rows_scale[index] = scales
            if not self._exceeds(again):
                break
            still = again.abs().amax(-1) > self.out_limit
            index = tuple(numbers[still] for numbers in index)
            inputs, scales = inputs[still], scales[still]
        output.clamp_(-self.out_bound / self.out_unit, self.out_bound / self.out_unit)
        return scale


def _product(
    matrix: Tensor, inputs: Tensor, dim: int
) -> Tuple[Tensor, Callable[..., Tensor], Tuple[Tensor, Tensor]]:
    """Return an empty output, its in-place product and what is multiplied; see the call.

    In place: autocast leaves that as it is.
    """
    if dim == -1:
        output = inputs.new_empty(len(inputs), matrix.shape[1])
        return output, output.addmm_, (inputs, matrix)
    output = inputs.new_empty(len(inputs), matrix.shape[0], inputs.shape[2])
    return output, output.baddbmm_, (matrix.expand(len(inputs), -1, -1), inputs)


def _step(resolution: float, bound: float) -> float:
    """Return the step of a converter, 0 for none, as aihwkit derives it."""
    if resolution > 1.0:
        resolution = 1.0 / resolution
    return max(resolution, 0.0) * 2.0 * max(bound, 0.0)


def _rounded(values: Tensor, stochastic: bool) -> Tensor:
    """Round in place, half to even as C++ does, or stochastically."""
    if stochastic:
        values.add_(torch.rand_like(values)).sub_(0.5)
    return values.round_()
