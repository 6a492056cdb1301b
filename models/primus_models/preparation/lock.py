"""One process at a time prepares into a folder; the system frees the lock of one that dies."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from primus_models.errors import PreparedError

_LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; its file is removed at the end.

    Raises:
        PreparedError: another process holds it. OSError: the folder cannot be written.
    """
    if sys.platform == "win32":  # no locks of this kind there
        yield
        return
    import fcntl

    path = folder / _LOCK
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise PreparedError(
                f"another primus-prepare is at work in {folder}; wait for its end, or give another folder"
            ) from error
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), path.stat()):
                break
        os.close(handle)  # its holder removed the file between the two calls
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)
