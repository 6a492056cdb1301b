"""What is pushed into a stream, or asked of it, checked and brought to one form; each raises StreamError."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.errors import StreamError

_RATE_HZ = 50
_LONGEST_HOP_S = 86_400
LARGEST_TIME = 1 << 62


def hop_points(seconds: float) -> int:
    """The hop in steps of 20 ms; at most a day, so that no sum of hops leaves 64 bits."""
    points = seconds * _RATE_HZ
    # Written so that NaN fails.
    if not (0.5 < points <= _LONGEST_HOP_S * _RATE_HZ and abs(points - round(points)) < 1e-6):
        raise StreamError(f"the hop is {seconds} s; expected a multiple of 0.02 s, 0.02 or more and a day at most")
    return round(points)


def rotation(mount: ArrayLike | None) -> NDArray[np.float64] | None:
    """The mount as a float64 (3, 3), once it is known to be a rotation."""
    if mount is None:
        return None
    matrix = floats(mount)
    # At most 2, as no number of a rotation can be: so that no product overflows, and NaN is caught as well.
    if (
        matrix.shape != (3, 3)
        or not np.abs(matrix).max() <= 2
        or not (np.abs(matrix @ matrix.T - np.eye(3)).max() < 1e-3 and np.linalg.det(matrix) > 0)
    ):
        expected = "a (3, 3) rotation: orthonormal rows, determinant +1"
        raise arguments.wrong(matrix.tolist(), "the mount", expected, StreamError)
    return matrix


def times(timestamps_ns: ArrayLike) -> NDArray[np.int64]:
    """Timestamps as int64 (n,); one alone becomes an array of one."""
    if np.any(getattr(timestamps_ns, "mask", False)):
        raise StreamError("some timestamps are masked; leave those samples out")
    try:
        stamps = np.atleast_1d(np.asarray(timestamps_ns))
    except (TypeError, ValueError) as error:
        raise StreamError(f"timestamps are no array of integers ({error})") from error
    if stamps.ndim != 1 or (stamps.dtype.kind not in "iu" and stamps.size):
        raise StreamError(
            f"timestamps are {stamps.dtype} of the shape {stamps.shape}; expected whole nanoseconds as integers, (n,) "
            "(a float has not the digits for nanoseconds since 1970)"
        )
    if stamps.size and not (int(stamps.min()) > -LARGEST_TIME and int(stamps.max()) < LARGEST_TIME):
        raise StreamError(f"a timestamp lies outside of +-{LARGEST_TIME} ns; are these nanoseconds?")
    return stamps.astype(np.int64)


def floats(values: Any) -> NDArray[np.float64]:
    """Real numbers as a float64 array of any shape."""
    return arguments.floats(values, "samples", StreamError)


def parts(push: Any) -> tuple[Any, Any, Any]:
    """The sensor, timestamps and values of one push of a source; what they are is looked at when they are pushed."""
    if not (isinstance(push, tuple | list) and len(push) == 3):
        raise arguments.wrong(push, "a push of the source", "(sensor, timestamps_ns, values)", StreamError)
    sensor, timestamps_ns, values = push
    return sensor, timestamps_ns, values
