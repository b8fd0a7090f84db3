"""The tile that layers see."""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

from aihwkit.exceptions import ArgumentError, ConfigError, CudaError, TileError
from aihwkit.simulator.parameters.base import RPUConfigGeneric
from aihwkit.simulator.rpu_base import cuda
from aihwkit.simulator.tiles.module import TileModule
from torch import Tensor, inference_mode, tensor
from torch import device as torch_device
from torch.autograd import no_grad
from torch.nn.parallel import DistributedDataParallel

from aihwkit_dspt.configs.checks import shown
from aihwkit_dspt.optim.context import adopt
from aihwkit_dspt.plain import plain
from aihwkit_dspt.stages.listener import Listener
from aihwkit_dspt.tiles.context import follow_device, is_frozen
from aihwkit_dspt.tiles.given import fault_of, require_cells, require_construction
from aihwkit_dspt.tiles.simulator_tile import TrackingSimulatorTile
from aihwkit_dspt.tiles.tile_device import TileDevice
from aihwkit_dspt.tiles.tile_export import TileExport
from aihwkit_dspt.tiles.tile_function import through_tile
from aihwkit_dspt.tiles.tile_periphery import TilePeriphery
from aihwkit_dspt.tiles.tile_state import TileState
from aihwkit_dspt.tiles.tile_values import TileValues
from aihwkit_dspt.tiles.uncompiled import uncompiled


