"""Saving, loading and copying the tile that layers see."""

from __future__ import annotations

import pickle
from copy import deepcopy
from dataclasses import replace
from multiprocessing.context import get_spawning_popen
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Type

from aihwkit.exceptions import TileError
from aihwkit.simulator.tiles.base import AnalogTileStateNames
from torch import Tensor, empty, inference_mode, zeros
from torch.random import fork_rng

from aihwkit_dspt.configs.compound import TrackingTransferCompound
from aihwkit_dspt.optim.context import adopt, placeholder
from aihwkit_dspt.plain import plain
from aihwkit_dspt.state_bytes import TileStateDict, from_tensor
from aihwkit_dspt.tiles.averaged_copy import refuse_averaged_copy
from aihwkit_dspt.tiles.compound_state import (
    from_compound,
    is_compound,
    require_same_settings,
)
from aihwkit_dspt.tiles.context import fitting_context, keep_context
from aihwkit_dspt.tiles.settings import (
    Difference,
    differences,
    fixed_settings,
    warn_of_settings,
)
from aihwkit_dspt.tiles.state import DERIVED, require_format, require_method, require_settings
from aihwkit_dspt.tiles.tile_settings import TileSettings
from aihwkit_dspt.tiles.undo import TileBefore

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.simulator_tile import TrackingSimulatorTile


class _SavedOnce:
    """The simulator tile as aihwkit asks it for its state, without what is in there twice.

    The ``state_extra`` is complete, so that hidden parameters would be a copy; the mixed weight is
    in the state as the tile's weights. What differs from cell to cell in its reads stays.
    """

    def __init__(self, tile: TrackingSimulatorTile) -> None:
        self._tile = tile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tile, name)

    def get_hidden_parameters(self) -> Tensor:
        return empty(0, device="cpu")

    def dump_extra(self) -> Dict[str, object]:
        extra: Dict[str, Any] = self._tile.dump_extra()
        if DERIVED in extra:
            del extra[DERIVED]["weights"]
        return extra


