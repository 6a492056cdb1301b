"""The still-pose check: what gravity at rest says about the units and axes that were declared.

A developer puts the glasses on, looks ahead, holds still for a second or more, and reads what is wrong. Gravity's size
tells the accelerometer's unit, its direction the sign convention and the mount; the gyroscope at rest tells its own
unit. What it cannot tell: yaw (which way is forward); rad/s that were declared deg/s, as both are near 0 at rest; and
deg/s that were declared rad/s, of a gyroscope so quiet that its deg/s are as small as a worn one's rad/s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import arguments
from primus_sdk.calibration.mount import aligning
from primus_sdk.errors import StreamError
from primus_sdk.windowing import pushed
from primus_sdk.windowing.cutting import Window
from primus_sdk.windowing.intake import LARGEST_VALUE
from primus_sdk.windowing.sensors import STANDARD_GRAVITY, Sensors

Array = NDArray[np.float64]

Code = Literal[
    "short", "moving", "in g", "not in g", "no gravity", "size", "downward", "axis", "tilt", "gyroscope in deg/s",
    "gyroscope size", "gyroscope bias",
]  # fmt: skip

LEAST_S = 1.0
"""Seconds at rest that the check takes."""
REST_ACCELERATION, REST_ROTATION = 0.3, 0.1
"""Greatest spread at rest, m/s^2 and rad/s: standard deviation of the three axes together, on a head that holds still.

Far looser than `motion.still`, which a worn sensor seldom meets; gravity's direction is good to 2 degrees.
"""
TOLERANCE = 0.12
"""Of gravity's size: cheap accelerometers are off by some percent, ClassyGlass's by up to 6."""
NO_GRAVITY = 0.6
"""Below it, m/s^2, there is no gravity in the data."""
SMOOTH_TURN = 0.015
"""Half the mean squared change over 20 ms, beside the variance: a head that turns at up to 1.3 Hz stays below.

Of ClassyGlass's calm seconds, a worn sensor's noise and tremor, 5 % do.
"""
MOST_TILT = 30.0
"""Degrees from the axis that points up most; most of ClassyGlass's sensors lie within of +-y."""
MOST_BIAS = 0.25
"""rad/s, of a gyroscope at rest; cheap ones reach 5 deg/s, the poorest 14."""

