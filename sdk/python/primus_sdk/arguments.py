"""What a caller gives, checked: each wrong type or number is the typed error of the place that it was given to."""

from __future__ import annotations

import math
import os
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from primus_sdk.errors import PrimusError

_T = TypeVar("_T")


def number(
    value: object,
    name: str,
    expected: str,
    error: type[PrimusError],
    least: float = -math.inf,
    most: float = math.inf,
    *,
    above: float = -math.inf,
) -> float:
    """A finite number from `least` to `most`, and above `above`, as a float.

    Raises:
        error: it is another, or none; the message says that `name` is it, and what was `expected`.
    """
    try:
        found = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:  # a whole number of hundreds of digits
        found = math.inf
    if not (math.isfinite(found) and least <= found <= most and found > above):
        raise wrong(value, name, expected, error)
    return found


def whole(value: object, name: str, expected: str, error: type[PrimusError], least: int, most: float = math.inf) -> int:
    """A whole number from `least` to `most`, as an int.

    Raises:
        error: it is another, or none; as `number`.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        found = int(value)
        if least <= found <= most:
            return found
    raise wrong(value, name, expected, error)


def instance(value: object, kind: type[_T], name: str, error: type[PrimusError]) -> _T:
    """An object of the class that belongs there.

    Raises:
        error: it is of another.
    """
    if not isinstance(value, kind):
        raise wrong(value, name, f"a {kind.__name__}", error)
    return value


def yes_or_no(value: object, name: str, error: type[PrimusError]) -> bool:
    """True or False; nothing else stands for them: a text such as "off" would mean yes.

    Raises:
        error: it is neither; as `number`.
    """
    if not isinstance(value, bool | np.bool_):
        raise wrong(value, name, "True or False", error)
    return bool(value)


def text(value: object, name: str, error: type[PrimusError]) -> str:
    """A text that is not empty, and that a file can hold: half a surrogate pair is no letter in UTF-8.

    Raises:
        error: it is none; as `number`.
    """
    if not isinstance(value, str) or not value or not value.encode("utf-8", "ignore").decode() == value:
        raise wrong(value, name, "a text that is not empty", error)
    return value


def path(value: object, name: str, error: type[PrimusError]) -> str:
    """A file's or a folder's name: a text, since pathlib's import is a thirtieth of a start.

    Raises:
        error: it is none, or of bytes; as `number`.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise wrong(value, name, "a path: a text, or a pathlib.Path", error)
    return text


def floats(values: Any, name: str, error: type[PrimusError], kind: DTypeLike = np.float64) -> NDArray[Any]:
    """Real numbers as an array of `kind`, a float, and of any shape; a copy.

    Raises:
        error: they are no array, or none of real numbers.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "iuf" or (not array.size and array.dtype.kind != "c"):
            with np.errstate(over="ignore"):  # what overflows becomes infinity
                array = array.astype(kind)
            if isinstance(values, np.ndarray) and hasattr(values, "mask"):  # numbers under a mask are none
                array[np.broadcast_to(values.mask, array.shape)] = np.nan
            return array
    except (TypeError, ValueError) as cause:
        raise error(f"{name} are no array of numbers ({cause})") from cause
    raise error(f"{name} are of the type {array.dtype}; expected real numbers")


def wrong(value: object, name: str, expected: str, error: type[PrimusError]) -> PrimusError:
    """The error for a value that cannot be; for the caller to raise."""
    try:
        found = repr(value)
    except ValueError:  # a whole number of thousands of digits
        found = f"of the type {type(value).__name__}"
    return error(f"{name} is {found if len(found) <= 60 else f'{found[:57]}...'}; expected {expected}")
