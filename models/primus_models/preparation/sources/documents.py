"""What a data set's JSON files say, read without trusting them: damage, and values of another kind, are named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeAlias

from primus_models.errors import DataSetError

Stamp: TypeAlias = tuple[int, int]
"""A file's time of change and size: what was read of another stamp is read again."""

_MOST_BYTES = 4 << 30


def read_json(file: Path, what: str) -> Any:
    """Read a whole JSON file; `what` says which of the data set's files it is.

    Raises:
        DataSetError: it is missing, empty, cut short, no JSON, or larger than 4 GB.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise DataSetError(f"{file} is larger than {_MOST_BYTES >> 30} GB: not {what}")
        return json.loads(file.read_bytes())
    except FileNotFoundError as error:
        raise DataSetError(f"there is no {file} ({what}): download it, or check the data set's folder") from error
    except OSError as error:
        raise DataSetError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise DataSetError(f"{file} ({what}) is no JSON, or cut short ({error}): download it again") from error


def stamp(file: Path) -> Stamp | None:
    """When a file was changed, and its size; None where it is not."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def number(value: Any) -> float | None:
    """A finite number as a float; None of anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number beyond any float
        return None


def words(value: Any) -> str | None:
    """A text, or a whole number as text, without spaces around; None of anything else, and of nothing."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
        return str(value)
    return speakable(value).strip() or None if isinstance(value, str) else None


def speakable(text: str) -> str:
    """The text as UTF-8 can carry it: JSON may hold halves of characters, which no file name or table takes."""
    return text.encode("utf-8", "replace").decode("utf-8")


def inside(root: Path, relative: str) -> Path:
    """A path that a data set's file names, within its folder.

    Raises:
        DataSetError: it points outside.
    """
    try:
        if "\0" not in relative and (root / relative).resolve().is_relative_to(root.resolve()):
            return root / relative
    except (OSError, RuntimeError) as error:  # a name too long, a circle of links
        raise DataSetError(f"the data set names {relative!r:.200}, which is no path ({error})") from error
    raise DataSetError(f"the data set names {relative!r:.200}, which lies outside of {root}")


def first_of(folder: Path, pattern: str) -> Path | None:
    """The first file in a folder, by name, that has this form and is not empty; None where there is none."""
    try:
        return next((file for file in sorted(folder.glob(pattern)) if file.is_file() and file.stat().st_size), None)
    except OSError:
        return None
