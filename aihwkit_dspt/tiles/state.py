"""Reading and setting everything that a tracking tile remembers."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Dict, List, Mapping, Tuple

from aihwkit.exceptions import TileError
from torch import Tensor, ones_like, stack

from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.stages.settling import OVER
from aihwkit_dspt.tiles.array_state import set_parameters, set_state, state_of
from aihwkit_dspt.tiles.names import (
    named_arrays,
    named_links,
    named_schedules,
    named_settlings,
    named_stages,
    named_values,
    weight_names,
)
from aihwkit_dspt.tiles.pipeline import Pipeline
from aihwkit_dspt.tiles.settings import FIXED, conflicts, described, fixed_settings

STATE_FORMAT = 2
"""Version of what :func:`dump_state` returns; counted up when it changes.

Format 1, of version 0.1.0, is read, too, see :func:`from_format_1`.
"""

# Its weights are recomputed from the others, so that a state fits with and without gamma.
DERIVED = "mixed_array"

REMEDY = "load the state of a TrackingTile of the same size and settings"


class StateError(TileError, RuntimeError):
    """A state that does not fit.

    Also a ``RuntimeError``, which is what aihwkit's C++ tiles (and torch's modules) raise then.
    """


def hidden_parameter_names(pipeline: Pipeline) -> List[str]:
    """Return the names of the slices of :func:`hidden_parameters`.

    Device parameters carry the number of their array in ``unit_cell_devices``, as in aihwkit's
    compounds (those of references on arrays count on); the quantities of the method follow, with
    the names of :mod:`aihwkit_dspt.tiles.names`.
    """
    names = [
        f"{name}_{number}"
        for number, array in enumerate(pipeline.device_arrays())
        for name in array.hidden_parameter_names()
    ]
    return names + list(named_values(pipeline))


def hidden_parameters(pipeline: Pipeline) -> Tensor:
    """Return the ``[n_names, d_size, x_size]`` hidden parameters as a CPU copy."""
    values = [
        value for array in pipeline.device_arrays() for value in array.hidden_parameters().cpu()
    ]
    values += [value.detach().cpu() for value in named_values(pipeline).values()]
    return stack(values)


def set_hidden_parameters(pipeline: Pipeline, params: Tensor) -> None:
    """Set the ``[n_names, d_size, x_size]`` hidden parameters.

    As in aihwkit's compounds the weights of an array of unit cells follow those of the devices in
    the cells (``hidden_weights_0_0``, ...) at once, and what is given for the array itself only
    counts if it is the same. Given alone, it is programmed into the cells.

    Raises:
        TileError: for a wrong shape, values that are not finite or a chopper that is not an outer
            product of signs (of input signs alone without output choppers); the tile is left as it
            was.
    """
    names = hidden_parameter_names(pipeline)
    expected = [len(names), *pipeline.sizes()]
    if list(params.shape) != expected:
        raise TileError(f"hidden parameters have shape {list(params.shape)}: pass {expected}")
    params = params.detach()
    if not bool(params.isfinite().all()):
        raise TileError("hidden parameters have values that are not finite: pass finite values")
    values = dict(zip(names, params))
    signs = {}
    for prefix, link in named_links(pipeline):
        given_signs = values[f"{prefix}chopper"].to(pipeline.mixed_array.weights)
        signs[prefix] = _split_signs(pipeline.oriented(given_signs), link.chopper.has_output)
    start, weights = 0, [values[name] for name in weight_names(len(pipeline.arrays))]
    for array, given in zip_longest(pipeline.device_arrays(), weights):
        stop = start + len(array.hidden_parameter_names())
        set_parameters(array, params[start:stop], given)
        start = stop
    pipeline.follow_granularities()
    for prefix, link in named_links(pipeline):
        for name, value in link.named_values().items():
            value.copy_(pipeline.oriented(values[f"{prefix}{name}"]))
        link.chopper.in_sign.copy_(signs[prefix][0])
        link.chopper.out_sign.copy_(signs[prefix][1])
        if link.reference_array is not None:
            link.reference_array.crossbar.place(values[f"{prefix}reference"])
    pipeline.refresh_weights()


def _split_signs(signs: Tensor, has_output: bool) -> Tuple[Tensor, Tensor]:
    """Return input and output signs whose outer product is ``[in_size, out_size]`` signs."""
    in_sign, out_sign = signs[:, 0], signs[0] * signs[0, 0]
    if not has_output:
        out_sign = ones_like(out_sign)
    is_product = bool((signs == in_sign.unsqueeze(1) * out_sign).all())
    if not (is_product and bool((signs.abs() == 1.0).all())):
        raise TileError("chopper is not valid: pass an outer product of -1 and +1")
    return in_sign, out_sign


def dump_state(pipeline: Pipeline) -> Dict[str, Any]:
    """Return the complete state as nested dicts of CPU tensors and Python values."""
    arrays = named_arrays(pipeline)
    # The mixed weight may be missing, so it is not last: aihwkit expects that the last key may not.
    names = sorted(arrays, key=lambda name: name != DERIVED)
    state = {name: state_of(arrays[name]) for name in names}
    state.update({name: _to_cpu(value) for name, value in _without_arrays(pipeline).items()})
    return state


def _without_arrays(pipeline: Pipeline) -> Dict[str, object]:
    """Return the state but for the arrays, with the tensors that are in use."""
    joined = {"joined": pipeline.joined.state()} if len(pipeline.links) > 1 else {}
    return {
        **joined,
        **{name: stage.state_dict() for name, stage in named_stages(pipeline).items()},
        **{name: schedule.state() for name, schedule in named_schedules(pipeline).items()},
        **{name: settling.state() for name, settling in named_settlings(pipeline).items()},
        # Lists as in the state of aihwkit's C++ tiles, whose values all have a length.
        "format": [STATE_FORMAT],
        "method": pipeline.config.method_name(),
        "settings": fixed_settings(pipeline.config),
        "fast_lr": pipeline.fast_lr.state(),
        "counters": pipeline.counters.state(),
        "learning_rate": [pipeline.learning_rate, pipeline.largest_lr],
    }


def load_state(pipeline: Pipeline, state: Dict[str, Any]) -> None:
    """Set the state that :func:`dump_state` returned.

    Raises:
        TileError: if it is the state of another kind of tile, of settings that give it another
            meaning, of another size or of another format; the tile is left as it was.
    """
    require_format(state)
    if "read" in state:  # its name in version 0.1.0
        state = {DERIVED if key == "read" else key: value for key, value in state.items()}
    if state["format"] == [1]:
        state = from_format_1(state, pipeline.config)
    require_method(state, pipeline.config)
    require_settings(state.get("settings"), pipeline.config)
    arrays = named_arrays(pipeline)
    if DERIVED not in state or DERIVED not in arrays:
        state = {key: value for key, value in state.items() if key != DERIVED}
        arrays.pop(DERIVED, None)
    elif isinstance(state[DERIVED], dict):
        state = {**state, DERIVED: {"weights": arrays[DERIVED].weights, **state[DERIVED]}}
    wanted = _without_arrays(pipeline)
    if "joined" in wanted and "joined" not in state:  # of before: all joined from the start
        state = {**state, "joined": {"n_joined": len(pipeline.links), "joined_at": 0}}
    # Files of before know nothing of it, and go on without.
    state = {**{name: OVER.copy() for name in named_settlings(pipeline)}, **state}
    _require_same_keys("state", state, [*wanted, *arrays])
    for name, value in wanted.items():
        _require_same_layout(f"state.{name}", state[name], value)
    for name, array in arrays.items():
        # One at a time, because each is a copy.
        _require_same_layout(f"state.{name}", state[name], state_of(array))
    for name, array in arrays.items():
        set_state(array, state[name])
    if "joined" in wanted:
        pipeline.joined.load_state(state["joined"])
    pipeline.follow_joined()
    for name, stage in named_stages(pipeline).items():
        stage.load_state_dict(state[name])
    for name, schedule in named_schedules(pipeline).items():
        schedule.load_state(state[name])
    for name, settling in named_settlings(pipeline).items():
        settling.load_state(state[name])
    pipeline.fast_lr.load_state(state["fast_lr"])
    pipeline.counters.load_state(state["counters"])
    # Files of before had the present learning rate only.
    rates = [float(rate) for rate in state["learning_rate"]]
    pipeline.learning_rate = rates[0]
    pipeline.set_largest_lr(rates[-1])
    pipeline.refresh_weights()


def from_format_1(state: Dict[str, Any], config: TrackingTransferCompound) -> Dict[str, Any]:
    """Return a state of version 0.1.0 in the current format.

    It had no settings, and the reference was a part of the estimator.
    """
    estimator = dict(state.get("estimator", {}))
    _require_same_keys("state.estimator", estimator, ["sp_estimate", "reference", "_extra_state"])
    state = {"settings": fixed_settings(config), **state, "estimator": estimator}
    if "reference" in state:
        state["reference_array"] = state.pop("reference")
    state["reference"] = {
        "values": estimator.pop("reference"),
        "_extra_state": estimator.pop("_extra_state"),
    }
    return state


def require_format(state: object) -> None:
    """Raise ``TileError`` unless this is a state of a tracking tile in a known format."""
    found = state.get("format", "none") if isinstance(state, dict) else type(state).__name__
    if found not in ([1], [STATE_FORMAT]):
        raise StateError(
            f"state has format {found}, this version of aihwkit_dspt reads [1] and "
            f"[{STATE_FORMAT}]: load the state of a TrackingTile with the version of aihwkit_dspt "
            "that saved it"
        )


def require_method(state: Mapping[str, object], config: TrackingTransferCompound) -> None:
    """Raise ``TileError`` unless a state is of the method of a compound."""
    found = state.get("method", "no method")
    if found != config.method_name():
        raise StateError(
            f"state is of {found}, this tile simulates {config.method_name()}: "
            "build the model with the configuration that was saved"
        )


def require_settings(settings: Any, config: TrackingTransferCompound) -> None:
    """Raise ``TileError`` if the settings of a state mean something else than those of a tile."""
    _require_same_keys("state.settings", settings, list(FIXED))
    found = conflicts(settings, config)
    if found:
        raise StateError(
            f"the state cannot go on with other settings: {described(found)}. Build the tile with "
            "those of the state, or load them with load_rpu_config=True"
        )


def _require_same_keys(path: str, given: object, wanted: List[str]) -> None:
    keys = sorted(given) if isinstance(given, dict) else type(given).__name__
    if keys != sorted(wanted):
        raise StateError(f"{path} has {keys}, this tile needs {sorted(wanted)}: {REMEDY}")


def _require_same_layout(path: str, given: Any, wanted: object) -> None:
    """Raise ``TileError`` unless both have the same keys and tensors of the same shapes."""
    if isinstance(wanted, dict):
        _require_same_keys(path, given, list(wanted))
        for key, value in wanted.items():
            # What the C++ tiles add is theirs to check.
            if key != "extra":
                _require_same_layout(f"{path}.{key}", given[key], value)
    elif isinstance(wanted, Tensor):
        shape = list(given.shape) if isinstance(given, Tensor) else type(given).__name__
        if shape != list(wanted.shape):
            raise StateError(f"{path} is {shape}, this tile needs {list(wanted.shape)}: {REMEDY}")


def _to_cpu(value: Any) -> Any:
    """Return a copy of a value whose tensors are on the CPU."""
    if isinstance(value, dict):
        return {key: _to_cpu(item) for key, item in value.items()}
    return value.detach().cpu().clone() if isinstance(value, Tensor) else value
