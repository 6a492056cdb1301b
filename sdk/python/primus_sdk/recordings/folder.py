"""A folder of labelled recordings of one's own: CSV files, and exports of Sensor Logger.

Either a folder for each label (`FOLDER/<label>/<name>.csv`, `.zip`, or a subfolder that is an unpacked export), all of
one wearer; or an index `FOLDER/recordings.csv` with the columns file, label and user, whose files lie in the folder.
CSV files have the columns t, ax, ay, az, gx, gy, gz, in seconds, m/s^2 and rad/s, or what `FOLDER/sensors.json` says:

    {"columns": ["time", "x", "y", "z", "wx", "wy", "wz"], "time_unit": "ms", "accelerometer_unit": "g",
     "gyroscope_unit": "deg/s", "convention": "ios", "mount": [1, 0, 0, 0, 1, 0, 0, 0, 1]}

Each key may be missing. Exports of Sensor Logger know their own units and sign; of this file they take the mount.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_sdk.errors import RecordingError, StreamError
from primus_sdk.recordings import Recording, Report, Samples, csv_table, sensor_logger
from primus_sdk.recordings.sensor_logger import Device
from primus_sdk.windowing.sensors import Sensors

INDEX, SENSORS = "recordings.csv", "sensors.json"
WEARER = "wearer"
"""The user of recordings that name none."""

_KEYS = ("columns", "time_unit", "accelerometer_unit", "gyroscope_unit", "convention", "mount")
_MOST_BYTES = 4 << 20  # of the index and of sensors.json


@dataclass(frozen=True)
class Declared:
    """What a folder's CSV files are declared to be: their columns (as `csv_table.read` takes them), units and sign."""

    columns: tuple[int | str, ...] = csv_table.NAMES
    time_unit: str = "s"
    sensors: Sensors = Sensors()


def read(path: str | Path, report: Report | None = None, device: Device | None = None) -> list[Recording]:
    """Read every labelled recording of a folder, in order of label and name, or of the index.

    A file that cannot be read is left out and named in the report. Values come in m/s^2 and rad/s, of Android's sign,
    in the training data's axes.

    Args:
        path: the folder.
        report: filled with what was read, what was left out, and what was decided about exports.
        device: of Sensor Logger's exports, as `sensor_logger.read` takes it.

    Raises:
        RecordingError: no folder, a label's folder whose name is no UTF-8, an index or sensors.json that cannot be
            read, an entry of the index that lies outside of the folder, or no recording at all that can be read.
    """
    root, report = Path(path), report if report is not None else Report()
    if not root.is_dir():
        raise RecordingError(f"there is no folder at {root}")
    declared = _declared(root / SENSORS)
    entries = _indexed(root) if (root / INDEX).is_file() else _labelled(root, report)
    recordings = []
    for name, file, label, user in entries:
        try:
            recordings.append(_read_one(name, file, label, user, declared, device, report))
        except (RecordingError, OSError) as error:
            report.skipped[name] = str(error)
    report.read += len(recordings)
    if not recordings:
        why = "; the first: " + ": ".join(next(iter(report.skipped.items()))) if report.skipped else ""
        raise RecordingError(
            f"no recording can be read from {root} ({len(report.skipped)} left out{why}); expected "
            f"<label>/<name>.csv or .zip in it, or an index {INDEX} with the columns file,label,user"
        )
    return recordings


def read_csv(file: Path, declared: Declared = Declared(), where: str = "") -> tuple[Samples, Samples, str]:
    """Read one six-axis CSV: accelerometer and gyroscope as PRIMUS takes them, and what was left out, in words.

    Raises:
        RecordingError: it cannot be read as declared; names the file and line.
    """
    where = where or str(file)
    try:
        with file.open("rb") as stream:
            table = csv_table.read(stream, where, declared.columns, declared.time_unit)
    except OSError as error:
        raise RecordingError(f"cannot read {where}: {error.strerror or error}") from error
    if len(table.timestamps_ns) < 2:
        raise RecordingError(f"{where} has {len(table.timestamps_ns)} rows that can be used; expected two or more")
    notes = [f"{table.left_out} rows left out: a value is missing or not finite"] if table.left_out else []
    notes += [csv_table.CUT_SHORT] if table.cut_short else []
    sensors, times = declared.sensors, table.timestamps_ns
    accelerometer = turned(table.values[:, :3], sensors.accelerometer_matrix())
    gyroscope = turned(table.values[:, 3:], sensors.gyroscope_matrix())
    return Samples(times, accelerometer), Samples(times, gyroscope), "; ".join(notes)


