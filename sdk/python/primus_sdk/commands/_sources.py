"""What can be streamed, opened: files that are read whole and played, and live sources that are read as they come."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

from primus_sdk.commands import _table
from primus_sdk.commands._jsonl import JsonLines
from primus_sdk.commands._session import Take, take_of
from primus_sdk.errors import RecordingError
from primus_sdk.recordings import Recording, folder, sensor_logger
from primus_sdk.recordings.folder import Declared
from primus_sdk.recordings.sensor_logger import Device
from primus_sdk.windowing.sensors import Convention, Sensors

Kind: TypeAlias = Literal["csv", "live csv", "jsonl", "export"]
Say: TypeAlias = Callable[[str], None]

_JSONL = (".jsonl", ".ndjson")
_TIME_UNIT = "is --time-unit right?"


@dataclass(frozen=True)
class Reading:
    """How to read a source: what its samples are declared to be, and what to tell a person."""

    declared: Declared
    convention: Convention | None
    device: Device | None
    paced: bool
    say: Say


@dataclass(frozen=True)
class Opened:
    """A source ready to stream.

    Attributes:
        takes: one for each recording.
        sensors: what its samples mean to the stream.
        left_out: what could not be read, in words, once all takes are through.
        doubt: what may be wrong with times that give no window; empty where the source says its unit itself.
        units_declared: whether the command's options say what units its samples are in.
    """

    takes: Iterable[Take]
    sensors: Sensors
    left_out: Callable[[], str] = str
    doubt: str = ""
    units_declared: bool = False


def kind_of(source: str, input_form: str | None) -> Kind:
    """What SOURCE is, by what is there.

    Raises:
        RecordingError: a folder that is no export, or cannot be read.
    """
    if source == "-":
        return "jsonl" if input_form == "jsonl" else "live csv"
    path = Path(source)
    if input_form == "jsonl" or (input_form is None and path.suffix.lower() in _JSONL):
        return "jsonl"
    if path.suffix.lower() == ".zip" and path.is_file():
        return "export"
    if path.is_dir():
        if not os.access(path, os.R_OK | os.X_OK):
            raise RecordingError(f"cannot read the folder {source}: permission denied")
        if not sensor_logger.is_export(path):
            raise RecordingError(
                f"{source} is a folder, but no export of Sensor Logger; for a folder of labelled recordings give "
                "--dataset folder"
            )
        return "export"
    return "csv"


@contextmanager
def opened(source: str, kind: Kind, reading: Reading) -> Iterator[Opened]:
    """Open what is no data set.

    Raises:
        RecordingError: it cannot be read; a live one when it comes to that line.
    """
    mounted = Sensors(mount=reading.declared.sensors.mount)
    if kind == "export":
        yield Opened([_of_export(source, reading)], mounted)
    elif kind == "csv":
        # What is declared, and the mount, are in its values already.
        accelerometer, gyroscope, note = folder.read_csv(Path(source), reading.declared)
        if note:
            reading.say(f"{source}: {note}")
        recording = Recording(source, "", "", accelerometer, gyroscope)
        take = take_of(recording, paced=reading.paced, labelled=False)
        yield Opened([take], Sensors(), doubt=_TIME_UNIT, units_declared=True)
    else:
        with _file(source) as file:
            name = "stdin" if source == "-" else source
            if kind == "live csv":
                declared = reading.declared
                rows = _table.pushes(file, name, declared.columns, declared.time_unit, reading.say)
                yield Opened([Take(name, rows)], declared.sensors, doubt=_TIME_UNIT, units_declared=True)
                return
            units = reading.declared.sensors
            lines = JsonLines(
                file,
                name,
                declared=Sensors(units.accelerometer_unit, units.gyroscope_unit, units.convention),
                convention=reading.convention,
                device=reading.device,
                say=reading.say,
            )
            yield Opened(
                [Take(name, lines.pushes())], mounted, lines.left_out, "are the times nanoseconds?", units_declared=True
            )


def _of_export(source: str, reading: Reading) -> Take:
    log = sensor_logger.read(source, reading.device)
    for note in (f"taking the {log.device}'s sensors", *log.notes):
        reading.say(f"{log.name}: {note}")
    return take_of(log.recording("", ""), paced=reading.paced, labelled=False)


@contextmanager
def _file(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        if sys.stdin is None:  # as Python has it where it was started without one
            raise RecordingError("stdin is closed; pipe samples into this command, or name a file")
        yield sys.stdin.buffer
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115
    except OSError as error:
        raise RecordingError(f"cannot read {source}: {error.strerror or error}") from error
    with file:
        yield file
