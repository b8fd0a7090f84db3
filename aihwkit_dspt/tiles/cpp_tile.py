"""aihwkit's C++ tiles: new ones, independent copies, and the granularity of their pulses."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, List

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.configs.compounds import UnitCell
from aihwkit.simulator.configs.configs import SingleRPUConfig
from aihwkit.simulator.configs.devices import PulsedDevice
from aihwkit.simulator.parameters.enums import PulseType, RPUDataType
from aihwkit.simulator.tiles.rpucuda import MAP_TILE_CLASS_TO_CUDA
from torch import equal

from aihwkit_dspt.configs.checks import shown
from aihwkit_dspt.devices.simulated import PERSISTENT, SimulatedNumbers

DATA_TYPES = {data_type.as_torch(): data_type for data_type in RPUDataType}
DENSE = (PulseType.MEAN_COUNT.value, PulseType.DETERMINISTIC_IMPLICIT.value)
"""Types of pulses that aihwkit counts for all cells at once."""

GRANULARITIES = ("rpu.rpu_device.weight_granularity", "rpu.rpucuda_device.weight_granularity")
"""Where a tile keeps it, and where a CUDA tile keeps it once more."""


def create_cpp_tile(x_size: int, d_size: int, config: SingleRPUConfig) -> Any:
    """Return a new C++ tile, or raise ``ConfigError`` if aihwkit refuses the settings."""
    try:
        parameters = _bindings(config.device, config.runtime.data_type)
        return config.as_bindings().create_array(x_size, d_size, parameters)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"device={shown(config.device)} is not valid, or how it is read or pulsed: aihwkit "
            f"refuses to build the array ({error}); pass other settings"
        ) from error


def write_noise_on_set(device: object) -> float:
    """Return the standard deviation of the write noise of weights that are set, in weight units.

    Tiles of plain devices leave it to whoever sets weights: aihwkit's has no seed, and hides the
    weights below it among all parameters of the cells. Unit cells draw it for their devices; 0.
    """
    if not isinstance(device, PulsedDevice) or not getattr(device, "write_noise_std", 0.0) > 0.0:
        return 0.0
    return SimulatedNumbers.of(device).write_noise * bool(device.apply_write_noise_on_set)


def _bindings(device: Any, data_type: RPUDataType) -> Any:
    """Return the parameters of a C++ tile, see :func:`write_noise_on_set`."""
    parameters = device.as_bindings(data_type)
    if isinstance(device, PulsedDevice) and hasattr(parameters, "apply_write_noise_on_set"):
        parameters.apply_write_noise_on_set = False
    return parameters


def copy_cpp_tile(cpp: Any, device: Any) -> Any:
    """Return an independent copy of a C++ tile of a device, with the state of all of its cells.

    aihwkit's copy constructor copies the cells exactly, but not what is around them:

    * a unit cell comes without the weights of its devices, so that a copy of the copy crashes; they
      are loaded here;
    * a tile that has sent pulses of a :data:`DENSE` type comes without two arrays (the swap of its
      ``DenseBitLineMaker`` forgets them), and crashes with its next pulse or copy. Nothing puts
      them back, so that the tile is built anew. That is exact except for weights below a
      reference or below write noise, which aihwkit clips to the bounds, and in unit cells draws
      again;
    * on a GPU the cells of the copy are those of the copied tile's CPU twin, which follows only
      when hidden parameters are read, and has no more weights of unit cells after one copy.
    """
    is_cuda = type(cpp) in MAP_TILE_CLASS_TO_CUDA.values()
    is_cell = isinstance(device, UnitCell)
    if _is_dense(cpp, device) or (is_cuda and is_cell):
        copied = _rebuilt(cpp, device, is_cuda)
    else:
        if is_cuda:
            cpp.get_hidden_parameters()
        copied = deepcopy(cpp)
    copied.load_extra(cpp.dump_extra(), False)
    return copied


def _is_dense(cpp: Any, device: Any) -> bool:
    """Return whether the tile or the refresh of one of its cells counts pulses at once."""
    kinds: List[str] = [cpp.get_meta_parameters().update.pulse_type.name]
    if getattr(device, "refresh_every", 0) > 0:
        kinds.append(device.refresh_update.pulse_type.value)
    return any(kind in DENSE for kind in kinds)


def _rebuilt(cpp: Any, device: Any, is_cuda: bool) -> Any:
    """Return a new tile with the same weights and parameters."""
    bindings = _bindings(device, DATA_TYPES[cpp.get_weights().dtype])
    meta = cpp.get_meta_parameters()
    built = meta.create_array(cpp.get_x_size(), cpp.get_d_size(), bindings)
    built.set_weights(cpp.get_weights())
    set_cpp_hidden_parameters(built, cpp.get_hidden_parameters())
    built.set_learning_rate(cpp.get_learning_rate())
    return MAP_TILE_CLASS_TO_CUDA[type(built)](built) if is_cuda else built


def set_cpp_hidden_parameters(cpp: Any, parameters: Any) -> None:
    """Set the ``[n_names, d_size, x_size]`` hidden parameters, the persistent weights as well.

    When aihwkit sets parameters it clips the weights and, with write noise, moves the persistent
    weights to the visible ones. So the persistent ones are set once more; in a unit cell they take
    the place of the visible ones.
    """
    # Setting equal values is not neutral: aihwkit would re-estimate dw_min from them and
    # change the granularity in its last digit.
    if equal(parameters, cpp.get_hidden_parameters()):
        return
    names = cpp.get_hidden_parameter_names()
    hidden = [name for name in names if name.startswith(f"{PERSISTENT}_")]
    if hidden:
        parameters = parameters.clone()
        for name in hidden:
            visible = name.replace(PERSISTENT, "hidden_weights")
            parameters[names.index(visible)] = parameters[names.index(name)]
    cpp.set_hidden_parameters(parameters)
    if PERSISTENT in names:
        cpp.set_weights(parameters[names.index(PERSISTENT)])


def cpp_granularity(cpp: Any) -> float:
    """Return the granularity of a C++ tile in weight units, 0 if it does not pulse."""
    return float(cpp.dump_extra().get(GRANULARITIES[0], [0.0])[0])


def with_granularity(extra: Dict[str, Any], granularity: float) -> Dict[str, Any]:
    """Return what a tile's ``dump_extra`` gave with another granularity."""
    return {**extra, **{name: [granularity] for name in GRANULARITIES if name in extra}}


def set_cpp_granularity(cpp: Any, granularity: float) -> None:
    """Make the pulse trains of a C++ tile for a granularity in weight units."""
    extra = cpp.dump_extra()
    if any(extra[name] != [granularity] for name in GRANULARITIES if name in extra):
        cpp.load_extra(with_granularity(extra, granularity), False)
