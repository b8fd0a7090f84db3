"""Launching Triton kernels with little Python."""

from __future__ import annotations

from functools import partial
from inspect import signature
from typing import Any, Callable, Dict, Tuple

import triton
from torch import cuda

EXACT = {"enable_fp_fusion": False}
"""No fused multiply-add: the roundings of the torch operations that the kernels replace."""


class Kernel:
    """A Triton kernel of which the same machine code fits all numbers and addresses.

    Triton compiles anew where a number is divisible by 16 and asks that before each launch, which
    takes longer than the launch. Here a kernel is compiled once for each set of constants.

    Args:
        function: the kernel; its constants are its last arguments and have names in capitals.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        names = [name for name in signature(function).parameters if not name.isupper()]
        self.function = triton.jit(
            function, do_not_specialize=names, do_not_specialize_on_alignment=names
        )
        self._compiled: Dict[Tuple[Any, ...], Any] = {}

    def __call__(self, grid: Tuple[int, int], *arguments: Any, **constants: Any) -> None:
        """Launch a grid of programs on the device of the first argument, on torch's current stream.

        The arguments are tensors on one device, integers and numbers in single precision. The code
        depends on the constants, which come in the order of the kernel.
        """
        index = arguments[0].get_device()
        if index < 0 or index == cuda.current_device():
            self._launch(index, grid, arguments, constants)
        else:
            with cuda.device(index):
                self._launch(index, grid, arguments, constants)

    def _launch(
        self,
        index: int,
        grid: Tuple[int, int],
        arguments: Tuple[Any, ...],
        constants: Dict[str, Any],
    ) -> None:
        values = tuple(constants.values())
        key = index, *values
        launch = self._compiled.get(key)
        if launch is None:
            launch = self._compiled[key] = self._compile(grid, arguments, constants)
        launch(grid, arguments, values)

    def _compile(
        self, grid: Tuple[int, int], arguments: Tuple[Any, ...], constants: Dict[str, Any]
    ) -> Callable[..., None]:
        if not isinstance(self.function, triton.JITFunction):  # Triton's interpreter
            return lambda grid, arguments, values: self.function[grid](*arguments, *values)
        compiled = self.function.warmup(*arguments, grid=grid, **constants, **EXACT)
        run = compiled.run  # loads the code
        code, metadata = compiled.function, compiled.packed_metadata
        stream = partial(triton.runtime.driver.active.get_current_stream, arguments[0].get_device())

        def launch(
            grid: Tuple[int, int], arguments: Tuple[Any, ...], values: Tuple[Any, ...]
        ) -> None:
            # What Triton's own launch ends with; without hooks.
            run(*grid, 1, stream(), code, metadata, None, None, None, *arguments, *values)

        return launch
