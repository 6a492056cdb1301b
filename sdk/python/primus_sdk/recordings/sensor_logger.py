"""A recording exported by the app Sensor Logger (iOS and Android): a zip of one CSV a sensor, or its folder.

What its documents say (UNITS.md, COORDINATES.md and CROSSPLATFORM.md of tszheichoi/awesome-sensor-logger, as read in
November 2026): `time` is nanoseconds since 1970, `seconds_elapsed` counts from the recording's start; TotalAcceleration
(Android) has gravity in, in m/s^2; Accelerometer has not, so that Gravity is to be added (both m/s^2); Gyroscope is in
rad/s; Headphone (AirPods, head-worn) gives acceleration without gravity in g, or in m/s^2 with "Standardise Units &
Frames" on, gravity always in m/s^2, rotation rates in rad/s and only since version 1.30; iOS's acceleration and gravity
have the opposite sign on all axes, and with that setting on Android's. Seen in other people's exports: Metadata.csv has
the columns `platform` (android, ios) and `standardisation` (true, false); a sensor's columns come as z, y, x.

What is assumed: Headphone's sign is iOS's unless that setting is on, as the documents say of the phone. Without
metadata, TotalAcceleration means Android, Accelerometer with Gravity means iOS, and that setting was off (the default).
Gravity's own size overrules the unit: 1 means g, 9.8 m/s^2. What was decided stands in `SensorLog.notes`.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Recording, Samples, csv_table
from primus_sdk.recordings.csv_table import Table
from primus_sdk.recordings.members import Members
from primus_sdk.windowing.sensors import STANDARD_GRAVITY

Device: TypeAlias = Literal["headphone", "phone"]

_TOTAL, _ACCELEROMETER, _GRAVITY = "totalacceleration.csv", "accelerometer.csv", "gravity.csv"
_GYROSCOPE, _HEADPHONE, _METADATA = "gyroscope.csv", "headphone.csv", "metadata.csv"
_SENSORS = frozenset({_TOTAL, _ACCELEROMETER, _GYROSCOPE, _HEADPHONE})
_KNOWN = _SENSORS | {_GRAVITY, _METADATA}
_XYZ = ("x", "y", "z")
_HEADPHONE_COLUMNS = tuple(f"{kind}{axis}" for kind in ("acceleration", "gravity", "rotationRate") for axis in "XYZ")
_MOST_METADATA = 1 << 16
_MOST_STEP_BACK_NS = 1_000_000_000  # rows that are late by more were stamped by a clock that stepped back
_BESIDE_GRAVITY_NS = 100_000_000  # how far from a gravity sample an acceleration may be


@dataclass(frozen=True, eq=False)
class SensorLog:
    """One device's motion, as PRIMUS takes it.

    Attributes:
        name: the file's or folder's name.
        device: "headphone" (AirPods, on the head) or "phone".
        accelerometer: m/s^2, gravity included, Android's sign; in time order but where the clock stepped back.
        gyroscope: rad/s.
        notes: what was decided or left out, a sentence each.
    """

    name: str
    device: Device
    accelerometer: Samples
    gyroscope: Samples
    notes: tuple[str, ...]

    def recording(self, user: str, label: str, name: str | None = None) -> Recording:
        """The same as a labelled recording."""
        return Recording(name or self.name, user, label, self.accelerometer, self.gyroscope)


def is_export(path: str | Path) -> bool:
    """Whether a folder or zip holds a file of motion of Sensor Logger's."""
    try:
        members = Members(Path(path), _KNOWN)
    except RecordingError:
        return False
    members.close()
    return bool(members.names & _SENSORS)


