"""Independent copies of C++ tiles."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from aihwkit.simulator.parameters.enums import RPUDataType
from aihwkit.simulator.tiles.rpucuda import MAP_TILE_CLASS_TO_CUDA
from torch import equal

PERSISTENT = "persistent_weights"
DATA_TYPES = {data_type.as_torch(): data_type for data_type in RPUDataType}


def copy_cpp_tile(cpp: Any, device: Any) -> Any:
    """Return an independent copy of a C++ tile, with the state of all of its cells.

    aihwkit's copy constructor is exact, but the copy of a tile that has sent deterministic implicit
    pulses crashes with the next one, on a GPU, too (on the CPU its ``DenseBitLineMaker`` is copied
    without two of its arrays). For this pulse type the tile is built anew, which is exact except
    for persistent weights beyond the bounds that aihwkit allows to set.

    Args:
        cpp: the C++ tile.
        device: device configuration of the tile.
    """
    meta = cpp.get_meta_parameters()
    if meta.update.pulse_type.name != "DeterministicImplicit":
        return deepcopy(cpp)
    bindings = device.as_bindings(DATA_TYPES[cpp.get_weights().dtype])
    copied = meta.create_array(cpp.get_x_size(), cpp.get_d_size(), bindings)
    copied.set_weights(cpp.get_weights())
    set_cpp_hidden_parameters(copied, cpp.get_hidden_parameters())
    copied.set_learning_rate(cpp.get_learning_rate())
    if type(cpp) in MAP_TILE_CLASS_TO_CUDA.values():
        copied = MAP_TILE_CLASS_TO_CUDA[type(copied)](copied)
    copied.load_extra(cpp.dump_extra(), False)
    return copied


def set_cpp_hidden_parameters(cpp: Any, parameters: Any) -> None:
    """Set the ``[n_names, d_size, x_size]`` hidden parameters, the persistent weights as well.

    When aihwkit sets parameters it clips the weights and, with write noise, moves the persistent
    weights. So these are set once more.
    """
    # Setting equal values is not neutral: aihwkit would re-estimate dw_min from them and
    # change the granularity in its last digit.
    if equal(parameters, cpp.get_hidden_parameters()):
        return
    names = cpp.get_hidden_parameter_names()
    cpp.set_hidden_parameters(parameters)
    if PERSISTENT in names:
        cpp.set_weights(parameters[names.index(PERSISTENT)])
