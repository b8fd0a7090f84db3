"""Files that are whole or not there."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Iterator, Optional, Tuple, Union

from aihwkit_dspt.configs.checks import require_path


@contextmanager
def whole_file(path: Union[str, Path]) -> Iterator[IO[bytes]]:
    """Write a file under a temporary name and give it its own in the end.

    A reader never sees a part of it, and an error or an interrupt leaves the former file in place.
    What a killed process has left is removed by the next one that writes the same file. The file
    can be read, too, before it gets its name.

    Args:
        path: the file; it keeps its permissions, or gets the usual ones. A symbolic link stays one,
            and the file that it names is replaced.

    Raises:
        ArgumentError: if it is no path.
        OSError: if the folder does not exist or cannot be written to, or if there is something
            under the name that must not be replaced: a folder, a device, a pipe, a file that
            may not be written to.
    """
    path = Path(os.path.realpath(require_path("path", path)))
    require_replaceable(path)
    _remove_abandoned(path)
    handle, temporary = _temporary(path)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.chmod(temporary, _mode(path))
            # Before the file is closed, which ends the claim to it.
            os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def require_replaceable(path: Path) -> None:
    """Raise ``OSError`` if no file can take the place of what is there."""
    reason = None
    if path.is_symlink():
        reason = errno.ELOOP
    elif not path.parent.is_dir():
        path, reason = path.parent, errno.ENOTDIR if path.parent.exists() else errno.ENOENT
    elif path.is_dir():
        reason = errno.EISDIR
    elif path.exists() and not path.is_file():
        message = "a device, pipe or socket cannot be replaced by a file: pass the path of a file"
        raise OSError(errno.EINVAL, message, str(path))
    elif path.exists() and not os.access(path, os.W_OK):
        reason = errno.EACCES
    if reason is not None:
        raise OSError(reason, os.strerror(reason), str(path))


def _temporary(path: Path) -> Tuple[int, str]:
    """Return a new temporary file that this process claims.

    The claim is a lock, which ends with the process, however it ends; the number of a process would
    be used again, and says nothing on another machine.
    """
    while True:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        # Another process may take it for abandoned before it is locked.
        if _lock(handle) is not False and os.fstat(handle).st_nlink > 0:
            return handle, temporary
        os.close(handle)


def _lock(handle: int) -> Optional[bool]:
    """Lock a file; return ``False`` if another process has, ``None`` if there are no locks here."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some file systems of networks
        return None
    return True


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files of a path that no living process claims."""
    name = re.compile(re.escape(path.name) + r"[a-z0-9_]{8}\.part")
    for other in path.parent.iterdir():
        if name.fullmatch(other.name):
            # It may be gone by now or belong to somebody else.
            with suppress(OSError), other.open("rb") as file:
                if _lock(file.fileno()):
                    other.unlink()


def _mode(path: Path) -> int:
    """Return the permissions that the file has, or would have got from ``open``."""
    if path.exists():
        return stat.S_IMODE(path.stat().st_mode)
    # The mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
