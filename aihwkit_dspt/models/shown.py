"""What code of others asks of the tensors that an analog layer shows."""

from __future__ import annotations

from typing import Any, Callable, ClassVar, Dict, Iterable, Mapping, Optional, Set, Tuple

from aihwkit.exceptions import TileError
from torch import Tensor
from torch.utils._pytree import tree_flatten

OF_SHAPE = {
    *("__get__:dtype", "__get__:is_meta", "__get__:is_quantized", "__get__:is_sparse"),
    *("__get__:itemsize", "__get__:layout", "__get__:names", "__get__:nbytes", "__get__:ndim"),
    *("__get__:shape", "__len__", "stride", "is_contiguous", "storage_offset", "dim", "size"),
    *("element_size", "is_complex", "is_floating_point", "is_signed", "nelement", "numel"),
}
"""What can be said without the layer."""

OF_TRAINING = {"__get__:grad", "__get__:grad_fn", "__get__:is_leaf", "__get__:requires_grad"}
"""What says whether and how something is trained."""

OF_DEVICE = {
    *("__get__:device", "__get__:is_cpu", "__get__:is_cuda", "get_device", "empty_like"),
    *("ones_like", "zeros_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_empty"),
    *("new_ones", "new_full", "new_tensor"),
}
"""What can be said from the device of the layer, without values."""

IN_PLACE = {
    *("__set__", "__setitem__", "__delete__", "__iadd__", "__isub__", "__imul__", "__ifloordiv__"),
    *("__itruediv__", "__imod__", "__ipow__", "__iand__", "__ior__", "__ixor__", "__idiv__"),
}
"""Writing operations without an underscore at the end."""


PLACE = "_place"
"""Attribute of a layer with its name in the model that was converted."""


class Shown(Tensor):
    """A tensor without memory of its own that shows what an analog layer holds.

    A subclass says in :meth:`_answer` what is computed with it.

    Raises:
        TileError: when it is written to.
    """

    OF_ITSELF: ClassVar[Set[str]] = OF_SHAPE
    """What it answers without the layer."""

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., object],
        types: Iterable[type],
        args: Tuple[object, ...] = (),
        kwargs: Optional[Dict[str, object]] = None,
    ) -> object:
        """Answer from the layer."""
        kwargs = kwargs or {}
        name = name_of(func)
        if name == "__get__:data":
            return args[0]
        if name in cls.OF_ITSELF:
            return super().__torch_function__(func, types, args, kwargs)  # type: ignore[no-untyped-call]
        refuse_writes(name, args, kwargs)
        return cls._answer(name, func, args, kwargs)

    @classmethod
    def _answer(
        cls,
        name: str,
        func: Callable[..., object],
        args: Tuple[object, ...],
        kwargs: Dict[str, object],
    ) -> object:
        raise NotImplementedError


def where(shown: object) -> Tuple[str, str]:
    """Return what a layer is called in messages, and how it is left digital.

    Args:
        shown: its weight or bias.
    """
    layer = getattr(shown, "_layer", None)
    place = getattr(layer, "__dict__", {}).get(PLACE)
    if not place:
        return "an analog layer", "exclude_modules of convert"
    return f"{place!r}, an analog layer", f"exclude_modules=[{place!r}] of convert"


def name_of(func: Any) -> str:
    """Return the name of a function; those of attributes say which one is asked for."""
    name: str = getattr(func, "__name__", "")
    return f"{name}:{getattr(func.__self__, '__name__', '')}" if name == "__get__" else name


def refuse_writes(name: str, args: Tuple[object, ...], kwargs: Mapping[str, object]) -> None:
    """Raise ``TileError`` for an operation that would write and not reach the layer."""
    writes = name in IN_PLACE or (name.endswith("_") and not name.endswith("__"))
    # torch.nn.init hands its tensor on by name
    written = args[:1] or kwargs.get("tensor") if writes else None
    targets = tree_flatten((written, kwargs.get("out")))[0]
    found = [target for target in targets if isinstance(target, Shown)]
    if found:
        what = "an assignment" if name == "__set__" else name
        layer, digital = where(found[0])
        raise TileError(
            f"{what} would not reach the arrays of {layer}, whose weight and bias only show what "
            "the layer holds: pass new ones to layer.set_weights(weight, bias), or leave the layer "
            f"digital ({digital})"
        )
