"""What the layers of a model are made of: one row for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Set, Tuple

from aihwkit.simulator.configs.compounds import OneSidedUnitCell
from aihwkit.simulator.tiles.module import TileModule
from torch import nn
from torch.nn.parameter import UninitializedParameter

from aihwkit_dspt.models.reasons import is_matrix, is_norm, is_quantised, looks_up, reason
from aihwkit_dspt.tiles.of_model import analog_tiles, is_analog_layer


@dataclass(frozen=True)
class AnalogRow:
    """A layer that is analog."""

    name: str
    """Name in the model, the first one if it has several places."""

    kind: str
    """Class of the layer."""

    shape: List[int]
    """Outputs and inputs."""

    tiles: int
    """Parts that the weights are cut into."""

    arrays: int
    """Arrays of devices: of each tile those that its method trains, and references."""

    cells: int
    """Devices in all of these arrays."""

    multiplications: int
    """Multiplications with weights for one vector, in all of its places."""


@dataclass(frozen=True)
class DigitalRow:
    """A module with parameters that is digital."""

    name: str
    """Name in the model, the first one if it has several places."""

    kind: str
    """Class of the module."""

    parameters: int
    """Parameters of its own."""

    multiplications: int
    """Multiplications with matrices for one vector, in all of its places."""

    reason: str
    """Why it is digital."""


def rows(model: nn.Module) -> Tuple[List[AnalogRow], List[DigitalRow]]:
    """Return the rows of the analog layers of a model, and of its other modules with parameters."""
    places: Dict[int, int] = {}
    for _, module in model.named_modules(remove_duplicate=False):
        places[id(module)] = places.get(id(module), 0) + 1
    analog: List[AnalogRow] = []
    digital: List[DigitalRow] = []
    for name, module in layers(model):
        if is_analog_layer(module):
            analog.append(_analog(name, module, places[id(module)]))
        elif is_quantised(module) or any(
            value is not None for value in module._parameters.values()
        ):
            digital.append(_digital(name, module, places[id(module)]))
    return analog, digital


def layers(model: nn.Module) -> Iterator[Tuple[str, nn.Module]]:
    """Yield names and modules, each once, but not the parts of analog layers."""
    yield from _layers(model, "", set())


def _layers(module: nn.Module, name: str, seen: Set[int]) -> Iterator[Tuple[str, nn.Module]]:
    if id(module) in seen:
        return
    seen.add(id(module))
    yield name, module
    if isinstance(module, TileModule) or is_analog_layer(module):
        return
    for key, child in module._modules.items():
        if child is not None:
            yield from _layers(child, f"{name}.{key}" if name else key, seen)


def _analog(name: str, layer: Any, places: int) -> AnalogRow:
    tiles = list(analog_tiles(layer).values())
    arrays = [n_arrays(getattr(tile.rpu_config, "device", None)) for tile in tiles]
    weights = [tile.out_size * tile.in_size for tile in tiles]
    devices = [
        n * tile.out_size * (tile.in_size + bool(tile.analog_bias))
        for n, tile in zip(arrays, tiles)
    ]
    return AnalogRow(
        name=name,
        kind=type(layer).__name__,
        shape=[layer.out_features, layer.in_features],
        tiles=len(tiles),
        arrays=sum(arrays),
        cells=sum(devices),
        multiplications=places * sum(weights),
    )


def n_arrays(device: object) -> int:
    """Return the number of devices for each weight.

    Args:
        device: device, unit cell or compound of a configuration.
    """
    inner = getattr(device, "device", None)  # of a mixed-precision compound
    if inner is not None:
        return n_arrays(inner)
    parts = getattr(device, "unit_cell_devices", None)
    if not parts:
        return 1
    trained = sum(map(n_arrays, parts)) * (2 if isinstance(device, OneSidedUnitCell) else 1)
    reference = getattr(device, "reference_device", None)
    return trained if reference is None else trained + (len(parts) - 1) * n_arrays(reference)


def _digital(name: str, module: Any, places: int) -> DigitalRow:
    own = {key: value for key, value in module._parameters.items() if value is not None}
    if is_quantised(module):
        own = {"weight": module.weight()}
    sized = {
        key: value for key, value in own.items() if not isinstance(value, UninitializedParameter)
    }
    if looks_up(module) or is_norm(module):
        products = 0
    else:
        # Vectors are added, or scale, as the gains of a weight norm do. Nobody knows what a module
        # of another kind does with the rest: what may be a matrix is not kept quiet.
        products = sum(
            value.numel()
            for key, value in sized.items()
            if sum(n > 1 for n in value.shape) > 1
            or (is_matrix(module) and value.dim() > 1 and _is_weight(key))
        )
    return DigitalRow(
        name=name,
        kind=type(module).__name__,
        parameters=sum(value.numel() for value in sized.values()),
        multiplications=places * products,
        reason=reason(module),
    )


def _is_weight(name: str) -> bool:
    """Whether a parameter of a matrix is its weight, of whatever shape, and not its gains."""
    return "weight" in name and not name.endswith("_g")
