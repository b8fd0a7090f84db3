"""Algorithm 1 with the simulator's own pulses."""

from __future__ import annotations

from functools import partial
from typing import Any, Callable, Iterator, Optional, Tuple

import torch
from aihwkit.exceptions import ConfigError
from torch import Tensor

from aihwkit_dspt.tiles.cpp_tile import cpp_granularity

# Pulses of one C++ call, over all cells: some 0.2 s, after which an interrupt is noticed.
CELL_PULSES_PER_CALL = 2**24
# Numbers in one input tensor of a C++ call, which bounds the memory.
NUMBERS_PER_CALL = 2**22
# Byte to eight signs: much faster than drawing each sign (0.12 ms for 512x512, 2 % of a pulse).
_OCTETS = torch.arange(256, device="cpu")
_SIGNS = ((_OCTETS[:, None] >> _OCTETS[:8]) & 1).to(torch.float32) * 2.0 - 1.0
# What a C++ tile of the CPU takes, whatever torch's defaults are.
_ones = partial(torch.ones, dtype=torch.float32, device="cpu")
_zeros = partial(torch.zeros, dtype=torch.float32, device="cpu")

Batch = Tuple[Tensor, Tensor, int]


def learning_rate_for_one_pulse(cpp: Any) -> float:
    r"""Return the learning rate, in weight units, at which inputs of :math:`\pm 1` give one pulse.

    aihwkit makes pulses from :math:`\Delta W = -\lambda\, d\, x^T`. With update bit-length
    management it sends ``BL = ceil(lambda * max|x| * max|d| / granularity)`` pulses, so
    ``lambda = granularity`` and inputs of magnitude 1 give one, with probability 1 on both lines.
    Without it, the pulse train has ``desired_bl`` slots; that must be 1 then. The deterministic
    pulse types round ``lambda x d / granularity``, which is 1 too.

    Stochastic bit lines fire if their probability *exceeds* a uniform number in [0, 1], so that
    a line skips a pulse with probability 3e-8 (single precision): a missing pulse in 17 million
    per cell.

    Raises:
        ConfigError: if the update parameters of the tile do not allow exactly one pulse.
    """
    update = cpp.get_meta_parameters().update
    pulse_type = update.pulse_type.name
    if pulse_type in ("None", "NoneWithDevice"):
        raise ConfigError(
            f"update.pulse_type={pulse_type} sends no pulses. Build the array with a pulsed type, "
            "such as PulseType.STOCHASTIC_COMPRESSED."
        )
    managed = update.update_bl_management or update.desired_bl == 1
    if not managed and pulse_type != "DeterministicImplicit":
        raise ConfigError(
            f"update.desired_bl={update.desired_bl} without update.update_bl_management cannot "
            "send exactly one pulse. Build the array with update_bl_management=True or "
            "desired_bl=1."
        )
    if update.um_grad_scale != 1.0:
        raise ConfigError(
            f"update.um_grad_scale={update.um_grad_scale} changes the pulse probability. Build "
            "the array with um_grad_scale=1."
        )
    if update.res > 0.0 and (update.res > 1.0 or abs(1.0 / update.res % 1.0 - 0.5) < 0.499):
        raise ConfigError(
            f"update.res={update.res} cannot represent a pulse probability of 1. Build the array "
            "with 1 / res a whole number, or res=0."
        )
    return cpp_granularity(cpp)


def send_pulses(
    cpp: Any,
    n_pulses: int,
    schedule: str,
    generator: Optional[torch.Generator],
    progress: Callable[[int], object],
) -> None:
    """Send pulses to every cell of a C++ tile (paper, Algorithm 1).

    Cyclic: each update vector has all inputs at 1 and all errors at -1 (up) or +1 (down), one pulse
    on all cells. Stochastic: rank one is not enough for independent signs, so a pulse takes one
    vector per row, which selects the row by a one-hot error and carries the signs of its cells
    on the inputs: about 2.5 times the time of a cyclic pulse, because each cell then draws its
    own bit line (with deterministic pulse types, which visit all cells for each vector, the time
    of ``out_size`` cyclic ones). Both leave the tile's learning rate as it was.

    ``progress`` is called with the number of pulses sent since the last call.

    Raises:
        ConfigError: if the update parameters of the tile do not allow exactly one pulse.
    """
    kept = cpp.get_learning_rate()
    cpp.set_learning_rate(learning_rate_for_one_pulse(cpp))
    size = (cpp.get_d_size(), cpp.get_x_size())
    if schedule == "cyclic":
        batches = _cyclic(*size, n_pulses)
    else:
        batches = _stochastic(*size, n_pulses, generator)
    for x_input, d_input, n_sent in batches:
        cpp.update(x_input, d_input, False, False, False, False)
        progress(n_sent)
    cpp.set_learning_rate(kept)


def _cyclic(d_size: int, x_size: int, n_pulses: int) -> Iterator[Batch]:
    """Yield batches of up, down, up, ... on all cells."""
    longest = min(CELL_PULSES_PER_CALL // (d_size * x_size), NUMBERS_PER_CALL // (d_size + x_size))
    longest = 2 * max(min(longest, n_pulses + 1) // 2, 1)
    x_input = _ones(longest, x_size)
    # Positive products decrease the weight.
    d_input = _ones(longest, d_size)
    d_input[::2] = -1.0
    for sent in range(0, n_pulses, longest):
        n_now = min(longest, n_pulses - sent)
        yield x_input[:n_now], d_input[:n_now], n_now


def _stochastic(
    d_size: int, x_size: int, n_pulses: int, generator: Optional[torch.Generator]
) -> Iterator[Batch]:
    """Yield batches of independent fair signs, a vector per row and pulse."""
    n_rows = max(min(d_size, NUMBERS_PER_CALL // max(d_size, x_size)), 1)
    if n_rows < d_size:
        for _ in range(n_pulses):
            for start in range(0, d_size, n_rows):
                stop = min(start + n_rows, d_size)
                rows = _zeros(stop - start, d_size)
                rows[:, start:stop].fill_diagonal_(1.0)
                yield _draw_signs(stop - start, x_size, generator), rows, int(stop == d_size)
        return
    together = min(CELL_PULSES_PER_CALL // 64 // (d_size * x_size), n_pulses)
    together = max(min(together, NUMBERS_PER_CALL // (d_size * max(d_size, x_size))), 1)
    rows = _ones(d_size).diag().repeat(together, 1)
    for sent in range(0, n_pulses, together):
        n_now = min(together, n_pulses - sent)
        yield _draw_signs(n_now * d_size, x_size, generator), rows[: n_now * d_size], n_now


def _draw_signs(n_rows: int, n_columns: int, generator: Optional[torch.Generator]) -> Tensor:
    """Return fair signs, ``[n_rows, n_columns]`` of +-1."""
    n_signs = n_rows * n_columns
    words = torch.randint(
        -(2**63), 2**63 - 1, (-(-n_signs // 64),), generator=generator, device="cpu"
    )
    octets = words.view(torch.uint8).int()
    return _SIGNS.index_select(0, octets).view(-1)[:n_signs].view(n_rows, n_columns)
