"""Samples as JSON lines, one object a line, as they come: our own form, or what Sensor Logger pushes by HTTP.

    {"sensor": "accelerometer", "t_ns": 1700000000000000000, "values": [0.1, 9.8, 0.2]}
    {"sensor": "both", "t_ns": [0, 10000000], "values": [[ax, ay, az, gx, gy, gz], [...]]}
    {"messageId": 0, "sessionId": "...", "deviceId": "...", "payload": [{"name": "gyroscope", "time": ..., ...}, ...]}

The first two are in the units, sign and axes that the command declares. The third is documented in PUSHING.md of
tszheichoi/awesome-sensor-logger: name, time in nanoseconds since 1970, "other fields depending on sensor"; in its
sample code these lie under `values` as x, y, z. Both places are read. What is assumed, for the document does not say:
the headphone's fields are named as in Headphone.csv, and units and signs are those of the exports with the setting
"Standardise Units & Frames" off; `--convention android` says that it is on (no message carries platform or setting).

A line that cannot be used is counted, and the first of each kind is said; the stream goes on with the next.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from primus_sdk.recordings.folder import turned
from primus_sdk.recordings.sensor_logger import Device, with_gravity
from primus_sdk.streaming.stream import Push
from primus_sdk.windowing.sensors import STANDARD_GRAVITY, Convention, Sensors

_LONGEST_LINE = 8 << 20
_LONGEST_WAIT = 4096  # samples that wait for the gravity of their moment
_LATEST_NS = 1 << 62
_SIDES = {"accelerometer": (0,), "gyroscope": (1,), "both": (0, 1)}
_AXES = ("x", "y", "z")
_HEADPHONE = tuple(f"{kind}{axis}" for kind in ("acceleration", "gravity", "rotationRate") for axis in "XYZ")
_PHONE = frozenset({"totalacceleration", "accelerometer", "gravity", "gyroscope"})


class _BadLineError(Exception):
    """A line that cannot be used: its kind, and what is wrong with this one."""


class JsonLines:
    """Reads JSON lines; `bad` counts the lines that could not be used, by kind."""

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        *,
        declared: Sensors,
        convention: Convention | None,
        device: Device | None,
        say: Callable[[str], None],
    ) -> None:
        """Read `file`; `declared` (without a mount) is what our own form's samples are, `say` tells a person."""
        self._file, self._name, self._say = file, name, say
        self._matrices = (declared.accelerometer_matrix(), declared.gyroscope_matrix())
        self._phone = _Phone(convention)
        self._headphone_sign = 1.0 if convention == "android" else -1.0
        self._headphone_unit = 1.0 if convention == "android" else STANDARD_GRAVITY
        self._device = device
        self.bad: Counter[str] = Counter()
        self._number = 0

    def pushes(self) -> Iterator[Push]:
        """The samples, in m/s^2 and rad/s, of Android's sign, in the sensor's own axes."""
        for line in _lines(self._file):
            self._number += 1
            try:
                if len(line) >= _LONGEST_LINE or line.strip():
                    yield from self._pushes(line)
            except _BadLineError as error:
                self._leave_out(error)
        yield from self._phone.rest()
        if self._phone.without_gravity:
            self.bad["without gravity"] += self._phone.without_gravity

    def left_out(self) -> str:
        """What could not be used, in words; empty where everything could."""
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.bad.items())
        return f"lines or samples left out: {kinds}" if kinds else ""

    def _leave_out(self, error: _BadLineError) -> None:
        kind, text = error.args
        if kind not in self.bad:
            self._say(f"{self._name}, line {self._number} left out, and any like it: {text}")
        self.bad[kind] += 1

    def _pushes(self, line: bytes) -> list[Push]:
        if len(line) >= _LONGEST_LINE:
            raise _BadLineError("too long", f"a line of {_LONGEST_LINE >> 20} MB or more")
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _BadLineError("no JSON", f"no JSON ({error})"[:200]) from error
        if isinstance(fields, dict) and isinstance(fields.get("payload"), list):
            return self._message(fields["payload"])
        if isinstance(fields, dict) and "sensor" in fields:
            return [self._own(fields)]
        raise _BadLineError(
            "of no known form",
            f"expected an object with sensor, t_ns and values, or a message with a payload: {line[:80]!r}",
        )

    def _own(self, fields: dict[str, Any]) -> Push:
        sensor = fields["sensor"]
        if not isinstance(sensor, str) or sensor not in _SIDES:
            raise _BadLineError("of no known sensor", f"sensor is {sensor!r:.80}; expected {', '.join(_SIDES)}")
        sides = _SIDES[sensor]
        times = fields.get("t_ns")
        stamps = np.array([_time(t) for t in (times if isinstance(times, list) else [times])], np.int64)
        values = _numbers(fields.get("values"))
        rows = values.reshape(1, -1) if values.ndim == 1 and not isinstance(times, list) else values
        if rows.shape != (len(stamps), 3 * len(sides)):
            raise _BadLineError(
                "of another shape",
                f"{len(stamps)} times and values of the shape {values.shape}; expected {3 * len(sides)} values a time",
            )
        parts = [turned(rows[:, 3 * place : 3 * place + 3], self._matrices[side]) for place, side in enumerate(sides)]
        return sensor, stamps, np.concatenate(parts, axis=1)  # type: ignore[return-value]

    def _message(self, payload: list[Any]) -> list[Push]:
        """One message of Sensor Logger's; of a reading that is bad the others are none the worse."""
        readings: dict[str, list[list[float]]] = {}
        for reading in payload:
            name = reading.get("name") if isinstance(reading, dict) else None
            name = name.lower() if isinstance(name, str) else ""
            if name == "headphone" or name in _PHONE:
                try:
                    readings.setdefault(name, []).append(
                        _reading(reading, _HEADPHONE if name == "headphone" else _AXES)
                    )
                except _BadLineError as error:
                    self._leave_out(error)
        if readings and self._device is None:
            self._device = "headphone" if "headphone" in readings else "phone"
            self._say(f"taking the {self._device}'s sensors; --device takes the other's")
        if self._device == "phone":
            return self._phone.take(readings)
        times, values = _arrays(readings.get("headphone", []), len(_HEADPHONE))
        if not len(times):
            return []
        total = self._headphone_sign * (values[:, :3] * self._headphone_unit + values[:, 3:6])
        return [("both", times, np.concatenate([total, values[:, 6:]], axis=1))]


