"""A method that torch's compilers leave alone."""

from __future__ import annotations

from functools import wraps
from typing import Any, Callable, TypeVar, cast

import torch
from aihwkit.exceptions import TileError
from torch import compiler
from torch._compile import _disable_dynamo

_is_tracing: Callable[[], bool] = torch._C._is_tracing

# It can be called while torch.compile looks at the functions that are called.
_callback: Callable[[], object] = torch._C._dynamo.eval_frame.get_eval_frame_callback

Method = TypeVar("Method", bound=Callable[..., object])


def uncompiled(method: Method) -> Method:
    """Decorate the forward method of a tile, whose arrays are no torch operations.

    ``torch.compile`` breaks its graph there and compiles what is around. What would keep the graph
    for itself (``torch.export``, tracing, ONNX) is refused.
    """
    # It imports torch's compiler at its first call, which takes seconds.
    apart: Any = _disable_dynamo(method)

    @wraps(method)
    def run(self: Any, *args: object, **kwargs: object) -> object:
        # Where torch.compile asks is_exporting(), torch 2.10 says yes.
        if getattr(compiler, "_is_exporting_flag", False) or _is_tracing():
            raise not_exported(type(self).__name__)
        if compiler.is_compiling() or callable(_callback()):
            return apart(self, *args, **kwargs)
        return method(self, *args, **kwargs)

    return cast(Method, run)


def not_exported(name: str) -> TileError:
    """Return the error of a class in ``torch.export``, ``torch.onnx``, ``torch.jit`` or ``fx``."""
    return TileError(
        f"{name} cannot be exported, because arrays are no torch operations: "
        "export convert_to_digital(model) of aihwkit, which has the weights in use"
    )