class TileState(TileSettings):
    """aihwkit's analog tile, with loads that happen whole or not at all and exact copies.

    Attributes:
        pickles_no_context: whether the analog context is no part of its pickle, so that a context
            can be pickled as that of its tile.
    """

    pickles_no_context = True

    @inference_mode(False)  # what is trained later must not be an inference tensor
    @fork_rng(devices=[])
    def __setstate__(self, state: Dict[str, object]) -> None:
        """Set a saved state: of a tracking tile, or of a C++ compound with the same settings.

        Torch's generator is left where it is: a run goes on the same, whether it is copied or not.

        Raises:
            TileError: if the state is of another method, size or format; the tile is left as it
                was, also when it is interrupted.
        """
        if not hasattr(self, "rpu_config"):  # unpickling: there is nothing to lose
            state = state.copy()
            is_frozen = state.pop("is_frozen", False)
            super().__setstate__(state)
            adopt(self.analog_ctx)
            self.analog_ctx.requires_grad_(not is_frozen)
            self._keep_settings()
            return
        state = self._checked_state(state)
        before = TileBefore(self)
        own = before.attributes
        try:
            super().__setstate__(state)
            keep_context(self, own["_parameters"][AnalogTileStateNames.CONTEXT])
            for link, old in zip(self.tile.pipeline.links, own["tile"].pipeline.links):
                link.listeners = old.listeners
            self._keep_settings()
        except BaseException:
            before.put_back()
            raise

    def _checked_state(self, state: Dict[str, Any]) -> Dict[str, Any]:
        """Return the state, translated if it is that of a C++ compound."""
        names, config = AnalogTileStateNames, self.rpu_config.device
        sizes = list(state[names.WEIGHTS].shape)
        if sizes != list(self.tile.pipeline.sizes()):
            raise TileError(
                f"state has weights of shape {sizes}, this tile "
                f"{list(self.tile.pipeline.sizes())}: load the state of a layer of the same size"
            )
        if names.CONTEXT in state:  # of the other aihwkit, perhaps
            fitting = fitting_context(self.analog_ctx, state[names.CONTEXT])
            state = {**state, names.CONTEXT: fitting}
        # A copy: a state may be loaded into several tiles.
        saved = plain(deepcopy(state[names.RPU_CONFIG]))
        if is_compound(getattr(saved, "device", None)):
            require_same_settings(config, saved.device)
            hidden = dict(zip(state[names.HIDDEN_PARAMETER_NAMES], state[names.HIDDEN_PARAMETERS]))
            extra = from_compound(
                self.tile.pipeline, state[names.WEIGHTS], hidden, state[names.EXTRA]
            )
            fresh = self._recreate_simulator_tile(sizes[1], sizes[0], self.rpu_config)
            fresh.load_extra(extra)
            return {
                **state,
                names.RPU_CONFIG: deepcopy(self.rpu_config),
                names.CLASS: type(self).__name__,
                names.HIDDEN_PARAMETERS: fresh.get_hidden_parameters(),
                names.HIDDEN_PARAMETER_NAMES: fresh.get_hidden_parameter_names(),
                names.EXTRA: extra,
            }
        saved_extra: Any = state.get(names.EXTRA)
        require_format(saved_extra)
        for device in (config, saved.device):
            require_method(saved_extra, device)
        if "settings" in saved_extra:
            # Before aihwkit looks at names of hidden parameters, which says less.
            require_settings(saved_extra["settings"], saved.device)
        return {**state, names.RPU_CONFIG: saved}

    def get_analog_state(self) -> TileStateDict:
        """Return the state of the tile in a state dict, as aihwkit does.

        In aihwkit 1.2 its context is the memory of the weights in use. A state that is kept, or
        written into, has nothing to do with the tile; shape and device are what a load asks for.
        """
        lent: Optional[TileStateDict] = getattr(self.tile, "lent_state", None)
        if lent is not None:
            return lent
        state = TileStateDict(super().get_analog_state())
        context = state.get(AnalogTileStateNames.CONTEXT)
        if isinstance(context, Tensor):
            # One number for all cells, of torch's own class: contexts refuse to be copied.
            nothing = zeros((), dtype=context.dtype, device=context.device)
            state[AnalogTileStateNames.CONTEXT] = nothing.expand(context.shape)
        return state

    def _save_to_state_dict(
        self, state_dict: Dict[str, object], prefix: str, keep_vars: bool
    ) -> None:
        """Save parameters and buffers, as torch does for every module.

        In aihwkit 1.2 the context is a placeholder that cannot be copied. Its shape is kept.
        """
        super()._save_to_state_dict(state_dict, prefix, keep_vars)
        if not keep_vars and hasattr(self.analog_ctx, "_raw_data"):
            name = prefix + AnalogTileStateNames.CONTEXT
            state_dict[name] = zeros(1, device="cpu").expand(self.analog_ctx.shape)

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *args: Any) -> None:
        """Load a state dict, as torch does for every module.

        Warns:
            UserWarning: if its settings differ from those of this tile and replace them, or (those
                of a C++ compound) do not; all are named, with both values.
        """
        name = self.get_analog_state_name(prefix)
        found: List[Difference] = []
        is_translated = False
        if name in state_dict:
            state = from_tensor(state_dict[name])
            saved = state[AnalogTileStateNames.RPU_CONFIG]
            is_translated = is_compound(getattr(saved, "device", None))
            if is_translated:
                # The device has been compared before.
                saved = replace(saved, device=self.rpu_config.device)
            if is_translated or self.load_rpu_config:
                found = list(differences(plain(deepcopy(saved)), self.rpu_config))
            state_dict[name] = _with_settings(state)
        context = prefix + AnalogTileStateNames.CONTEXT
        if context in state_dict:
            state_dict[context] = fitting_context(self.analog_ctx, state_dict[context])
        super()._load_from_state_dict(state_dict, prefix, *args)
        # aihwkit saves the scales, not the learning rate that follows from them.
        self.set_mapping_scales(self.mapping_scales)
        if found:
            # The last argument collects the messages of one load, over all tiles.
            warn_of_settings(found, not is_translated, args[-1])

    def __getstate__(self) -> Dict[str, object]:
        """Return the state for pickling; a frozen tile stays frozen.

        Raises:
            ConfigError: if settings of the tile were changed, which it does not follow.
        """
        self._require_settings()
        shell = type(self).__new__(type(self))
        shell.__dict__ = {**vars(self), "tile": _SavedOnce(self.tile)}
        state: Dict[str, Any] = super(TileState, shell).__getstate__()
        state[AnalogTileStateNames.RPU_CONFIG] = plain(deepcopy(self.rpu_config))
        state["is_frozen"] = not self.analog_ctx.requires_grad
        # The loaded tile makes a context of its own. That of an optimizer says whose it is.
        own = state["_parameters"].copy()
        own["analog_ctx"] = placeholder(self.analog_ctx)
        state["_parameters"] = own
        return state

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the tile; by value for a process that is being spawned.

        torch hands tensors to such a process by file descriptors, which are closed with those of a
        state before the process starts.
        """
        if get_spawning_popen() is None:
            return super().__reduce_ex__(protocol)
        return _unpickled, (type(self), pickle.dumps(self.__getstate__(), protocol))

    @inference_mode(False)
    def __deepcopy__(self, memo: Dict[int, object]) -> TileState:
        """Return an independent copy, cell by cell exact.

        The C++ arrays are copied as they are. (A state that is saved and loaded loses persistent
        weights beyond the bounds that aihwkit allows to set, see ``docs/how_to/checkpoints.md``.)

        Raises:
            TileError: in Lightning's ``StochasticWeightAveraging``.
        """
        refuse_averaged_copy()
        copied: TileState = type(self).__new__(type(self))
        memo[id(self)] = copied
        state: Any = self.__getstate__()
        copied.__setstate__(deepcopy(state, memo))
        copied.tile.pipeline.copy_arrays(self.tile.pipeline)
        memo[id(self.analog_ctx)] = copied.analog_ctx
        return copied


def _unpickled(cls: Type[TileState], state: bytes) -> object:
    tile = cls.__new__(cls)
    tile.__setstate__(pickle.loads(state))
    return tile


def _with_settings(state: Dict[str, object]) -> Dict[str, object]:
    """Return an analog state that says with which settings it was saved, also an old one.

    Its configuration is replaced when the tile's own is to be kept.
    """
    extra: Any = state.get(AnalogTileStateNames.EXTRA)
    device = getattr(state[AnalogTileStateNames.RPU_CONFIG], "device", None)
    if isinstance(device, TrackingTransferCompound) and isinstance(extra, dict):
        return {
            **state,
            AnalogTileStateNames.EXTRA: {"settings": fixed_settings(device), **extra},
        }
    return state
