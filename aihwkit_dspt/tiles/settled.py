"""Methods whose tensors can be trained later, and that start from a whole state."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Callable, TypeVar, cast

from torch import inference_mode, is_inference_mode_enabled, no_grad

if TYPE_CHECKING:
    from aihwkit_dspt.tiles.pipeline import Pipeline

Method = TypeVar("Method", bound=Callable[..., object])


def trainable(method: Method) -> Method:
    """Decorate a method that makes what later steps change, at its first call or now and then.

    What is made in inference mode can never be changed outside of it.
    """

    @wraps(method)
    def run(*args: object, **kwargs: object) -> object:
        if not is_inference_mode_enabled():
            return method(*args, **kwargs)
        with inference_mode(False), no_grad():
            return method(*args, **kwargs)

    return cast(Method, run)


def settled(method: Method) -> Method:
    """Decorate a method of a tile that changes its pipeline outside of an update.

    It starts from a whole state. If it is interrupted, the next call mends the mixed weight.
    """

    @trainable
    @wraps(method)
    def run(self: Any, *args: object, **kwargs: object) -> object:
        pipeline: Pipeline = self.pipeline
        if pipeline.unfinished and pipeline.is_changing:
            return method(self, *args, **kwargs)  # within another such method
        pipeline.settle()
        pipeline.unfinished = pipeline.is_changing = True
        try:
            result = method(self, *args, **kwargs)
            pipeline.unfinished = False
            return result
        finally:
            pipeline.is_changing = False

    return cast(Method, run)
