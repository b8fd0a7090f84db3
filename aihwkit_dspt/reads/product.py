"""The plain torch product, which defines what every other way to read an array does."""

from __future__ import annotations

from math import inf, isnan
from typing import Callable, Optional, Tuple

import torch
from aihwkit.simulator.parameters.enums import NoiseManagementType
from torch import Tensor

from aihwkit_dspt.reads.law import ReadLaw

TINY = torch.finfo(torch.float32).tiny


class PlainProduct:
    """Products of all vectors of a batch with an array, by torch operations.

    aihwkit's C++ tile on the CPU multiplies vector by vector; this is equal to it in distribution.
    Random numbers come from torch's generator.

    Args:
        law: the read law.
        draw: fills a tensor with normal numbers, the noise of outputs.
    """

    NAME = "torch"

    def __init__(self, law: ReadLaw, draw: Callable[[Tensor], object] = Tensor.normal_) -> None:
        self.law = law
        self.draw = draw

    def __call__(self, matrix: Tensor, vectors: Tensor, dim: int = -1) -> Tensor:
        """Return the analog products.

        Args:
            matrix: ``[in_size, out_size]`` for ``dim=-1``, ``[out_size, in_size]`` for ``dim=-2``.
            vectors: ``[n, in_size]`` inputs for ``dim=-1``; ``[n, in_size, m]`` for ``dim=-2``.
            dim: the dimension of the vectors.

        Returns:
            ``[n, out_size]`` or ``[n, out_size, m]`` outputs.
        """
        law = self.law
        if law.ideal:
            output, product, operands = _product(matrix, vectors, dim)
            product(*operands, beta=0.0, alpha=law.out_scale)
            return output
        scale = self.noise_scale(vectors, dim)
        output = self._pass(matrix, vectors, scale, dim)
        if output.numel() == 0:
            return output
        if law.out_bound < inf:
            if not law.manages_bounds:
                output.clamp_(-law.bound, law.bound)
            elif self._exceeds(output):
                scale = self.manage_bounds(matrix, vectors, scale, output, dim)
        factor = law.factor
        if scale is None:
            return output.mul_(factor) if factor != 1.0 else output
        return output.mul_(scale * factor)

    def noise_scale(self, vectors: Tensor, dim: int) -> Optional[Tensor]:
        """Return what noise management divides each vector by; ``None`` for one."""
        law = self.law
        kind, threshold = law.noise_management, law.nm_thres
        if kind is NoiseManagementType.NONE:
            return None
        if kind is NoiseManagementType.CONSTANT:
            return vectors.new_full((), threshold if threshold > 0.0 else 1.0)
        scale = vectors.abs().amax(dim, keepdim=True)
        if threshold > 0.0:
            scale.clamp_(max=threshold)
        if kind is NoiseManagementType.ABS_MAX_NP_SUM:
            scale = self._worst_case(vectors, scale, dim)
        return scale if law.zero_is_zero else scale.masked_fill_(scale <= 0.0, 1.0)

    def _worst_case(self, vectors: Tensor, largest: Tensor, dim: int) -> Tensor:
        """Return the scale for the largest output that positive or negative inputs can give."""
        law = self.law
        positive = vectors.clamp(min=0.0).sum(dim, keepdim=True)
        negative = vectors.clamp(max=0.0).sum(dim, keepdim=True)
        bound = 1.0 if law.out_bound == inf else law.out_bound
        scale = positive.maximum(negative.neg_()).mul_(law.nm_assumed_wmax / bound)
        if law.inp_res > 0.0:
            scale = scale.minimum(largest * (law.max_bm_res / law.inp_res))
        return scale.maximum(largest)

    def _pass(self, matrix: Tensor, vectors: Tensor, scale: Optional[Tensor], dim: int) -> Tensor:
        """Return the rounded outputs, in steps and not clipped yet, of one pass."""
        law = self.law
        output = self.multiply(matrix, self.prepare(vectors, scale, dim), dim)
        return _rounded(output, law.out_sto_round) if law.out_res > 0.0 else output

    def multiply(self, matrix: Tensor, inputs: Tensor, dim: int) -> Tensor:
        """Return the products of converted inputs, in steps of the outputs, with their noise."""
        law = self.law
        output, product, operands = _product(matrix, inputs, dim)
        if law.out_asymmetry > 0.0:
            product(*operands, beta=0.0, alpha=law.gain)
            if law.w_noise > 0.0:
                output.add_(torch.randn_like(output).mul_(self._weight_noise(inputs, dim)))
            output.mul_(1.0 - law.out_asymmetry * (output < 0.0))
            if law.out_noise > 0.0:
                output.add_(torch.randn_like(output), alpha=law.out_noise)
        elif law.w_noise > 0.0:
            # Both noises at once.
            std = self._weight_noise(inputs, dim).square_().add_(law.out_noise**2).sqrt_()
            self.draw(output)
            output.mul_(std)
            product(*operands, alpha=law.gain)
        elif law.out_noise > 0.0:
            self.draw(output)
            product(*operands, beta=law.out_noise, alpha=law.gain)
        else:
            product(*operands, beta=0.0, alpha=law.gain)
        return output

    def _weight_noise(self, inputs: Tensor, dim: int) -> Tensor:
        """Return the standard deviation of the additive weight noise at the outputs, in steps."""
        return (inputs * inputs).sum(dim, keepdim=True).sqrt_().mul_(self.law.w_noise)

    def prepare(self, vectors: Tensor, scale: Optional[Tensor], dim: int) -> Tensor:
        """Return the converted inputs, in steps."""
        law = self.law
        if scale is None:
            inputs = vectors / law.inp_unit
        else:
            # As in C++: times the inverse, then over the step. A vector of zeros stays zero.
            inputs = vectors * scale.clamp(min=TINY).reciprocal_()
            if law.inp_res > 0.0:
                inputs.div_(law.inp_unit)
        if law.inp_res > 0.0:
            _rounded(inputs, law.inp_sto_round)
        if law.clips_inputs:
            inputs.clamp_(-law.inp_limit, law.inp_limit)
        if law.inp_noise > 0.0:
            inputs.add_(torch.randn_like(inputs), alpha=law.inp_noise)
        if law.inp_asymmetry != 0.0:
            inputs.mul_(1.0 - law.inp_asymmetry * (inputs < 0.0))
        return inputs

    # -- bound management -------------------------------------------------------------------------

    def _exceeds(self, output: Tensor) -> bool:
        law = self.law
        low, high = (value.item() for value in output.aminmax())
        if isnan(high):  # a vector that is not a number must not hide the others
            return bool((output.abs() > law.out_limit).any())
        return high > law.out_limit or low < -law.out_limit

    def manage_bounds(
        self, matrix: Tensor, vectors: Tensor, scale: Optional[Tensor], output: Tensor, dim: int
    ) -> Tensor:
        """Read vectors whose outputs exceed the bound again with halved inputs; return the scales.

        The outputs are written in place and clipped in the end: aihwkit gives up after
        ``max_bm_factor`` or where the inputs have too few steps left (``max_bm_res``).
        """
        law = self.law
        shape = list(vectors.shape)
        shape[dim] = 1
        scale = vectors.new_ones(shape) if scale is None else scale.expand(shape).clone()
        rows, rows_out, rows_scale = vectors, output, scale
        if dim != -1:
            matrix = matrix.t()
            rows, rows_out, rows_scale = (
                values.transpose(1, 2) for values in (vectors, output, scale)
            )
        index = (rows_out.abs().amax(-1) > law.out_limit).nonzero(as_tuple=True)
        inputs, scales = rows[index], rows_scale[index]
        factor = 1
        while len(scales) > 0 and factor <= law.largest_factor:
            factor *= 2
            scales = scales * 2.0
            again = self._pass(matrix, inputs, scales, -1)
            rows_out[index] = again
            rows_scale[index] = scales
            if not self._exceeds(again):
                break
            still = again.abs().amax(-1) > law.out_limit
            index = tuple(numbers[still] for numbers in index)
            inputs, scales = inputs[still], scales[still]
        output.clamp_(-law.bound, law.bound)
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


def _rounded(values: Tensor, stochastic: bool) -> Tensor:
    """Round in place, half to even as C++ does, or stochastically."""
    if stochastic:
        values.add_(torch.rand_like(values)).sub_(0.5)
    return values.round_()
