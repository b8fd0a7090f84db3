"""The settings of a tile: those that it was built with."""

from __future__ import annotations

from copy import deepcopy

from aihwkit.exceptions import ConfigError
from aihwkit.simulator.tiles.analog import AnalogTile

from aihwkit_dspt.configs.built import REMEDY, mark_built
from aihwkit_dspt.tiles.settings import differences

BUILT_IN = ("device", "forward", "backward", "update")
"""Parts of a configuration that arrays are built with; aihwkit looks up the others each time."""


class TileSettings(AnalogTile):
    """aihwkit's analog tile, of which running tile, copy and resumed run have the same settings."""

    def _keep_settings(self) -> None:
        """Let the configuration refuse changes, as the arrays would not follow."""
        device, tile = self.rpu_config.device, self.tile
        mark_built(self.rpu_config, device)
        tile.built_from = deepcopy(self.rpu_config)
        # What devices do by themselves after each step, of which they do not change their mind.
        tile.effects = [tile.diffuse_weights] if device.requires_diffusion() else []
        tile.effects += [tile.decay_weights] if device.requires_decay() else []

    def _require_settings(self) -> None:
        """Raise ``ConfigError`` if a setting was changed since the tile was built.

        Fields of aihwkit's own parameters do not tell when they are set.
        """
        for path, value, before in differences(self.rpu_config, self.tile.built_from):
            if path.split(".", maxsplit=1)[0] in BUILT_IN or path == "runtime.data_type":
                raise ConfigError(
                    f"rpu_config.{path}={value!r} was set (before: {before!r}) where it has no "
                    f"effect: {REMEDY}. Set it back to go on"
                )

    def train(self, mode: bool = True) -> TileSettings:
        """Set the mode, as in torch.

        Raises:
            ConfigError: if settings of the tile were changed, which it does not follow.
        """
        self._require_settings()
        trained: TileSettings = super().train(mode)
        return trained
