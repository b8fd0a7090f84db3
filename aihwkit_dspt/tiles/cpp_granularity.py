"""The weight granularity with which a C++ tile makes its pulse trains."""

from __future__ import annotations

from typing import Any, Dict

NAMES = ("rpu.rpu_device.weight_granularity", "rpu.rpucuda_device.weight_granularity")
"""Where a tile keeps it, and where a CUDA tile keeps it once more."""


def cpp_granularity(cpp: Any) -> float:
    """Return the granularity of a C++ tile in weight units, 0 if it does not pulse."""
    return float(cpp.dump_extra().get(NAMES[0], [0.0])[0])


def with_granularity(extra: Dict[str, Any], granularity: float) -> Dict[str, Any]:
    """Return what a tile's ``dump_extra`` gave with another granularity."""
    return {**extra, **{name: [granularity] for name in NAMES if name in extra}}


def set_cpp_granularity(cpp: Any, granularity: float) -> None:
    """Make the pulse trains of a C++ tile for a granularity in weight units."""
    extra = cpp.dump_extra()
    if any(extra[name] != [granularity] for name in NAMES if name in extra):
        cpp.load_extra(with_granularity(extra, granularity), False)
