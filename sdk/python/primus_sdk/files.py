"""Files written whole or not at all, and the same content always as the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_sdk.errors import OutputError


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one, never a part.

    Raises:
        OutputError: the folder does not exist or cannot be written, or the disk is full; what stood there is untouched.
    """
    import tempfile  # not needed to start with

    temporary: str | None = None
    folder, name = os.path.split(os.fspath(path))
    try:
        handle, temporary = tempfile.mkstemp(dir=folder or ".", prefix=f".{name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write {path}: {why}; choose a folder that can be written") from error


def safetensors_bytes(tensors: dict[str, NDArray[Any]], metadata: dict[str, str]) -> bytes:
    """A safetensors file whose bytes depend on its content alone.

    The library writes its metadata in the order of a hash map that differs from run to run; here the header's keys
    are sorted.
    """
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    content: bytes = save(contiguous, metadata)
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the format aligns the tensors to 8 bytes
    return len(header).to_bytes(8, "little") + header + content[8 + size :]
