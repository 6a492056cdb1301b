"""Where a command will write, looked at before its work: a wrong folder is said at once, not after an hour."""

from __future__ import annotations

import os
from pathlib import Path

from primus_sdk.errors import OutputError


def check_file(file: Path | None) -> None:
    """Look whether a file can be written; None is not asked for.

    Raises:
        OutputError: its folder is not there or cannot be written.
    """
    if file is not None:
        _check(file, file.parent)


def check_store(folder: Path) -> None:
    """Look whether a folder, which may yet have to be made with those above it, can be written in.

    Raises:
        OutputError: it cannot, or a file stands in its way.
    """
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    _check(folder, there)


def _check(path: Path, folder: Path) -> None:
    if not folder.is_dir():
        why = f"{folder} is no folder" if folder.exists() else f"there is no folder {folder}"
    elif not os.access(folder, os.W_OK | os.X_OK):
        why = f"{folder} cannot be written in"
    else:
        return
    raise OutputError(f"cannot write {path}: {why}; choose a folder that can be written")