_AXES = [
    (f"{'+-'[sign < 0]}{name}", sign * unit) for name, unit in zip("xyz", np.eye(3), strict=True) for sign in (1, -1)
]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: what kind.
        message: what was seen, what was expected, and what to do.
    """

    code: Code
    message: str


@dataclass(frozen=True)
class Pose:
    """What a still pose showed.

    Attributes:
        gravity_mps2: size of the mean acceleration, m/s^2 where the unit was declared right.
        direction: the unit vector (3,) along which it points, in the training data's axes as declared; zeros where the
            size is 0. Expected near REFERENCE_GRAVITY.
        findings: what is wrong; none where all is well.
        suggested: the declared sensors with what the findings ask to change of unit, convention and mount.
    """

    gravity_mps2: float
    direction: tuple[float, float, float]
    findings: tuple[Finding, ...]
    suggested: Sensors

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.findings


# What was found, each with the fields of Sensors that it asks to change.
Found: TypeAlias = list[tuple[Finding, dict[str, Any]]]


def check_pose(
    accelerometer: Window | ArrayLike,
    gyroscope: ArrayLike | None = None,
    *,
    sensors: Sensors = Sensors(),
    rate_hz: float = 50.0,
) -> Pose:
    """Check a second or more at rest, the glasses worn and the head upright.

    Args:
        accelerometer: a Window, or samples (3, n) as `sensors` brings them: m/s^2 with gravity, in the training data's
            axes (`sensors.accelerometer_matrix() @ raw`).
        gyroscope: samples (3, m) likewise, rad/s; without them the gyroscope is not checked. None with a Window.
        sensors: what the samples were declared to be; only what is suggested depends on it.
        rate_hz: samples a second of the accelerometer, if not a Window.

    Raises:
        StreamError: other shapes, no samples, not finite, or a rate not above 0.
    """
    arguments.instance(sensors, Sensors, "sensors", StreamError)
    values: Any = accelerometer
    if isinstance(values, Window):
        if gyroscope is not None:
            raise StreamError("a Window holds the gyroscope's samples already; give it alone")
        values, gyroscope, rate_hz = values.imu[:3], values.imu[3:], 50.0
    rate_hz = arguments.number(rate_hz, "rate_hz", "samples a second, above 0", StreamError, above=0)
    acceleration = _samples(values, "accelerometer")
    rotation = None if gyroscope is None else _samples(gyroscope, "gyroscope")
    mean: Array = acceleration.mean(axis=1)
    size = math.sqrt(mean @ mean)
    unit: Array = mean / size if size > 0 else np.zeros(3)
    factor = _factor(size)
    # In whatever unit: as a share of gravity.
    spread = _spread(acceleration) * (STANDARD_GRAVITY / size if size >= NO_GRAVITY else 1.0)
    seconds = acceleration.shape[1] / rate_hz
    findings: list[Finding] = []
    # Half a sample short of a second is a second at any rate that is only nearly right.
    if seconds < LEAST_S - 0.5 / rate_hz:
        findings = [
            Finding(
                "short", f"these are {seconds:.2f} s of samples; hold still for {LEAST_S:.0f} s or more and try again"
            )
        ]
    elif _moves(spread, rotation, seconds):
        findings = [Finding("moving", _movement(spread, rotation, sensors))]
    else:
        found = _unit(size, factor, sensors)
        if size >= NO_GRAVITY:
            found += _axes(unit, sensors)
        if rotation is not None:
            found += _gyroscope(spread, rotation, sensors)
        findings = [finding for finding, _ in found]
        for _, changes in found:
            sensors = replace(sensors, **changes)
    x, y, z = unit.tolist()
    return Pose(size, (x, y, z), tuple(findings), sensors)


def _samples(values: ArrayLike, name: str) -> Array:
    samples = pushed.floats(values)
    if (
        samples.ndim != 2
        or samples.shape[0] != 3
        or samples.shape[1] == 0
        or not (np.abs(samples) < LARGEST_VALUE).all()
    ):
        raise StreamError(
            f"{name} samples have the shape {samples.shape}; expected (3, n), one row an axis, at least one sample, "
            f"all finite and below {LARGEST_VALUE:.0e}"
        )
    return samples


def _spread(samples: Array) -> float:
    """Standard deviation of the three axes together."""
    return math.sqrt(samples.var(axis=1).sum())


def _factor(size: float) -> float | None:
    """What brings gravity to its size in m/s^2, if it is right or declared in the other unit; else None."""
    for factor in (1.0, STANDARD_GRAVITY, 1 / STANDARD_GRAVITY):
        if abs(size * factor / STANDARD_GRAVITY - 1) <= TOLERANCE:
            return factor
    return None


def _moves(spread: float, rotation: Array | None, seconds: float) -> bool:
    """Whether this is no rest; a gyroscope that is restless while gravity stays put is another matter."""
    if spread > REST_ACCELERATION:
        return True
    if rotation is None or _spread(rotation) <= REST_ROTATION:
        return False
    # A turn about the vertical leaves gravity where it is, too. But it is smooth, and a sensor at rest is not.
    return not _in_degrees(spread, rotation) or _turns(rotation, seconds)


def _turns(rotation: Array, seconds: float) -> bool:
    """Whether this is one smooth movement, whatever its unit."""
    apart = max(1, round(0.02 * rotation.shape[1] / seconds))
    if rotation.shape[1] <= apart:
        return False
    change = ((rotation[:, apart:] - rotation[:, :-apart]) ** 2).sum(axis=0).mean()
    return bool(change <= 2 * SMOOTH_TURN * rotation.var(axis=1).sum())


def _movement(spread: float, rotation: Array | None, sensors: Sensors) -> str:
    turning = "" if rotation is None else f", rotation by {_spread(rotation):.2f} rad/s"
    text = (
        f"the head or the glasses moved: acceleration varies by {spread:.2f} m/s^2{turning}, where at most "
        f"{REST_ACCELERATION} m/s^2 and {REST_ROTATION} rad/s are rest; hold still and try again"
    )
    declared = sensors.gyroscope_unit == "deg/s"
    if rotation is not None and spread <= REST_ACCELERATION and _in_degrees(spread, rotation) and not declared:
        text += ". If it stays so on a head that holds still, these are deg/s: Sensors(gyroscope_unit='deg/s')"
    return text


def _in_degrees(spread: float, rotation: Array) -> bool:
    """Whether the gyroscope varies by more than a head can turn with an accelerometer that varies so little.

    On ClassyGlass's calm seconds the gyroscope's rad/s are a third of the accelerometer's m/s^2; deg/s are 57 times as
    much. `benchmarks/rest.py` prints how often the line between is crossed.
    """
    return _spread(rotation) > 0.03 + 2 * spread


def _unit(size: float, factor: float | None, sensors: Sensors) -> Found:
    """What gravity's size says; a unit that was declared already explains nothing."""
    g, changes = STANDARD_GRAVITY, dict[str, Any]()
    code: Code
    if size < NO_GRAVITY:
        code, message = (
            "no gravity",
            f"gravity is missing: at rest the accelerometer reads {size:.2f} m/s^2 where {g:.1f} were expected. This "
            "is acceleration without gravity (iOS userAcceleration, Android TYPE_LINEAR_ACCELERATION): push the "
            "device's gravity along with it (gravity=...), or take the sensor that includes it",
        )
    elif factor is None or (factor != 1 and sensors.accelerometer_unit == ("g" if factor > 1 else "m/s^2")):
        code, message = (
            "size",
            f"gravity reads {size:.3g} m/s^2 where {g:.1f} were expected, and neither g nor m/s^2 explains it: check "
            "the scale (raw counts? milli-g?), and that all three axes arrive",
        )
    elif factor > 1:
        code, message = (
            "in g",
            f"gravity reads {size:.2f} where {g:.1f} m/s^2 were expected: these are g. Declare "
            "Sensors(accelerometer_unit='g')",
        )
        changes["accelerometer_unit"] = "g"
    elif factor < 1:
        code, message = (
            "not in g",
            f"gravity reads {size:.1f} where {g:.1f} m/s^2 were expected: g was declared, but these are m/s^2. Declare "
            "Sensors(accelerometer_unit='m/s^2')",
        )
        changes["accelerometer_unit"] = "m/s^2"
    else:
        return []
    return [(Finding(code, message), changes)]