def read(path: str | Path, device: Device | None = None) -> SensorLog:
    """Read an export, a zip or the unpacked folder.

    Args:
        path: the zip (its files at the top or in one folder) or the folder.
        device: "headphone" or "phone"; None takes the headphone, which is on the head, where it was recorded.

    Raises:
        RecordingError: no export, the device's files are missing or cannot be read (names file and line), gravity has
            neither the size of g nor of m/s^2, or the zip points outside of itself or unpacks beyond all measure.
    """
    path = Path(path)
    if device is not None and device not in get_args(Device):
        raise RecordingError(f"the device is {device!r}; expected 'headphone' or 'phone'")
    members = Members(path, _KNOWN)
    try:
        if not members.names & _SENSORS:
            raise RecordingError(f"{path} holds none of {', '.join(sorted(_SENSORS))}: no export of Sensor Logger")
        if device is None:
            device = "headphone" if _HEADPHONE in members.names else "phone"
        reader = _Reader(path, members)
        accelerometer, gyroscope = reader.headphone() if device == "headphone" else reader.phone()
        return SensorLog(path.stem, device, accelerometer, gyroscope, tuple(reader.notes))
    finally:
        members.close()


def with_gravity(
    times: NDArray[np.int64],
    motion: NDArray[np.float64],
    gravity_times: NDArray[np.int64],
    gravity: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Add to acceleration without gravity (n, 3) the gravity (m, 3) of the same moment, between its samples linearly.

    Returns the sum (n, 3), and where there was gravity within 0.1 s (n,); elsewhere the sum means nothing.
    """
    if not len(gravity_times):
        return motion, np.zeros(len(times), np.bool_)
    order = np.argsort(gravity_times, kind="stable")
    stamps, down = gravity_times[order], gravity[order]
    last = len(stamps) - 1
    after = np.clip(np.searchsorted(stamps, times), 0, last)
    before = np.clip(after - 1, 0, last)
    beside = np.minimum(abs(times - stamps[before]), abs(times - stamps[after])) <= _BESIDE_GRAVITY_NS
    # From the first on, so that nanoseconds fit a float.
    since, known = (times - stamps[0]).astype(np.float64), (stamps - stamps[0]).astype(np.float64)
    return motion + np.stack([np.interp(since, known, axis) for axis in down.T], axis=1), beside


class _Reader:
    """Reads one device's tables and brings them to one unit and sign; `notes` says what it decided."""

    def __init__(self, path: Path, members: Members) -> None:
        self._path, self._members = path, members
        self.notes: list[str] = []
        metadata = self._metadata()
        self._platform = metadata.get("platform", "").lower()
        setting = metadata.get("standardisation", "").lower()
        self._standardised = {"true": True, "false": False}.get(setting)

    def headphone(self) -> tuple[Samples, Samples]:
        table = self._table(_HEADPHONE, _HEADPHONE_COLUMNS)
        acceleration, gravity, rates = table.values[:, :3], table.values[:, 3:6], table.values[:, 6:]
        gravity_factor = self._factor(gravity, "Headphone.csv's gravity")
        if self._standardised is None:
            self.notes.append("Headphone.csv's acceleration taken as g: no metadata says that units were standardised")
        factor = 1.0 if self._standardised else STANDARD_GRAVITY
        sign = 1.0 if self._standardised else -1.0
        total = sign * (acceleration * factor + gravity * gravity_factor)
        return Samples(table.timestamps_ns, total), Samples(table.timestamps_ns, rates.copy())

    def phone(self) -> tuple[Samples, Samples]:
        if _TOTAL in self._members.names:
            table = self._table(_TOTAL, _XYZ)
            times, total, usual = table.timestamps_ns, table.values, "android"
            total = total * self._factor(total, "TotalAcceleration.csv")
        else:
            times, total, usual = *self._with_gravity(), "ios"
        platform = self._platform if self._platform in ("android", "ios") else usual
        if platform != self._platform:
            self.notes.append(f"the phone taken as one of {platform}: no metadata names the platform")
        if platform == "ios" and not self._standardised:
            total = -total
        gyroscope = self._table(_GYROSCOPE, _XYZ)
        return Samples(times, total), Samples(gyroscope.timestamps_ns, gyroscope.values)

    def _with_gravity(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Accelerometer.csv plus the gravity of the same moment, m/s^2, in its own sign."""
        for name, file in ((_ACCELEROMETER, "Accelerometer.csv"), (_GRAVITY, "Gravity.csv")):
            if name not in self._members.names:
                raise RecordingError(
                    f"{self._path} has no {file}: the phone's acceleration is TotalAcceleration.csv (Android), or "
                    "Accelerometer.csv and Gravity.csv together; switch these sensors on in the app"
                )
        motion, gravity = self._table(_ACCELEROMETER, _XYZ), self._table(_GRAVITY, _XYZ)
        factor = self._factor(gravity.values, "Gravity.csv")
        total, beside = with_gravity(motion.timestamps_ns, motion.values, gravity.timestamps_ns, gravity.values)
        if np.count_nonzero(beside) < 2:
            raise RecordingError(f"{self._path}: Gravity.csv and Accelerometer.csv have hardly a moment in common")
        if not beside.all():
            self.notes.append(f"{np.count_nonzero(~beside)} rows of Accelerometer.csv left out: no gravity beside them")
        return motion.timestamps_ns[beside], total[beside] * factor

    def _table(self, name: str, columns: tuple[str, ...]) -> Table:
        """One sensor's rows, in order of time."""
        if name not in self._members.names:
            raise RecordingError(f"{self._path} has no {_shown(name)}; switch this sensor on in the app")
        where = f"{self._path}, {_shown(name)}"
        with self._members.open(name) as stream:
            table = csv_table.read(stream, where, ["time", *columns], "ns")
        if len(table.timestamps_ns) < 2:
            raise RecordingError(f"{where} has {len(table.timestamps_ns)} rows that can be used; expected two or more")
        if table.left_out:
            self.notes.append(f"{table.left_out} rows of {_shown(name)} left out: a value is missing or not finite")
        if table.cut_short:
            self.notes.append(f"the last row of {_shown(name)} left out: it is cut short")
        behind = np.maximum.accumulate(table.timestamps_ns) - table.timestamps_ns
        if not behind.any():
            return table
        if behind.max() > _MOST_STEP_BACK_NS:
            self.notes.append(f"{_shown(name)} steps back in time by {behind.max() / 1e9:.1f} s; left as it is")
            return table
        self.notes.append(f"{np.count_nonzero(behind)} rows of {_shown(name)} were late and are put in order")
        order = np.argsort(table.timestamps_ns, kind="stable")
        return Table(table.timestamps_ns[order], table.values[order], table.left_out, table.cut_short)

    def _factor(self, gravity: NDArray[np.float64], what: str) -> float:
        """What turns values that contain gravity into m/s^2, by their usual size."""
        size = float(np.median(np.linalg.norm(gravity, axis=1)))
        if 5 < size < 20:
            return 1.0
        if 0.5 < size < 2:
            self.notes.append(f"{what} taken as g: its size is {size:.2f}")
            return STANDARD_GRAVITY
        raise RecordingError(
            f"{self._path}: {what} has a usual size of {size:.3g}; expected about 9.8 (m/s^2) or 1 (g)"
        )

    def _metadata(self) -> dict[str, str]:
        if _METADATA not in self._members.names:
            return {}
        with self._members.open(_METADATA) as stream:
            text = stream.read(_MOST_METADATA).decode("utf-8-sig", "replace")
        try:
            rows = list(csv.reader(io.StringIO(text)))
        except csv.Error as error:
            raise RecordingError(f"{self._path}, Metadata.csv cannot be read ({error})") from error
        if len(rows) < 2:
            return {}
        return {name.strip(): value.strip() for name, value in zip(rows[0], rows[1], strict=False)}


def _shown(name: str) -> str:
    return {_TOTAL: "TotalAcceleration.csv"}.get(name, name.capitalize())
