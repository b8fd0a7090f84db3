"""The tile that layers see."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Dict, List, Optional, Tuple, Union

from aihwkit.exceptions import ArgumentError, ConfigError, CudaError, TileError
from aihwkit.simulator.parameters.base import RPUConfigGeneric
from aihwkit.simulator.rpu_base import cuda
from aihwkit.simulator.tiles.analog import AnalogTile
from aihwkit.simulator.tiles.base import AnalogTileStateNames
from aihwkit.simulator.tiles.module import TileModule
from torch import Tensor, bfloat16, float16, float32, float64, tensor
from torch import device as torch_device
from torch import dtype as torch_dtype
from torch.autograd import no_grad
from torch.nn.parallel import DistributedDataParallel

from aihwkit_dspt._host import attributes, follow_device, keep_context, put_back
from aihwkit_dspt.tiles.compound_state import (
    from_compound,
    is_compound,
    require_same_settings,
)
from aihwkit_dspt.tiles.simulator_tile import TrackingSimulatorTile
from aihwkit_dspt.tiles.state import require_format


class TrackingTile(AnalogTile):
    r"""Analog tile that is evaluated at :math:`\bar W = W + \gamma\, c \circ (P - \tilde Q)`.

    It takes the place of aihwkit's :class:`~aihwkit.simulator.tiles.analog.AnalogTile` in every
    layer; choose it with a :class:`~aihwkit_dspt.TrackingRPUConfig`. The arrays and stages live
    in ``tile``, a :class:`~aihwkit_dspt.tiles.simulator_tile.TrackingSimulatorTile`. One layer
    has one tile (or one per part of a mapped array).

    Args:
        out_size: number of outputs.
        in_size: number of inputs.
        rpu_config: configuration with a
            :class:`~aihwkit_dspt.TrackingTransferCompound` as device.
        bias: whether the layer has a bias.
        in_trans: whether inputs are transposed (vector dimension first).
        out_trans: whether outputs are transposed.

    Raises:
        ConfigError: if a setting is not valid, or ``in_trans`` differs from ``out_trans``, for
            which aihwkit's C++ tiles return wrong shapes.
    """

    def __init__(
        self,
        out_size: int,
        in_size: int,
        rpu_config: RPUConfigGeneric,
        bias: bool = False,
        in_trans: bool = False,
        out_trans: bool = False,
    ):
        if in_trans != out_trans:
            raise ConfigError(
                f"in_trans={in_trans} with out_trans={out_trans} is not valid: aihwkit's C++ "
                "tiles handle only equal settings; pass both or none"
            )
        super().__init__(out_size, in_size, rpu_config, bias, in_trans, out_trans)

    def _create_simulator_tile(
        self, x_size: int, d_size: int, rpu_config: RPUConfigGeneric
    ) -> TrackingSimulatorTile:
        return TrackingSimulatorTile(x_size, d_size, rpu_config, self.get_data_type())

    # -- the quantities of the method, as copies --------------------------------------------------

    def _value(self, name: str) -> Tensor:
        value: Tensor = self.tile.named_values()[name]
        return value.detach().cpu().clone().contiguous()

    @property
    def fast_weights(self) -> Tensor:
        """``[out_size, in_size]`` copy of the fast array P, in weight units.

        This and the following have one more column if the bias is analog.
        """
        return self._value("fast_weights")

    @property
    def slow_weights(self) -> Tensor:
        """``[out_size, in_size]`` copy of the slow array W, in weight units."""
        return self._value("slow_weights")

    @property
    def reference(self) -> Tensor:
        r"""``[out_size, in_size]`` copy of the reference :math:`\tilde Q` that is in use."""
        return self._value("reference")

    @property
    def sp_estimate(self) -> Tensor:
        """``[out_size, in_size]`` copy of the symmetric-point estimate Q, in weight units."""
        return self._value("sp_estimate")

    @property
    def transfer_buffer(self) -> Tensor:
        """``[out_size, in_size]`` copy of the transfer buffer H, in pulses."""
        return self._value("transfer_buffer")

    @property
    def chopper(self) -> Tensor:
        """``[out_size, in_size]`` copy of the chopper signs c, -1 or +1."""
        return self._value("chopper")

    @no_grad()
    def set_reference(self, reference: Tensor) -> None:
        r"""Set the reference :math:`\tilde Q` to calibrated symmetric points.

        With ``reference=ReferenceType.STATIC`` this is the second stage of the paper's two-stage
        method (Algorithm 4).

        Args:
            reference: ``[out_size, in_size]`` symmetric points of the fast array, in weight units
                (one more column if the bias is analog).

        Raises:
            TileError: see :meth:`TrackingSimulatorTile.set_reference`.
        """
        self.tile.set_reference(reference)

    # -- state ----------------------------------------------------------------------------------

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

    def __deepcopy__(self, memo: Dict[int, Any]) -> TrackingTile:
        """Return an independent copy, cell by cell exact.

        The C++ arrays are copied as they are. (A state that is saved and loaded loses persistent
        weights beyond the bounds that aihwkit allows to set, see the README.)
        """
        copied: TrackingTile = type(self).__new__(type(self))
        memo[id(self)] = copied
        state: Any = self.__getstate__()
        copied.__setstate__(deepcopy(state, memo))
        copied.tile.copy_arrays(self.tile)
        return copied

    # -- passes -------------------------------------------------------------------------------

    def forward(self, x_input: Tensor, tensor_view: Optional[Tuple[int, ...]] = None) -> Tensor:
        """Return the outputs of the layer, by aihwkit's autograd function.

        Args:
            x_input: ``[*, in_size]`` inputs, ``[in_size, *]`` if ``in_trans``.
            tensor_view: view of the bias and the output scales.

        Raises:
            TileError: inside ``DistributedDataParallel``: each process would train devices of its
                own, and only digital gradients would be averaged.
        """
        if DistributedDataParallel._active_ddp_module is not None:
            raise TileError(
                "TrackingTile does not support DistributedDataParallel: every process would train "
                "analog arrays of its own. Train in one process"
            )
        if not self.analog_ctx.requires_grad:
            self.analog_ctx.reset()  # nobody takes the vectors of a frozen tile
        output: Tensor = super().forward(x_input, tensor_view)
        return output

    def update(self, x_input: Tensor, d_input: Tensor) -> None:
        """Update the tile, unless it is frozen (``requires_grad_(False)``).

        Args:
            x_input: ``[*, in_size]`` inputs, ``[in_size, *]`` if ``in_trans``.
            d_input: ``[*, out_size]`` errors, ``[out_size, *]`` if ``out_trans``.
        """
        if self.analog_ctx.requires_grad:
            super().update(x_input, d_input)

    def update_indexed(self, x_input: Tensor, d_input: Tensor) -> None:
        """Update the tile of an indexed convolution, as :meth:`update` does."""
        if self.analog_ctx.requires_grad:
            super().update_indexed(x_input, d_input)

    def _replicate_for_data_parallel(self) -> None:
        """Refuse to be replicated: every replica would train arrays of its own."""
        raise TileError(
            "TrackingTile does not support DataParallel: every replica would train analog arrays "
            "of its own. Train on one device"
        )

    def _needs_no_input_gradient(self, ctx: Any) -> bool:
        # A learned input range gets its gradient from the backward pass.
        return ctx is not None and self.input_range is None and not ctx.needs_input_grad[2]

    def post_forward(
        self, x_output: Tensor, dim: int, is_test: bool = False, ctx: Any = None
    ) -> Tensor:
        """Apply aihwkit's output periphery.

        Without an input gradient the mask of clipped outputs, which only that gradient uses, is
        left out.
        """
        if self._needs_no_input_gradient(ctx):
            ctx = None
        output: Tensor = super().post_forward(x_output, dim, is_test, ctx)
        return output

    def backward(self, d_input: Tensor, ctx: Any = None) -> Optional[Tensor]:
        """Return the input gradients; ``None`` if the layer's input asks for none.

        aihwkit computes them in any case. The first layer of a network has no use for them, and
        there the backward product is one of the larger parts of a step.

        Args:
            d_input: ``[*, out_size]`` errors, ``[out_size, *]`` if ``out_trans``.
            ctx: autograd context.
        """
        if self._needs_no_input_gradient(ctx):
            return None
        output: Tensor = super().backward(d_input, ctx)
        return output

    def backward_indexed(self, d_input: Tensor, ctx: Any = None) -> Optional[Tensor]:
        """Return the input gradients of an indexed convolution, as :meth:`backward` does."""
        if self._needs_no_input_gradient(ctx):
            return None
        output: Tensor = super().backward_indexed(d_input, ctx)
        return output

    # -- convolutions -------------------------------------------------------------------------

    def set_indexed(self, indices: Tensor, image_sizes: List[int]) -> None:
        """Set the index matrix of a convolution and switch to indexed passes.

        Args:
            indices: integer index matrix.
            image_sizes: ``[C_in, (D_in), H_in, (W_in), (D_out), H_out, (W_out)]`` sizes.

        Raises:
            ValueError: if ``image_sizes`` has not 3, 5 or 7 entries.
            TileError: if the tile is transposed.
        """
        if len(image_sizes) not in (3, 5, 7):
            raise ValueError(
                "image_sizes expects 3, 5 or 7 sizes "
                "[C_in, (D_in), H_in, (W_in), (D_out), H_out, (W_out)]"
            )
        if self.in_trans or self.out_trans:
            raise TileError("Transposed indexed versions not supported (assumes NC(D)HW)")
        self.analog_ctx.set_indexed()
        self.image_sizes = image_sizes
        self.tile.set_matrix_indices(indices)

    # -- devices --------------------------------------------------------------------------------

    @no_grad()
    def cuda(self, device: Optional[Union[torch_device, str, int]] = None) -> TrackingTile:
        """Move the tile to a GPU.

        Args:
            device: CUDA device, ``None`` for the current one.

        Raises:
            CudaError: if aihwkit has not been compiled with CUDA support.
        """
        if not cuda.is_compiled():
            raise CudaError("aihwkit has not been compiled with CUDA support")
        follow_device(self, device)
        TileModule.cuda(self, device)
        return self

    def to(self, *args: Any, **kwargs: Any) -> TrackingTile:
        """Move the tile to a device, or give it another configuration, as in aihwkit.

        Raises:
            TileError: for a data type other than that of the simulation.
        """
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch_dtype):
                self._require_dtype(value)
        moved: TrackingTile = super().to(*args, **kwargs)
        return moved

    def _require_dtype(self, dtype: torch_dtype) -> TrackingTile:
        if dtype is not self.get_dtype():
            raise TileError(
                f"the arrays simulate {self.get_dtype()} and cannot change to {dtype}: build the "
                "layer with the wanted runtime.data_type in its RPU configuration"
            )
        return self

    def float(self) -> TrackingTile:
        """Return the tile if it simulates single precision, else raise ``TileError``."""
        return self._require_dtype(float32)

    def double(self) -> TrackingTile:
        """Return the tile if it simulates double precision, else raise ``TileError``."""
        return self._require_dtype(float64)

    def half(self) -> TrackingTile:
        """Return the tile if it simulates half precision, else raise ``TileError``."""
        return self._require_dtype(float16)

    def bfloat16(self) -> TrackingTile:
        """Raise ``TileError``: aihwkit does not simulate this type."""
        return self._require_dtype(bfloat16)

    # -- what aihwkit draws for the passes ---------------------------------------------------------

    def _get_extra_parameters(self, pre_key: str, full_key: bool = False) -> Tuple[Any, Any]:
        """Return the parameters of the array that is read, and all of its state."""
        extra = self.tile.read.tile.dump_extra()
        found = {key: tensor(value) for key, value in extra.items() if pre_key in key}
        names = {key: key.split(pre_key)[-1] for key in found}
        if full_key:
            return {(names[key], key): value for key, value in found.items()}, extra
        return {names[key]: value for key, value in found.items()}, extra

    def _set_extra_parameters(self, pre_key: str, dic: Dict[str, Any]) -> None:
        found, extra = self._get_extra_parameters(pre_key, full_key=True)
        keys = dict(found.keys())
        for name, value in dic.items():
            if name not in keys:
                raise ArgumentError(f"{name!r} is not a parameter: pass names out of {list(keys)}")
            if len(value) != len(extra[keys[name]]):
                raise ArgumentError(
                    f"{name} has {len(value)} values: pass {len(extra[keys[name]])} of them"
                )
        extra.update({keys[name]: value.tolist() for name, value in dic.items()})
        self.tile.read.tile.load_extra(extra, False)

    def extra_repr(self) -> str:
        """Return the description that is printed with the module."""
        return str(self.tile.get_brief_info())
