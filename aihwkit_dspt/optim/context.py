"""The analog context of a tile as a parameter whose gradient torch's tools can scale."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from aihwkit.exceptions import TileError
from aihwkit.optim.context import AnalogContext
from torch import Tensor, cat, ones_like, where, zeros, zeros_like
from torch._C import DisableTorchFunctionSubclass
from torch.autograd import no_grad
from torch.nn import Parameter

from aihwkit_dspt.configs.checks import shown
from aihwkit_dspt.optim.forgotten import notice_unused, watch
from aihwkit_dspt.optim.gradient import gradient_norm
from aihwkit_dspt.optim.wanted import is_wanted
from aihwkit_dspt.optim.written import refuse_writes
from aihwkit_dspt.tiles.uncompiled import not_exported

if TYPE_CHECKING:
    from aihwkit.simulator.tiles.module import TileModule

    from aihwkit_dspt.parallel.gradients import GradientExchange

# In aihwkit 1.2 each attribute is found by Python code. The training step passes by.
_own: Callable[[object, str], Any] = object.__getattribute__


@refuse_writes
class GradientContext(AnalogContext):
    r"""aihwkit's analog context with a gradient: one number that stands for the whole.

    Between a backward pass and the step the context keeps inputs and errors. ``grad`` is the
    0-dimensional norm :math:`\|G\|` of their gradient, computed when somebody asks; see
    :func:`~aihwkit_dspt.analog_grad_norms`. Whatever changes that number, such as
    ``torch.nn.utils.clip_grad_norm_`` or ``GradScaler.unscale_``, changes the errors by the same
    factor as soon as somebody looks at them:

    .. math:: d_n \leftarrow d_n\, \frac{\text{grad}}{\|G\|}

    A backward pass for other gradients alone (``torch.autograd.grad(loss, x)``,
    ``backward(inputs=[x])``) leaves nothing. ``grad = None`` (``zero_grad()``) drops what is kept.
    A step sees no gradient, so that the torch optimizer that it is built on leaves the context to
    the tile.

    Attributes:
        exchange: what joins the vectors of several processes, see
            :class:`~aihwkit_dspt.parallel.gradients.GradientExchange`; ``None`` in one process.
        n_joint: number of kept backward passes whose vectors are joint.
    """

    analog_input: List[Tensor]

    # Of the class, so that a context that was made by aihwkit can become one.
    _norm: Optional[Tensor] = None
    _scaled: Optional[Tensor] = None
    _n_counted = 0
    _n_taken = 0
    is_trained = False
    kept_since = 0
    is_used = False
    n_empty_steps = 0
    exchange: Optional[GradientExchange] = None
    n_joint = 0

    @property
    def grad(self) -> Optional[Tensor]:
        """Norm of the gradient that is kept, as it was scaled; ``None`` without one."""
        own = _own(self, "__dict__")
        n_kept = len(own["analog_input"])
        if n_kept == own.get("_n_taken", 0) or not self.requires_grad:
            return None
        if self._n_counted != n_kept:
            norm = gradient_norm(self)
            self._norm, self._scaled, self._n_counted = norm, norm.clone(), n_kept
        return self._scaled

    @grad.setter
    def grad(self, value: Optional[Tensor]) -> None:
        if value is None:
            self.reset()
            return
        held = self.grad
        if isinstance(value, Tensor) and value.numel() > 0 and not value.any():
            # Of any shape: with aihwkit 1.2 torch.zeros_like(p) is a matrix.
            self._scaled = None if held is None else zeros_like(held)
        elif not isinstance(value, Tensor) or value.numel() != 1 or value.is_complex():
            raise TileError(
                f"grad={shown(value)} of an array is not valid: its gradient is one number, the "
                "norm of G = sum of d x^T, and what changes this number scales the errors. Pass "
                "None or a scaled one, such as 0.5 * p.grad"
            )
        elif held is not None:
            self._scaled = value.detach().reshape(())
        else:
            name = type(self.analog_tile).__name__
            raise TileError(
                f"grad of {name} cannot be set where no backward pass has been: the gradient of an "
                "array is in inputs and errors that it keeps, and this number only scales them. "
                "Let the loss go through the model that is to learn"
            )

    @grad.deleter
    def grad(self) -> None:
        self.reset()

    @property
    def analog_grad_output(self) -> List[Tensor]:
        """Errors that are kept, scaled as the gradient was."""
        own = _own(self, "__dict__")
        if own.get("_norm") is not None:
            self._scale_errors()
        errors: List[Tensor] = own["analog_grad_output"]
        inputs: List[Tensor] = own["analog_input"]
        if len(errors) < len(inputs):  # a backward pass is about to add the last one
            if not is_wanted(self):
                inputs.pop()
                return []  # what is added here is not kept
            watch(self, len(inputs))
            exchange = own.get("exchange")
            if exchange is not None:
                exchange.queue()
        return errors

    @analog_grad_output.setter
    def analog_grad_output(self, errors: List[Tensor]) -> None:
        _own(self, "__dict__")["analog_grad_output"] = errors

    def reset(self, analog_tile: Optional[TileModule] = None) -> None:
        """Drop what is kept, as aihwkit does, and how it was scaled."""
        if analog_tile is not None:
            super().reset(analog_tile)
        _own(self, "__dict__").update(
            analog_input=[],
            analog_grad_output=[],
            _norm=None,
            _scaled=None,
            _n_counted=0,
            _n_taken=0,
            n_joint=0,
        )

    def register_hook(self, hook: Callable[[Tensor], Optional[Tensor]]) -> Any:
        """Register a hook for the gradient, which is the norm of all that is kept.

        aihwkit's backward pass returns no gradient for the context, so that a hook would be called
        with ``None``. What the hook returns takes the place of ``grad``, as for any parameter.
        """

        def with_norm(_: Optional[Tensor]) -> None:
            grad = self.grad
            changed = None if grad is None else hook(grad)
            if changed is not None:
                self.grad = changed

        with DisableTorchFunctionSubclass():  # type: ignore[no-untyped-call]
            return super().register_hook(with_norm)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> Any:
        """Register a hook that is called after a backward pass; aihwkit 1.2 takes none."""
        with DisableTorchFunctionSubclass():  # type: ignore[no-untyped-call]
            return super().register_post_accumulate_grad_hook(hook)

    def __deepcopy__(self, memo: Dict[int, object]) -> Parameter:
        """Return the context of the copied tile: a copied optimizer trains the copied model.

        Within the copy of its tile, which makes a context of its own, it is a placeholder.
        """
        tile = self.analog_tile
        if id(tile) in memo:
            return placeholder(self)
        context: Parameter = deepcopy(tile, memo).analog_ctx
        return context

    def __reduce_ex__(self, protocol: object) -> Tuple[object, ...]:
        """Pickle the context as that of its tile, for an optimizer that is pickled with a model."""
        if getattr(self.analog_tile, "pickles_no_context", False):
            return _context_of, (self.analog_tile,)
        reduced: Tuple[object, ...] = super().__reduce_ex__(protocol)
        return reduced

    def set_norm(self, norm: Tensor) -> None:
        """Set the norm of all that is kept, where the vectors themselves are in another process."""
        self._norm, self._scaled, self._n_counted = norm, norm.clone(), len(self.analog_input)

    def untyped_storage(self) -> object:
        """Return the storage, which is what an export asks for before it comes to the tile."""
        try:
            return super().untyped_storage()
        except RuntimeError as error:  # of aihwkit 1.2, whatever the mode is
            raise not_exported(type(self.analog_tile).__name__) from error

    def take(self) -> None:
        """Show a step no gradient until more is kept; it takes the vectors.

        Raises:
            TileError: if the vectors of other processes are missing.
        """
        own = _own(self, "__dict__")
        own["is_trained"] = True
        if own.get("exchange") is not None:
            self.exchange.require_joint(self)  # type: ignore[union-attr]
        if own["use_indexed"]:
            self._join_images()
        own["_n_taken"] = len(own["analog_input"])
        if own["_n_taken"]:
            own["is_used"] = True
        else:
            notice_unused(self)

    @no_grad()
    def _scale_errors(self) -> None:
        norm, scaled, n_counted = self._norm, self._scaled, self._n_counted
        if norm is None or scaled is None:
            return
        self._norm = self._scaled = None
        self._n_counted = 0
        factor = where(norm > 0.0, scaled / norm, ones_like(norm))
        errors = self.__dict__["analog_grad_output"]
        errors[:n_counted] = [d * factor.to(d) for d in errors[:n_counted]]

    def _join_images(self) -> None:
        """Join the images of several backward passes to one batch, as aihwkit does with vectors."""
        if len(self.analog_input) > 1 and len({x.shape[1:] for x in self.analog_input}) == 1:
            self.analog_input = [cat(self.analog_input)]
            self.analog_grad_output = [cat(self.analog_grad_output)]
            self.n_joint = min(self.n_joint, 1)


def placeholder(context: AnalogContext) -> Parameter:
    """Return what stands for a context in the state of its tile, which makes a new one."""
    return Parameter(zeros((), device="cpu"), requires_grad=context.requires_grad)


def _context_of(tile: TileModule) -> AnalogContext:
    return tile.analog_ctx


def adopt(context: AnalogContext) -> None:
    """Give a context of aihwkit a gradient. It stays the same object: optimizers may hold it."""
    if type(context) is AnalogContext:
        context.__class__ = GradientContext
