"""Where the installed aihwkit comes from: a wheel made elsewhere, or an own build."""

from __future__ import annotations

from enum import Enum
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from typing import Optional, Tuple


class Origin(Enum):
    """How aihwkit's C++ library got here."""

    WHEEL = "wheel"
    """A wheel with the libraries that it was linked with, as the wheels on PyPI are."""

    CONDA = "conda"
    """A package of conda, linked with the libraries of its environment."""

    SELF_BUILT = "self-built"
    """Built from source, linked with the libraries of the machine."""


def origin_of(installed: Optional[Distribution]) -> Origin:
    """Return where an installed distribution comes from; ``None`` is a source tree on the path.

    A wheel for PyPI has to bring the libraries along that it was linked with. On Linux auditwheel
    puts them into ``aihwkit.libs``, on macOS delocate into ``.dylibs``. A build of one's own has
    neither, whether pip made it from the sdist, from a folder or from a repository.
    """
    if installed is None:
        return Origin.SELF_BUILT
    if (installed.read_text("INSTALLER") or "").strip() == "conda":
        return Origin.CONDA
    for file in installed.files or ():
        if file.parts[0] == "aihwkit.libs" or ".dylibs" in file.parts:
            return Origin.WHEEL
    return Origin.SELF_BUILT


def find_aihwkit() -> Optional[Tuple[str, Origin]]:
    """Return version and origin of the aihwkit that an import takes, ``None`` without one.

    A source tree with its library built in place has no metadata, but says its version.
    """
    try:
        installed = distribution("aihwkit")
    except PackageNotFoundError:
        if find_spec("aihwkit") is None:
            return None
        import aihwkit

        return aihwkit.__version__, origin_of(None)
    return installed.version, origin_of(installed)
