"""Configurations of tiles that are built: they say what runs, and cannot be changed."""

from __future__ import annotations

from typing import Dict

from aihwkit.exceptions import ConfigError

MARK = "_is_built"
"""Attribute that says that a tile was built from this; copies and saved states have none."""

REMEDY = (
    "the tile is built and would not follow, while its copies would: change a copy of the "
    "configuration, build the model from it and load the state with load_rpu_config=False"
)


class Buildable:
    """A configuration that no longer takes assignments once a tile is built from it."""

    def _guard(self, key: str, value: object) -> None:
        """Refuse an assignment to a field.

        Raises:
            ConfigError: if a tile was built from this.
        """
        if MARK in vars(self) and key in self.__dataclass_fields__:  # type: ignore[attr-defined]
            raise ConfigError(f"{key}={value!r} cannot be set here: {REMEDY}")

    def __getstate__(self) -> Dict[str, object]:
        return {key: value for key, value in vars(self).items() if key != MARK}


def mark_built(*configurations: object) -> None:
    """Let configurations of this package refuse assignments from now on."""
    for configuration in configurations:
        if isinstance(configuration, Buildable):
            vars(configuration)[MARK] = True