class TrackingTile(
    TileState,
    TileValues,
    TileDevice,
    TilePeriphery,
    TileExport,
):
    r"""Analog tile that is evaluated at :math:`\bar W = W + \gamma\, c \circ (P - \tilde Q)`.

    With more than two arrays the residuals of all but the slowest are added.

    It takes the place of aihwkit's :class:`~aihwkit.simulator.tiles.analog.AnalogTile` in every
    layer; choose it with a :class:`~aihwkit_dspt.TrackingRPUConfig`. The arrays and stages live
    in ``tile``, a :class:`~aihwkit_dspt.tiles.simulator_tile.TrackingSimulatorTile`. A layer has
    one tile (or one per part of a mapped array).

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
        ArgumentError: if a size is no whole number.
    """

    @inference_mode(False)  # what is trained later must not be an inference tensor
    def __init__(
        self,
        out_size: int,
        in_size: int,
        rpu_config: RPUConfigGeneric,
        bias: bool = False,
        in_trans: bool = False,
        out_trans: bool = False,
    ):
        require_construction(
            out_size, in_size, rpu_config, bias=bias, in_trans=in_trans, out_trans=out_trans
        )
        if in_trans != out_trans:
            raise ConfigError(
                f"in_trans={in_trans} with out_trans={out_trans} is not valid: aihwkit's C++ "
                "tiles handle only equal settings; pass both or none"
            )
        super().__init__(out_size, in_size, plain(deepcopy(rpu_config)), bias, in_trans, out_trans)
        require_cells(self.tile.pipeline.device_arrays(), len(rpu_config.device.unit_cell_devices))
        adopt(self.analog_ctx)
        self._keep_settings()

    def _create_simulator_tile(
        self, x_size: int, d_size: int, rpu_config: RPUConfigGeneric
    ) -> TrackingSimulatorTile:
        return TrackingSimulatorTile(x_size, d_size, rpu_config, self.get_data_type())

    def _bind_shared_weights(self) -> None:
        """Show aihwkit 1.2 the memory of the mixed weight; it is shared already."""
        self._shared_weight_tensor = self.tile.get_weights(as_ref=True)

    @no_grad()
    def set_reference(self, reference: Tensor, array: int = 0) -> None:
        r"""Set the reference :math:`\tilde Q` to calibrated symmetric points.

        With ``reference=ReferenceType.STATIC`` this is the second stage of the paper's two-stage
        method (Algorithm 4).

        Args:
            reference: ``[out_size, in_size]`` symmetric points of the fast array, in weight units
                (one more column if the bias is analog).
            array: number of the array that they belong to, as in ``unit_cell_devices``: 0 is the
                fast array; the slowest has no reference.

        Raises:
            ArgumentError, TileError: see :func:`~aihwkit_dspt.tiles.programming.program_reference`.
        """
        self.tile.set_reference(reference, array)

    @contextmanager
    def listen(self, listener: Listener, array: int = 0) -> Iterator[Listener]:
        """Let a listener hear of reads, events and steps inside a ``with`` block.

        Args:
            listener: the listener; copies of the tile do not have it.
            array: number of the array whose reads and events it hears, as in
                ``unit_cell_devices``: 0 is the fastest; the slowest is not read.

        Yields:
            the listener.

        Raises:
            ArgumentError: if it is no :class:`~aihwkit_dspt.Listener`, or no array of this number
                is read.
        """
        if not isinstance(listener, Listener):
            raise ArgumentError(
                f"listener={shown(listener)} is not valid: pass an instance of a class derived "
                "from Listener"
            )
        listeners = self.tile.pipeline.link_of(array).listeners
        listeners.append(listener)
        try:
            yield listener
        finally:
            listeners.remove(listener)

    # -- passes -------------------------------------------------------------------------------

    @uncompiled
    def forward(self, x_input: Tensor, tensor_view: Optional[Tuple[int, ...]] = None) -> Tensor:
        """Return the outputs of the layer.

        Args:
            x_input: ``[*, in_size]`` inputs, ``[in_size, *]`` if ``in_trans``.
            tensor_view: view of the bias and the output scales.

        Raises:
            TileError: inside ``DistributedDataParallel``: each process would train devices of its
                own, and only digital gradients would be averaged; or if the inputs do not fit.
        """
        if DistributedDataParallel._active_ddp_module is not None:
            raise TileError(
                "TrackingTile does not support DistributedDataParallel: every process would train "
                "analog arrays of its own. Pass the model to analog_data_parallel of aihwkit_dspt "
                "instead"
            )
        context = self._parameters["analog_ctx"]
        try:
            scales = self._learned_scales(context, x_input.dim(), tensor_view)
            output = through_tile(self, context, self._in_precision(x_input), scales)
            if not self.digital_bias:
                return output
            view = self.get_tensor_view(output.dim()) if tensor_view is None else tensor_view
            biased: Tensor = output + self.bias.view(*view)
            return biased
        except (AttributeError, RuntimeError, TypeError) as error:
            fault = fault_of("x_input", x_input, self, self.in_size, self.in_trans)
            if fault is None:
                raise
            raise fault from error

    def get_tensor_view(self, ndim: int, dim: Optional[int] = None) -> Tuple[int, ...]:
        """Return the view of output scales that fits outputs of ``ndim`` dimensions.

        aihwkit's mapped convolutions do not say that the outputs of an index matrix are
        ``[n_images, out_size, *]``.
        """
        if dim is None and ndim > 2 and self.analog_ctx.use_indexed:
            dim = 1
        view: Tuple[int, ...] = super().get_tensor_view(ndim, dim)
        return view

    def update(self, x_input: Tensor, d_input: Tensor) -> None:
        """Update the tile, unless it is frozen (``requires_grad_(False)``).

        Args:
            x_input: ``[*, in_size]`` inputs, ``[in_size, *]`` if ``in_trans``.
            d_input: ``[*, out_size]`` errors, ``[out_size, *]`` if ``out_trans``.
        """
        if is_frozen(self):
            return
        try:
            x_dim = 0 if self.in_trans else x_input.dim() - 1
            d_dim = 0 if self.out_trans else d_input.dim() - 1
        except (AttributeError, TypeError) as error:
            x_fault = fault_of("x_input", x_input, self, self.in_size, self.in_trans)
            d_fault = fault_of("d_input", d_input, self, self.out_size, self.out_trans)
            raise (x_fault or d_fault or error) from None
        pair = self.pre_update(x_input, x_dim, d_input, d_dim)
        self.tile.update(*pair, self.analog_bias, self.in_trans, self.out_trans)

    def update_indexed(self, x_input: Tensor, d_input: Tensor) -> None:
        """Update the tile of an indexed convolution, as :meth:`update` does."""
        if not is_frozen(self):
            super().update_indexed(x_input, d_input)

    def post_update_step(self) -> None:
        """Do what aihwkit does after each step; several processes share the new weight."""
        for effect in self.tile.effects:
            effect()
        exchange = getattr(self._parameters["analog_ctx"], "exchange", None)
        if exchange is not None:
            exchange.share_weight(self)

    def _replicate_for_data_parallel(self) -> None:
        """Refuse to be replicated: every replica would train arrays of its own."""
        raise TileError(
            "TrackingTile does not support DataParallel: every replica would train analog arrays "
            "of its own. Train on one device, or in several processes with "
            "analog_data_parallel(model)"
        )

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

    @inference_mode(False)
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

    # -- what aihwkit draws for the passes ---------------------------------------------------------

    def _get_extra_parameters(self, pre_key: str, full_key: bool = False) -> Tuple[Any, Any]:
        """Return the parameters of the array that is read, and all of its state."""
        extra = self.tile.pipeline.mixed_array.cpp.dump_extra()
        found = {key: tensor(value, device="cpu") for key, value in extra.items() if pre_key in key}
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
        self.tile.pipeline.mixed_array.cpp.load_extra(extra, False)

    def extra_repr(self) -> str:
        """Return the description that is printed with the module."""
        return str(self.tile.get_brief_info(self.analog_bias))