def _axes(unit: Array, sensors: Sensors) -> Found:
    """What gravity's direction says."""
    name, axis = max(_AXES, key=lambda named: float(unit @ named[1]))
    turn = np.rint(aligning(axis))
    mount = turn if sensors.mount is None else turn @ np.asarray(sensors.mount, np.float64)
    rows = (np.round(mount, 4) + 0.0).tolist()  # + 0.0: no -0.0
    other, whose = ("android", "are not from iOS") if sensors.convention == "ios" else ("ios", "are from iOS")
    found: Found = []
    if name == "-y":
        text = (
            f"gravity points down (-y) where +y, up, was expected: the sign is the opposite. If these samples {whose}, "
            f"declare Sensors(convention='{other}'); else the sensor sits upside down: Sensors(mount={rows})"
        )
        found.append((Finding("downward", text), {"convention": other}))
    elif name != "+y":
        text = (
            f"gravity points along {name} where +y, up, was expected: the sensor's axes are not the training data's. "
            f"Declare Sensors(mount={rows}), the nearest rotation by 90 degrees; which way is forward gravity cannot "
            f"show. If these samples {whose}, declare Sensors(convention='{other}') first and check again"
        )
        found.append((Finding("axis", text), {"mount": mount}))
    tilt = math.degrees(math.acos(min(1.0, float(unit @ axis))))
    if tilt > MOST_TILT:
        text = (
            f"gravity is {tilt:.0f} degrees off {name}; expected at most {MOST_TILT:.0f} on an upright head: hold the "
            "head upright and check again, and if it stays so, learn the mount from use (MountLearner)"
        )
        found.append((Finding("tilt", text), {}))
    return found


def _gyroscope(spread: float, rotation: Array, sensors: Sensors) -> Found:
    """What the gyroscope says at rest."""
    mean = rotation.mean(axis=1)
    bias = math.sqrt(mean @ mean)
    if _in_degrees(spread, rotation) and sensors.gyroscope_unit == "deg/s":
        text = (
            f"the gyroscope varies by {_spread(rotation):.2f} rad/s while the accelerometer is at rest, and deg/s, "
            "which would explain it, are declared already: check the scale (raw counts? milli-deg/s?)"
        )
        return [(Finding("gyroscope size", text), {})]
    if _in_degrees(spread, rotation):
        text = (
            f"the gyroscope varies by {_spread(rotation):.2f} rad/s while the accelerometer is at rest: these are "
            "deg/s. Declare Sensors(gyroscope_unit='deg/s')"
        )
        return [(Finding("gyroscope in deg/s", text), {"gyroscope_unit": "deg/s"})]
    if bias > MOST_BIAS:
        text = (
            f"the gyroscope reads {bias:.2f} rad/s at rest; expected at most {MOST_BIAS}. If these are deg/s, declare "
            "Sensors(gyroscope_unit='deg/s'); else its bias is out of range: calibrate it, or replace the sensor"
        )
        return [(Finding("gyroscope bias", text), {})]
    return []
