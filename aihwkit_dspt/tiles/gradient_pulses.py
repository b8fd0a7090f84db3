"""CHOP and FAST: the gradient pulses of a batch, or of a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Tuple

from numpy import float64
from torch import Tensor, float32, stack

from aihwkit_dspt.pulses.batched import sizes_of
from aihwkit_dspt.stages.uninterrupted import Call, in_one_go

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.link import Link
    from aihwkit_dspt.tiles.pipeline import Pipeline

Calls = List[Call]


def are_at_once(pipeline: Pipeline) -> bool:
    """Return whether all vectors have one learning rate, so that a call takes all of them."""
    return not pipeline.fast_lr.auto_scales or pipeline.config.auto_scale_by_batch


def send_gradient(
    pipeline: Pipeline, x_vectors: Tensor, d_vectors: Tensor, m_batch: int, due: Tuple[int, ...]
) -> None:
    """Send the gradient pulses of vectors to the fast array.

    Args:
        pipeline: the pipeline.
        x_vectors: ``[n_vectors, x_size]`` inputs.
        d_vectors: ``[n_vectors, d_size]`` errors.
        m_batch: vectors of the batch that they are a part of.
        due: lines that each link has to transfer afterwards.
    """
    if are_at_once(pipeline):
        in_one_go(*gradient_calls(pipeline, x_vectors, d_vectors, m_batch, due))
        return
    # The learning rate follows the running maxima from one vector to the next. That needs them
    # on the host; aihwkit's CUDA compound waits for the GPU here, too.
    x_chopped, d_chopped = pipeline.link.modulate(x_vectors, d_vectors)
    x_sizes, d_sizes = x_vectors.abs(), d_vectors.abs()
    product = x_sizes.sum(1) * d_sizes.sum(1) / (x_sizes.shape[1] * d_sizes.shape[1])
    sizes = stack([x_sizes.amax(1), d_sizes.amax(1), product], dim=1).tolist()
    for index, (x_max, d_max, mean) in enumerate(sizes):
        pipeline.fast_lr.observe(x_max, d_max, m_batch, mean)
        one = slice(index, index + 1)
        due_now = due if index == len(sizes) - 1 else (0,) * len(due)
        in_one_go(*_calls(pipeline, x_chopped[one], d_chopped[one], due_now))


def gradient_calls(
    pipeline: Pipeline, x_vectors: Tensor, d_vectors: Tensor, m_batch: int, due: Tuple[int, ...]
) -> Calls:
    """Return the calls that send and count the pulses of vectors, to be made at once in one go.

    See :func:`send_gradient` for the arguments.
    """
    if pipeline.fast_lr.auto_scales:
        x_max, d_max, product = _mean_sizes(pipeline, x_vectors, d_vectors)
        pipeline.fast_lr.observe(x_max, d_max, m_batch / x_vectors.shape[0], product)
    return _calls(pipeline, x_vectors, d_vectors, due, pipeline.link)


def _mean_sizes(
    pipeline: Pipeline, x_vectors: Tensor, d_vectors: Tensor
) -> Tuple[float, float, float]:
    """Return the means of the largest sizes of inputs and errors, and the sum over the vectors of
    the mean sizes of their products.
    """
    if x_vectors.is_cuda or x_vectors.dtype is not float32:
        x_sizes, d_sizes = x_vectors.abs(), d_vectors.abs()
        product = (x_sizes.mean(1) * d_sizes.mean(1)).sum()
        x_max, d_max, total = stack(
            [x_sizes.amax(1).mean(), d_sizes.amax(1).mean(), product]
        ).tolist()
        return x_max, d_max, total
    # Half a dozen operations of torch take as long as the pulses of a small layer.
    batched = pipeline.fast.batched
    if batched is None:
        sizes = sizes_of(x_vectors, d_vectors)
    else:
        sizes = batched.sizes(x_vectors, d_vectors)
        batched.keep_sizes(x_vectors, d_vectors, sizes)
    x_max, d_max, total = sizes.sum(0, float64).tolist()
    n_vectors, x_size = x_vectors.shape
    return x_max / n_vectors, d_max / n_vectors, total / (x_size * d_vectors.shape[1])


def _calls(
    pipeline: Pipeline,
    x_input: Tensor,
    d_input: Tensor,
    due: Tuple[int, ...],
    chop: Optional[Link] = None,
) -> Calls:
    # Not by len(), which torch answers in Python.
    n_vectors, counters = x_input.shape[0], pipeline.counters
    fast_lr = pipeline.fast_lr(pipeline.learning_rate)
    calls = [pipeline.fast.pulses(x_input, d_input, fast_lr, chop)]
    if pipeline.fast.batched is not None:
        pipeline.fast.batched.forget_sizes()
    for schedule, n_due in zip(pipeline.schedules, due):
        calls.append(schedule.count(n_vectors, n_due))
    calls.append(counters.count_update_cycles(n_vectors))
    if pipeline.fast_lr.auto_scales:
        calls.append(pipeline.fast_lr.keep())
    if counters.estimates_coincidences:
        steps = fast_lr / pipeline.fast.pulse_granularity
        calls.append(counters.count_gradient_pulses(x_input, d_input, steps))
    return calls