class _Phone:
    """A phone's readings: acceleration with gravity, or both apart, which then wait for each other."""

    def __init__(self, convention: Convention | None) -> None:
        self._total_sign = -1.0 if convention == "ios" else 1.0
        self._parts_sign = 1.0 if convention == "android" else -1.0
        self._has_total = False
        self._motion, self._gravity = _arrays([], 3), _arrays([], 3)
        self.without_gravity = 0

    def take(self, readings: dict[str, list[list[float]]]) -> list[Push]:
        pushes: list[Push] = []
        times, values = _arrays(readings.get("totalacceleration", []), 3)
        if len(times):
            self._has_total = True
            pushes.append(("accelerometer", times, self._total_sign * values))
        if not self._has_total:
            self._motion = _joined(self._motion, _arrays(readings.get("accelerometer", []), 3))
            self._gravity = _joined(self._gravity, _arrays(readings.get("gravity", []), 3))
            newest = self._gravity[0].max(initial=-_LATEST_NS)
            pushes += self._summed(self._motion[0] <= newest)
        times, values = _arrays(readings.get("gyroscope", []), 3)
        if len(times):
            pushes.append(("gyroscope", times, values))
        return pushes

    def rest(self) -> list[Push]:
        """What still waits, at the end."""
        return self._summed(np.ones(len(self._motion[0]), np.bool_))

    def _summed(self, ready: NDArray[np.bool_]) -> list[Push]:
        times, motion = self._motion
        ready[: max(0, len(ready) - _LONGEST_WAIT)] = True
        total, beside = with_gravity(times[ready], motion[ready], *self._gravity)
        self.without_gravity += int(np.count_nonzero(~beside))
        self._motion = (times[~ready], motion[~ready])
        self._gravity = (self._gravity[0][-_LONGEST_WAIT:], self._gravity[1][-_LONGEST_WAIT:])
        return [("accelerometer", times[ready][beside], self._parts_sign * total[beside])] if beside.any() else []


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines; one that is too long comes cut to the limit."""
    while line := file.readline(_LONGEST_LINE):
        yield line
        while len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(_LONGEST_LINE)


def _time(value: Any) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:
        value = int(value)
    if type(value) is not int or not -_LATEST_NS < value < _LATEST_NS:
        raise _BadLineError("without a time", f"a time is {value!r:.80}; expected whole nanoseconds")
    return value


def _numbers(values: Any) -> NDArray[np.float64]:
    try:
        array = np.array(values)
        if array.dtype.kind in "if":
            return array.astype(np.float64)
    except (TypeError, ValueError):
        pass  # rows of different lengths
    raise _BadLineError("without numbers", f"values are {values!r:.80}; expected numbers")


def _reading(reading: dict[str, Any], names: tuple[str, ...]) -> list[float]:
    """Time and values of one reading; the time as an int among the floats, to the nanosecond."""
    time, fields = _time(reading.get("time")), reading.get("values", reading)
    values = _numbers([fields.get(name) for name in names] if isinstance(fields, dict) else None)
    return [time, *values.tolist()]


def _arrays(readings: list[list[float]], width: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    times = np.array([reading[0] for reading in readings], np.int64)
    return times, np.array([reading[1:] for reading in readings], np.float64).reshape(len(readings), width)


def _joined(
    first: tuple[NDArray[np.int64], NDArray[np.float64]], second: tuple[NDArray[np.int64], NDArray[np.float64]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    return np.concatenate([first[0], second[0]]), np.concatenate([first[1], second[1]])
