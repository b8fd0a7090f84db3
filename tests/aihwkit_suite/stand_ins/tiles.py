"""The tile under test, and empty placeholders for all others that aihwkit's tests name."""

from __future__ import annotations

from typing import Any

from .configs import SIMULATOR_TILE_CLASS, TILE_NAME, make_config


class TileUnderTest:
    """A tile with aihwkit's default periphery, as its ``ConstantStep`` or ``TorchTransfer``."""

    simulator_tile_class = SIMULATOR_TILE_CLASS
    first_hidden_field = "max_bound_0"
    use_cuda = False

    def get_rpu_config(self) -> Any:
        """Return a fresh configuration."""
        return make_config()

    def get_tile(self, out_size: int, in_size: int, rpu_config: Any = None, **settings: Any) -> Any:
        """Return a tile; its class follows from the configuration."""
        rpu_config = rpu_config or self.get_rpu_config()
        return rpu_config.tile_class(out_size, in_size, rpu_config, **settings)


class PerfectTileUnderTest(TileUnderTest):
    """With perfect reads, as aihwkit's ``Inference``, ``Ideal`` or ``IdealizedConstantStep``."""

    def get_rpu_config(self) -> Any:
        """Return a fresh configuration."""
        return make_config(perfect=True)


TileUnderTest.__name__ = TILE_NAME
PerfectTileUnderTest.__name__ = "Perfect" + TILE_NAME

# aihwkit's tests leave out some asserts for pulsed tiles, by identity with one of these.
ConstantStep = TorchTransfer = TileUnderTest
PULSED = ("ConstantStep", "TorchTransfer", "Transfer", "SoftBounds")


def __getattr__(name: str) -> Any:
    """Return a placeholder for any other tile."""
    if name.startswith("_"):
        raise AttributeError(name)
    placeholder = TileUnderTest if name in PULSED else type(name, (), {})
    globals()[name] = placeholder
    return placeholder