def turned(values: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """`matrix @ sample` of each sample (n, 3), summed as a stream does it, to the last bit."""
    x, y, z = values.T
    with np.errstate(over="ignore", invalid="ignore"):  # becomes infinity or NaN, which a stream counts and leaves out
        return np.stack([row[0] * x + row[1] * y + row[2] * z for row in matrix], axis=1)


def _read_one(
    name: str, file: Path, label: str, user: str, declared: Declared, device: Device | None, report: Report
) -> Recording:
    if not file.exists():
        raise RecordingError("there is no such file")
    if file.is_dir() or file.suffix.lower() == ".zip":
        log = sensor_logger.read(file, device)
        note = "; ".join(log.notes)
        mount = Sensors(mount=declared.sensors.mount).gyroscope_matrix()
        sensors = [Samples(s.timestamps_ns, turned(s.values, mount)) for s in (log.accelerometer, log.gyroscope)]
    elif file.suffix.lower() == ".csv":
        *sensors, note = read_csv(file, declared, name)
    else:
        raise RecordingError("it is no .csv, no .zip and no folder")
    if note:
        report.notes[name] = note
    return Recording(name, user, label, sensors[0], sensors[1])


def _labelled(root: Path, report: Report) -> Iterator[tuple[str, Path, str, str]]:
    """Name, file, label and user, by the label's folders."""
    for folder in sorted(root.iterdir()):
        if folder.name.startswith((".", "__")) or folder.name == SENSORS:
            continue
        if not folder.is_dir():
            report.skipped[_shown(folder)] = "it lies in no label's folder"
            continue
        label = _label(folder)
        for file in sorted(folder.iterdir()):
            if not file.name.startswith((".", "__")):
                yield f"{label}/{_shown(file)}", file, label, WEARER


def _label(folder: Path) -> str:
    """A label's folder's name: as UTF-8 whatever the locale, so that a head means the same on every machine.

    Raises:
        RecordingError: it is no UTF-8.
    """
    try:
        return os.fsencode(folder.name).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordingError(
            f"the name of the folder {_shown(folder)} in {folder.parent} is a label, and no UTF-8 text; rename it"
        ) from error


def _shown(file: Path) -> str:
    """A file's name in letters, whatever the locale; what is no UTF-8 in it is written as numbers."""
    return os.fsencode(file.name).decode("utf-8", "backslashreplace")


def _indexed(root: Path) -> list[tuple[str, Path, str, str]]:
    """The same by the index."""
    where = root / INDEX
    try:
        rows = list(csv.DictReader(io.StringIO(_text(where)), skipinitialspace=True))
    except csv.Error as error:
        raise RecordingError(f"{where} cannot be read ({error})") from error
    if not rows or not {"file", "label"} <= set(rows[0]):
        lower = {name.lower() for name in rows[0] if name} if rows else set()
        case = "; its own differs in upper and lower case" if {"file", "label"} <= lower else ""
        raise RecordingError(f"{where} needs a header file,label,user and a row for each recording{case}")
    entries: dict[str, tuple[str, Path, str, str]] = {}
    for number, row in enumerate(rows, 2):
        name, label, user = (str(row.get(key) or "").strip() for key in ("file", "label", "user"))
        if not name or not label:
            raise RecordingError(f"{where}, row {number}: a file and a label are needed")
        if name in entries:
            raise RecordingError(f"{where}, row {number}: {name} is listed twice")
        if "\0" in name:
            raise RecordingError(f"{where}, row {number}: {name!r} is no file's name: it holds a zero byte")
        file = root / os.fsdecode(name.encode())  # on disk it is in UTF-8, as in the index, whatever the locale
        if not file.resolve().is_relative_to(root.resolve()) or file.resolve() == root.resolve():
            raise RecordingError(f"{where}, row {number}: {name!r} lies outside of the folder; copy it into it")
        entries[name] = (name, file, label, user or WEARER)
    return list(entries.values())


def _declared(file: Path) -> Declared:
    """What sensors.json says.

    Raises:
        RecordingError: it is no JSON object of these keys, or a value is none of what its key takes.
    """
    if not file.is_file():
        return Declared()
    try:
        fields: Any = json.loads(_text(file))
    except RecordingError:
        raise
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{file} is no JSON ({error})") from error
    unknown = sorted(set(fields) - set(_KEYS)) if isinstance(fields, dict) else ["no object"]
    if unknown:
        raise RecordingError(f"{file} holds {unknown[0]!r}; expected an object with {', '.join(_KEYS)}")
    time_unit, columns = fields.pop("time_unit", "s"), fields.pop("columns", list(csv_table.NAMES))
    if not isinstance(time_unit, str) or time_unit not in csv_table.NANOSECONDS:
        raise RecordingError(f"{file}: time_unit is {time_unit!r}; expected one of {', '.join(csv_table.NANOSECONDS)}")
    if not isinstance(columns, str | list):
        raise RecordingError(f"{file}: columns are {columns!r}; expected a list of seven names or numbers")
    try:
        if "mount" in fields:
            fields["mount"] = mount_of(fields["mount"])
        return Declared(tuple(csv_table.chosen(columns)), time_unit, Sensors(**fields))
    except (RecordingError, StreamError, TypeError) as error:
        raise RecordingError(f"{file}: {error}") from error


def mount_of(values: Any) -> NDArray[np.float64]:
    """Nine numbers, row by row, or three rows of three, as a (3, 3) matrix; whether it rotates `Sensors` checks.

    Raises:
        RecordingError: it is something else.
    """
    try:
        return np.asarray(values, np.float64).reshape(3, 3)
    except (TypeError, ValueError) as error:
        raise RecordingError(f"the mount is {values!r:.100}; expected nine numbers, row by row") from error


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        content = stream.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise RecordingError(f"{file} is larger than {_MOST_BYTES >> 20} MB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordingError(f"{file} is no UTF-8 text ({error})") from error
