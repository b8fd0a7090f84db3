"""Files that ``torch.load(..., weights_only=True)`` can read, or none."""

from __future__ import annotations

import io
import reprlib
from collections import OrderedDict
from dataclasses import is_dataclass
from enum import Enum
from typing import IO, Iterator, Optional, Tuple, cast

import torch
from aihwkit.exceptions import ArgumentError
from torch import Tensor
from torch.nn import Parameter
from torch.serialization import add_safe_globals

from aihwkit_dspt.plain import storable

CONTAINERS = (list, tuple, dict, OrderedDict)
TENSORS = (Tensor, Parameter)


def allow_classes(configuration: object) -> None:
    """Let ``torch.load(..., weights_only=True)`` read the classes that a configuration consists of.

    Those of aihwkit and of this package are known; devices, parameters and stages of somebody's own
    are known from here on.
    """
    add_safe_globals(list(_classes(configuration)))


def _classes(value: object) -> Iterator[type]:
    if isinstance(value, type):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _classes(item)
    elif isinstance(value, Enum):
        yield type(value)
    elif is_dataclass(value):
        yield type(value)
        yield from _classes(list(vars(value).values()))


def write_loadable(content: object, file: IO[bytes]) -> None:
    """Write nested dicts, lists and tuples with ``torch.save``, and read them back.

    They are written as :func:`~aihwkit_dspt.plain.storable` has them. Numbers in tensors are not
    compared. The file is empty and can be read, too.

    Raises:
        ArgumentError: naming the first value that cannot be saved and loaded again.
        OSError: if the file cannot be written.
    """
    watched = _Watched(file)
    try:
        content = storable(content)
        _write(content, file, watched)
    except OSError:
        raise
    except RecursionError as error:
        raise ArgumentError(
            f"{_deepest(content)} holds itself, or is nested too deeply to be saved; nothing has "
            "been written. Pass values that are not"
        ) from error
    except Exception as error:  # whatever torch, pickle or a class of somebody else raises
        if watched.error is not None:
            raise watched.error from None
        found = first_unloadable(content)
        if found is None:
            raise
        path, value = found
        raise ArgumentError(
            f"{path}={reprlib.repr(value)} is of {type(value)}, which could be saved but not "
            "loaded; nothing has been written. Pass plain Python values, tensors or NumPy arrays "
            "of numbers, or allow a class of your own with torch.serialization.add_safe_globals"
        ) from error


class _Watched:
    """A file that keeps its error, in whose place torch has one of an unexpected position."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.error: Optional[OSError] = None

    def write(self, data: bytes) -> int:
        """Write to the file."""
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Flush the file, unless it has failed."""
        if self.error is None:
            self.file.flush()


def first_unloadable(value: object, path: str = "") -> Optional[Tuple[str, object]]:
    """Return path and value of the innermost part that cannot be saved and loaded again."""
    if isinstance(value, Tensor) and type(value) in TENSORS and _is_dense(value):
        return None
    if type(value) not in CONTAINERS and _is_loadable(value):
        return None
    for name, part in _parts(value):
        found = first_unloadable(part, path + name if path else name.lstrip("."))
        if found is not None:
            return found
    return None if type(value) in CONTAINERS else (path, value)


def _parts(value: object) -> Iterator[Tuple[str, object]]:
    """Yield the parts of a container or the attributes of an object, and how to get there."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"[key {key!r}]", key
            is_name = isinstance(key, str) and key.isidentifier()
            yield f".{key}" if is_name else f"[{key!r}]", item
    elif isinstance(value, (list, tuple)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif not isinstance(value, type):
        yield from ((f".{name}", item) for name, item in getattr(value, "__dict__", {}).items())


def _deepest(content: object) -> str:
    """Return the path of what cannot be saved for its depth, down to the third level."""
    path = ""
    for _ in range(3):
        for name, part in _parts(content):
            try:
                storable(part)
            except RecursionError:
                path, content = path + name, part
                break
    return path.lstrip(".")


def _is_dense(value: Tensor) -> bool:
    """Return whether a tensor is of the kind that certainly can be loaded."""
    return value.layout is torch.strided and not value.is_quantized and not value.is_nested


def _is_loadable(value: object) -> bool:
    try:
        _write(value, io.BytesIO())
    except Exception:
        return False
    return True


def _write(value: object, file: IO[bytes], watched: Optional[_Watched] = None) -> None:
    torch.save(value, cast(IO[bytes], watched or file))
    file.seek(0)
    torch.load(file, map_location="meta", weights_only=True)
