"""Methods whose tensors can be trained later."""

from __future__ import annotations

from functools import wraps
from typing import Any, Callable, TypeVar, cast

from torch import inference_mode, is_inference_mode_enabled, no_grad

Method = TypeVar("Method", bound=Callable[..., Any])


def trainable(method: Method) -> Method:
    """Decorate a method that makes what later steps change, at its first call or now and then.

    What is made in inference mode can never be changed outside of it.
    """

    @wraps(method)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not is_inference_mode_enabled():
            return method(*args, **kwargs)
        with inference_mode(False), no_grad():
            return method(*args, **kwargs)

    return cast(Method, run)
