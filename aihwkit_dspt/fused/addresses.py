"""Arrays at addresses, for compiled loops.

To take over a dozen arrays from Python takes longer than what is done to the cells of a line. The
arrays are dense, and their owner sees to it that they live.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic


@intrinsic  # type: ignore[untyped-decorator]
def single_at(_: Any, address: Any) -> Any:
    """Return the pointer to single-precision numbers at an address."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.float32)(types.int64), code
