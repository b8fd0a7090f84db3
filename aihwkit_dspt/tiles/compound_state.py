"""Translation between the states of a tracking tile and of aihwkit's C++ compounds.

With ``gamma=0`` a tracking tile has the same states as ``DynamicTransferCompound`` (AGAD) and
``ChoppedTransferCompound`` (TT-v2, c-TTv2), under other names:

=======================  ==========================================================
tracking tile            aihwkit's compound (hidden parameters, then ``state_extra``)
=======================  ==========================================================
fast, slow array         ``*_0``, ``*_1``; ``hidden_weights_0`` and the tile's weights
transfer buffer H        ``buffered_FP_weight``
estimate Q               ``running_mean_weight``
reference Q~             ``past_mean_weight``, Q where the line was switched last
chopper                  ``in_chopper``, ``out_chopper`` (1 is the sign -1)
schedule                 ``current_update_idx``, ``current_slice_indices``, ``transfer_counter``
fast learning rate       ``m_x``, ``m_d``, ``tmp_count_lr``
=======================  ==========================================================

The counts of programming events, which aihwkit does not keep, start at zero; the generators of
random flips start anew on either side.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Dict, List

from aihwkit.exceptions import TileError
from aihwkit.simulator.configs.compounds import ChoppedTransferCompound, DynamicTransferCompound
from torch import Tensor, float32, stack, tensor, where

from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.tiles.array_state import extra_of
from aihwkit_dspt.tiles.hidden_parameters import COMPOUND_NAMES as NAMES
from aihwkit_dspt.tiles.hidden_parameters import OWN_NAMES
from aihwkit_dspt.tiles.pipeline import Pipeline
from aihwkit_dspt.tiles.state import dump_state

if TYPE_CHECKING:
    from aihwkit.simulator.configs.compounds import TransferCompound

HiddenParameters = Dict[str, Tensor]
Extra = Dict[str, List[Any]]

DEVICE = "rpu.rpu_device."
COMPOUNDS = {"AGAD": DynamicTransferCompound, "TT-v2": ChoppedTransferCompound}
COMPOUNDS["c-TTv2"] = ChoppedTransferCompound


def is_compound(device: object) -> bool:
    """Return whether a device configuration is one of the C++ compounds that correspond."""
    return type(device) in COMPOUNDS.values()


def require_same_settings(ours: TrackingTransferCompound, theirs: TransferCompound) -> None:
    """Raise ``TileError`` unless both compounds simulate the same method with the same settings."""
    wanted = COMPOUNDS.get(ours.method_name())
    if type(theirs) is not wanted:
        raise TileError(
            f"a state of aihwkit's {type(theirs).__name__} does not fit this tile, which simulates "
            f"{ours.method_name()}: build the tile with gamma=0 and "
            "reference=ReferenceType.DYNAMIC for DynamicTransferCompound, ReferenceType.ZERO for "
            "ChoppedTransferCompound"
        )
    mine = {item.name for item in fields(ours)}
    for item in fields(theirs):
        if item.name in mine and item.name != "construction_seed":
            values = getattr(ours, item.name), getattr(theirs, item.name)
            if values[0] != values[1]:
                raise TileError(
                    f"{item.name} is {values[1]} in the state of aihwkit's compound and "
                    f"{values[0]} in this tile: build both with the same settings"
                )


def from_compound(
    pipeline: Pipeline, weights: Tensor, hidden: HiddenParameters, extra: Extra
) -> Dict[str, Any]:
    """Return the state of a tracking tile for the state of a C++ compound with the same settings.

    Weights and hidden parameters of the compound are ``[d_size, x_size]``. The pipeline of
    a tracking tile with these settings is not changed.
    """
    state = dump_state(pipeline)
    buffer = hidden[_buffer_name(hidden)]
    state["fast"]["weights"] = hidden[NAMES["fast_weights"]].clone()
    state["slow"]["weights"] = weights.clone()
    for number, (name, array) in enumerate((("fast", pipeline.fast), ("slow", pipeline.slow))):
        names = array.hidden_parameter_names()
        state[name]["hidden_parameters"] = stack([hidden[f"{key}_{number}"] for key in names])
        prefix = f"{DEVICE}{number}."
        own = {key: value for key, value in extra.items() if key.startswith(prefix)}
        state[name]["extra"].update({DEVICE + key[len(prefix) :]: own[key] for key in own})
    state["buffer"]["hidden"] = pipeline.oriented(buffer).clone()
    in_sign, out_sign = (1.0 - 2.0 * _flags(extra, side) for side in ("in_chopper", "out_chopper"))
    dtype = buffer.dtype
    state["chopper"].update(in_sign=in_sign.to(dtype), out_sign=out_sign.to(dtype))
    if NAMES["sp_estimate"] in hidden:
        estimate = pipeline.oriented(hidden[NAMES["sp_estimate"]])
        past = pipeline.oriented(hidden[NAMES["reference"]])
        switched = _flags(extra, "in_chopper_switched").bool().unsqueeze(1)
        reference = where(switched, estimate, past)
        state["estimator"].update(sp_estimate=estimate.clone())
        state["reference"].update(values=reference)
    line, sweep = _number(extra, "current_slice_indices"), _number(extra, "transfer_counter")
    update_count = _number(extra, "current_update_idx")
    n_reads = sweep * pipeline.link.schedule.in_size + line
    state["schedule"] = {
        "update_count": int(update_count),
        "line": int(line),
        "sweep": int(sweep),
        "n_reads": int(n_reads),
    }
    rates = {"m_x": "m_x", "m_d": "m_d", "current": "tmp_count_lr"}
    state["fast_lr"] = {name: float(_number(extra, key)) for name, key in rates.items()}
    return state


def to_compound(pipeline: Pipeline, hidden: HiddenParameters, extra: Extra) -> None:
    """Write the state of a tracking tile into hidden parameters and extra of a C++ compound.

    Both belong to a compound of the same settings and are changed in place.
    """
    link, schedule = pipeline.link, pipeline.link.schedule
    for number, array in enumerate((pipeline.fast, pipeline.slow)):
        values = zip(array.hidden_parameter_names(), array.hidden_parameters())
        hidden.update({f"{name}_{number}": value for name, value in values})
        hidden[NAMES[("fast_weights", "slow_weights")[number]]] = array.weights.clone()
        own = {key: value for key, value in extra_of(array).items() if key.startswith(DEVICE)}
        extra.update({f"{DEVICE}{number}.{key[len(DEVICE) :]}": own[key] for key in own})
    extra[DEVICE + "weight_granularity"] = [pipeline.fast.pulse_granularity]
    hidden[_buffer_name(hidden)] = pipeline.oriented(link.buffer.hidden).clone()
    if NAMES["sp_estimate"] in hidden:
        hidden[NAMES["sp_estimate"]] = pipeline.oriented(link.estimator.sp_estimate).clone()
        # Nothing has to be copied at the next read: the reference is up to date.
        hidden[NAMES["reference"]] = pipeline.oriented(link.reference.values).clone()
        extra[DEVICE + "in_chopper_switched"] = [0.0] * schedule.in_size
    for side, signs in (("in", link.chopper.in_sign), ("out", link.chopper.out_sign)):
        extra[f"{DEVICE}{side}_chopper"] = (0.5 - 0.5 * signs).tolist()
    extra[DEVICE + "current_slice_indices"][0] = float(schedule.line)
    extra[DEVICE + "transfer_counter"] = [float(schedule.sweep)]
    extra[DEVICE + "current_update_idx"] = [float(schedule.update_count)]
    rates = pipeline.fast_lr.state()
    for name, key in (("m_x", "m_x"), ("m_d", "m_d"), ("current", "tmp_count_lr")):
        extra[DEVICE + key] = [rates[name]]


def _buffer_name(hidden: HiddenParameters) -> str:
    """Return the name of the buffer, which C++ TT-v2 numbers."""
    return next(name for name in hidden if OWN_NAMES.get(name) == "transfer_buffer")


def _number(extra: Extra, key: str) -> float:
    number: float = extra[DEVICE + key][0]
    return number


def _flags(extra: Extra, key: str) -> Tensor:
    return tensor(extra[DEVICE + key], dtype=float32, device="cpu")
