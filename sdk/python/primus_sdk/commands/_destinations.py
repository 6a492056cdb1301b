"""Where a command will write, looked at before its work: what is wrong is said at once, not after an hour.

Nothing is written over a file that the command cannot have made: a slip of the pen must not cost a recording.
"""

from __future__ import annotations

import os
from pathlib import Path

from primus_sdk.commands._kinds import may_be_replaced_by_a_head, may_be_replaced_by_a_picture
from primus_sdk.errors import OutputError
from primus_sdk.files import destination


def check_file(file: Path | None) -> None:
    """Look whether a file can be written; None is not asked for.

    Raises:
        OutputError: its folder is not there or cannot be written, or what stands there is no file.
    """
    if file is not None:
        _check(file, Path(destination(file)).parent)


def check_plot(file: Path | None) -> None:
    """Look whether a picture can be written; None is not asked for.

    Raises:
        OutputError: as `check_file`, the name does not end in .png, or what stands there is no PNG.
    """
    if file is not None:
        if file.suffix.lower() != ".png":
            raise OutputError(f"cannot draw {str(file)!r}: a plot is a PNG; give the name of a file that ends in .png")
        check_file(file)
        check_picture(file)


def check_picture(file: Path) -> None:
    """Look that no other file is replaced by a picture.

    Raises:
        OutputError: what stands there is no PNG; an empty file may be replaced.
    """
    if not may_be_replaced_by_a_picture(file):
        raise OutputError(f"cannot draw {file}: the file that is there is no PNG; give another name, or move it away")


def check_head(file: Path | None) -> None:
    """Look whether a head can be written; None is not asked for.

    Raises:
        OutputError: as `check_file`, or what stands there is no head; an empty file may be replaced.
    """
    if file is not None:
        check_file(file)
        if not may_be_replaced_by_a_head(file):
            raise OutputError(
                f"cannot save a head as {file}: the file that is there is no head; give another name, or move it away"
            )


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
