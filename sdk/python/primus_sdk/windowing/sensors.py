"""What a device's samples mean: units, sign, axes and range, and how they become the training data's."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.errors import StreamError
from primus_sdk.windowing import pushed

AccelerometerUnit = Literal["m/s^2", "g"]
GyroscopeUnit = Literal["rad/s", "deg/s"]
Convention = Literal["android", "ios"]

STANDARD_GRAVITY = 9.80665
"""One g in m/s^2 (exact, by convention)."""
FACTORS = {"m/s^2": 1.0, "g": STANDARD_GRAVITY, "rad/s": 1.0, "deg/s": math.pi / 180}
"""Each unit in SI units."""


@dataclass(frozen=True)
class Sensors:
    """How a device reports its two sensors.

    Attributes:
        accelerometer_unit: of acceleration, and of gravity where it comes apart.
        gyroscope_unit: of the rotation rates.
        convention: "android" (and nearly every sensor chip): at rest the axis that points up reads +9.81 m/s^2.
            "ios": Core Motion's acceleration and gravity have the opposite sign on all axes; rotation rates agree.
        mount: (3, 3) rotation that turns the sensor's axes into the training data's (`mount @ sample`); None: they
            are the same. Kept as three tuples.
        accelerometer_range: the largest value that the sensor can report, in its unit, as in 8 for +-8 g; None: not
            known.
        gyroscope_range: the same of the gyroscope.

    Raises:
        StreamError: a unit or convention that does not exist, a mount that is no rotation, a range not above 0.
    """

    accelerometer_unit: AccelerometerUnit = "m/s^2"
    gyroscope_unit: GyroscopeUnit = "rad/s"
    convention: Convention = "android"
    mount: ArrayLike | None = None
    accelerometer_range: float | None = None
    gyroscope_range: float | None = None

    def __post_init__(self) -> None:
        for name, kind in (
            ("accelerometer_unit", AccelerometerUnit),
            ("gyroscope_unit", GyroscopeUnit),
            ("convention", Convention),
        ):
            value = getattr(self, name)
            if not (isinstance(value, str) and value in get_args(kind)):
                expected = f"one of {', '.join(map(repr, get_args(kind)))}"
                raise arguments.wrong(value, name, expected, StreamError)
        for name in ("accelerometer_range", "gyroscope_range"):
            value = getattr(self, name)
            if value is not None:
                arguments.number(value, name, "a number above 0, in the sensor's unit", StreamError, above=0)
        rotation = pushed.rotation(self.mount)
        rows = None if rotation is None else tuple(tuple(map(float, row)) for row in rotation)
        object.__setattr__(self, "mount", rows)

    def accelerometer_matrix(self) -> NDArray[np.float64]:
        """What turns a sample (3,) as it is pushed into m/s^2 in the training data's axes: (3, 3)."""
        sign = -1.0 if self.convention == "ios" else 1.0
        return self._rotation() * (sign * FACTORS[self.accelerometer_unit])

    def gyroscope_matrix(self) -> NDArray[np.float64]:
        """What turns a sample (3,) as it is pushed into rad/s in the training data's axes: (3, 3)."""
        return self._rotation() * FACTORS[self.gyroscope_unit]

    def _rotation(self) -> NDArray[np.float64]:
        return np.eye(3) if self.mount is None else np.array(self.mount)
