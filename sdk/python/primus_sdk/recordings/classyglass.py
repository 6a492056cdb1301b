"""ClassyGlass, head-worn recordings of 27 people and 15 activities (MU-Smart, CC BY 4.0), from its published files.

A MetaMotionC on the right temple of a pair of glasses; one CSV a sensor and experiment, 100 Hz, acceleration in g and
angular velocity in deg/s (the columns say so; the published README's m/s^2 is an error). Only Dataset_1A and
Dataset_1B are read: Dataset_2 has other activities and numbers its users anew.
"""

from __future__ import annotations

import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Recording, Report, Samples
from primus_sdk.recordings.classyglass_labels import ACTIVITIES, EXPERIMENTS
from primus_sdk.windowing.sensors import STANDARD_GRAVITY

__all__ = ["ACTIVITIES", "read"]

_DATASETS = ("Dataset_1A", "Dataset_1B")
_FILE = re.compile(r"(\d+)_.*_(Accelerometer|Gyroscope)_.*\.csv")
_UNITS = {"Accelerometer": ("g", STANDARD_GRAVITY), "Gyroscope": ("deg/s", np.pi / 180)}
_MAX_FILE_BYTES = 64 << 20  # the longest published one has 2 MB
_DAMAGED_ARCHIVE = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError)


def read(path: str | Path, report: Report | None = None) -> Iterator[Recording]:
    """Read every experiment that has one accelerometer and one gyroscope file, user by user.

    An experiment whose pair is missing, doubled, damaged or at odds with the label sheets is left out and named in the
    report. Memory holds one user at a time (some 25 MB).

    Args:
        path: the published folder (the repository, its `Datasets`, or `Dataset_1A` or `Dataset_1B` itself), or a tar
            archive of it in any compression that Python knows, which is read in one pass without being unpacked.
        report: filled with what was read and what was left out.

    Raises:
        RecordingError: there is nothing at the path, or no readable experiment in it.
    """
    path, report = Path(path), report if report is not None else Report()
    if path.is_dir():
        files = _files_in_folder(path)
    elif path.is_file():
        files = _files_in_archive(path, report)
    else:
        raise RecordingError(f"there is nothing at {path}; give the ClassyGlass folder or its .tar.xz archive")
    yield from _pair(files, report)
    if report.read == 0:
        found = (
            f" ({len(report.skipped)} left out, the first: {next(iter(report.skipped.items()))})"
            if report.skipped
            else ""
        )
        raise RecordingError(
            f"no ClassyGlass recording can be read from {path}{found}; "
            "expected Datasets/Dataset_1A/User1/1_..._Accelerometer_100.000Hz_....csv and its like"
        )


def _files_in_folder(root: Path) -> Iterator[tuple[str, str, bytes]]:
    """User folder, file name and content, users in order."""
    if root.resolve().name in _DATASETS:
        folders = list(root.glob("User*"))
    else:
        folders = [
            folder
            for dataset in _DATASETS
            for level in ("", "Datasets/", "*/Datasets/")
            for folder in root.glob(f"{level}{dataset}/User*")
        ]
    for folder in sorted(folders, key=lambda folder: (len(folder.name), folder.name)):
        for file in sorted(folder.iterdir()):
            if _FILE.fullmatch(file.name) and file.is_file():
                with file.open("rb") as handle:
                    yield folder.name, file.name, handle.read(_MAX_FILE_BYTES + 1)


def _files_in_archive(archive: Path, report: Report) -> Iterator[tuple[str, str, bytes]]:
    """The same from a tar archive, in the archive's order."""
    try:
        with tarfile.open(archive, "r|*") as tar:
            for member in tar:
                parts = PurePosixPath(member.name).parts
                if len(parts) < 3 or parts[-3] not in _DATASETS or not _FILE.fullmatch(parts[-1]):
                    continue
                content = tar.extractfile(member)
                if content is not None:
                    yield parts[-2], parts[-1], content.read(_MAX_FILE_BYTES + 1)
    except _DAMAGED_ARCHIVE as error:
        report.skipped[archive.name] = f"the archive is damaged or no tar archive ({error}); what follows is lost"


def _pair(files: Iterable[tuple[str, str, bytes]], report: Report) -> Iterator[Recording]:
    """Join each experiment's two files; a user's experiments leave, in order, when the next user's files begin."""
    current, held, gone = "", dict[int, list[tuple[str, Samples]]](), set[str]()
    for user, name, content in files:
        if user != current:
            yield from _finish(current, held, report)
            gone.add(current)
            current, held = user, {}
        if user in gone:
            report.skipped[f"{user}/{name}"] = (
                "the archive holds this user's files in two places; pack it folder by folder"
            )
            continue
        experiment, sensor = _experiment(name)
        try:
            held.setdefault(experiment, []).append((sensor, _parse(content, sensor)))
        except ValueError as error:
            report.skipped[f"{user}/{name}"] = str(error)
    yield from _finish(current, held, report)


def _experiment(name: str) -> tuple[int, str]:
    match = _FILE.fullmatch(name)
    assert match is not None  # every source of files lets only such names through
    return int(match[1]), match[2]


def _finish(folder: str, held: dict[int, list[tuple[str, Samples]]], report: Report) -> Iterator[Recording]:
    for experiment in sorted(held):
        files, reason = held[experiment], None
        user, activity = EXPERIMENTS.get(experiment, ("", ""))
        sensors = dict(files)
        if not user:
            reason = "the label sheets do not list this experiment"
        elif folder != f"User{user}":
            reason = f"the label sheets give this experiment to User{user}"
        elif len(sensors) < 2:
            reason = f"only the {next(iter(sensors)).lower()}'s file is there and readable"
        elif len(files) > 2:
            reason = f"{len(files)} files where one accelerometer's and one gyroscope's were expected"
        if reason:
            report.skipped[f"{folder}/{experiment}"] = reason
            continue
        report.read += 1
        yield Recording(f"classyglass-{experiment}", user, activity, sensors["Accelerometer"], sensors["Gyroscope"])


def _parse(content: bytes, sensor: str) -> Samples:
    """Parse one sensor's CSV: epoch (ms), local time, elapsed (s), x, y, z."""
    unit, factor = _UNITS[sensor]
    header, _, rows = content.partition(b"\n")
    columns = header.decode("utf-8", "replace").strip().split(",")
    expected = ["epoch (ms)", *(f"{axis}-axis ({unit})" for axis in "xyz")]
    if [column for column in columns if not column.startswith(("time (", "elapsed ("))] != expected:
        raise ValueError(f"its columns are {columns[:8]} where {expected} were expected")
    if len(content) > _MAX_FILE_BYTES:
        raise ValueError(f"it is larger than {_MAX_FILE_BYTES >> 20} MB")
    if not rows.endswith(b"\n"):
        raise ValueError("it is cut short: the last row has no line end")
    try:
        table = np.loadtxt(io.BytesIO(rows), delimiter=",", usecols=[columns.index(name) for name in expected], ndmin=2)
    except ValueError as error:
        raise ValueError(f"a row is malformed ({error})") from error
    if len(table) < 2 or not np.isfinite(table).all() or not (np.abs(table[:, 0]) < 9e12).all():
        raise ValueError("it has fewer than two rows, or values that are not finite or not milliseconds")
    # By way of whole microseconds: nanoseconds since 1970 do not fit a float64's 53 bits.
    return Samples(np.rint(table[:, 0] * 1e3).astype(np.int64) * 1000, table[:, 1:] * factor)
