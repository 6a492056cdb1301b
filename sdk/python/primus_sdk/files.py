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

    A symbolic link stays, and the file that it leads to is written. A file that was there keeps its permissions; a new
    one gets those that the process gives to any (its umask).

    Raises:
        OutputError: the folder does not exist or cannot be written, the disk is full, or what stands there is no file
            but a folder, a pipe or a device; it is untouched.
    """
    target = destination(path)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{os.urandom(6).hex()}")
    made = False
    try:
        mode = os.stat(target).st_mode & 0o777 if os.path.exists(target) else None
        # Not `tempfile`, whose files are the owner's alone: the system is to take the umask off, which belongs to the
        # whole process and cannot be read without being set.
        with open(temporary, "xb") as file:
            made = True
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        if made:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write {path}: {why}; choose a folder that can be written") from error


def destination(path: str | os.PathLike[str]) -> str:
    """The file that `write_atomically` writes for a path: a symbolic link's target, else the path itself.

    Raises:
        OutputError: something stands there that is no file.
    """
    target = os.path.realpath(path) if os.path.islink(path) else os.fspath(path)
    if os.path.lexists(target) and not os.path.isfile(target):  # lexists: a link that leads to itself
        what = "a folder" if os.path.isdir(target) else "no file (a pipe, a device, or a link to itself)"
        raise OutputError(f"cannot write {path}: {target} is {what}; give the name of a file")
    return target


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
