"""Saving, loading and copying the tile that layers see."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict

from aihwkit.exceptions import TileError
from aihwkit.simulator.tiles.analog import AnalogTile
from aihwkit.simulator.tiles.base import AnalogTileStateNames
from torch import inference_mode

from aihwkit_dspt._host import attributes, keep_context, put_back
from aihwkit_dspt.tiles.compound_state import (
    from_compound,
    is_compound,
    require_same_settings,
)
from aihwkit_dspt.tiles.state import require_format


class TileState(AnalogTile):
    """aihwkit's analog tile, with loads that happen whole or not at all and exact copies."""

    @inference_mode(False)  # what is trained later must not be an inference tensor
    def __setstate__(self, state: Dict[str, Any]) -> None:
        """Set a saved state: of a tracking tile, or of a C++ compound with the same settings.

        Raises:
            TileError: if the state is of another method, size or format; the tile is left as it
                was, also when it is interrupted.
        """
        if not hasattr(self, "rpu_config"):  # unpickling: there is nothing to lose
            state = state.copy()
            is_frozen = state.pop("is_frozen", False)
            super().__setstate__(state)
            self.analog_ctx.requires_grad_(not is_frozen)
            return
        state = self._checked_state(state)
        before = attributes(self)
        try:
            super().__setstate__(state)
            keep_context(self, before["_parameters"][AnalogTileStateNames.CONTEXT])
        except BaseException:
            put_back(self, before)
            raise

    def _checked_state(self, state: Dict[str, Any]) -> Dict[str, Any]:
        """Return the state, translated if it is that of a C++ compound."""
        names, config = AnalogTileStateNames, self.rpu_config.device
        sizes = list(state[names.WEIGHTS].shape)
        if sizes != list(self.tile.sizes()):
            raise TileError(
                f"state has weights of shape {sizes}, this tile {list(self.tile.sizes())}: load "
                "the state of a layer of the same size"
            )
        saved = state[names.RPU_CONFIG]
        if is_compound(saved.device):
            require_same_settings(config, saved.device)
            hidden = dict(zip(state[names.HIDDEN_PARAMETER_NAMES], state[names.HIDDEN_PARAMETERS]))
            extra = from_compound(self.tile, state[names.WEIGHTS], hidden, state[names.EXTRA])
            fresh = self._recreate_simulator_tile(sizes[1], sizes[0], self.rpu_config)
            fresh.load_extra(extra)
            return {
                **state,
                names.RPU_CONFIG: self.rpu_config,
                names.CLASS: type(self).__name__,
                names.HIDDEN_PARAMETERS: fresh.get_hidden_parameters(),
                names.HIDDEN_PARAMETER_NAMES: fresh.get_hidden_parameter_names(),
                names.EXTRA: extra,
            }
        saved_extra: Any = state.get(names.EXTRA)
        require_format(saved_extra)
        if saved_extra["method"] != config.method_name():
            raise TileError(
                f"state is of {saved_extra['method']}, this tile simulates {config.method_name()}: "
                "build the model with the configuration that was saved"
            )
        return state

    def __getstate__(self) -> Dict[str, Any]:
        """Return the state for pickling; a frozen tile stays frozen."""
        state: Dict[str, Any] = super().__getstate__()
        state["is_frozen"] = not self.analog_ctx.requires_grad
        return state

    @inference_mode(False)
    def __deepcopy__(self, memo: Dict[int, Any]) -> TileState:
        """Return an independent copy, cell by cell exact.

        The C++ arrays are copied as they are. (A state that is saved and loaded loses persistent
        weights beyond the bounds that aihwkit allows to set, see the README.)
        """
        copied: TileState = type(self).__new__(type(self))
        memo[id(self)] = copied
        state: Any = self.__getstate__()
        copied.__setstate__(deepcopy(state, memo))
        copied.tile.copy_arrays(self.tile)
        return copied
