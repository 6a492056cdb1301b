"""The options of `primus-stream`, and which of them go together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from primus_sdk.commands._cli import FloatRange, click
from primus_sdk.commands._session import How
from primus_sdk.recordings import csv_table
from primus_sdk.recordings.folder import Declared, mount_of
from primus_sdk.recordings.sensor_logger import Device
from primus_sdk.windowing.sensors import Convention, Sensors

_File = TypeVar("_File", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, dir_okay=False)

_ALWAYS = {"bundle", "runtime", "hop", "smoothing", "reject_below", "rest_gate", "as_json", "plot", "mount"}
_TRIAL = {"shots", "seed", "save_head", "speed"}
_GOES_WITH = {
    "watch": _TRIAL,
    "classyglass": _TRIAL,
    "folder": _TRIAL | {"head", "device"},
    "export": {"head", "device", "speed"},
    "csv": {"head", "speed", "input", "columns", "time_unit", "accelerometer_unit", "gyroscope_unit", "convention"},
    "live csv": {"head", "input", "columns", "time_unit", "accelerometer_unit", "gyroscope_unit", "convention"},
    "jsonl": {"head", "input", "device", "accelerometer_unit", "gyroscope_unit", "convention"},
}
_SPOKEN = {"export": "an export of Sensor Logger", "csv": "a CSV file", "live csv": "a CSV on stdin",
           "jsonl": "JSON lines"}  # fmt: skip


@dataclass(frozen=True)
class Chosen:
    """The options, read and checked against each other; `how.sensors` is not yet the source's."""

    how: How
    declared: Declared
    mount: NDArray[np.float64] | None
    convention: Convention | None
    device: Device | None
    bundle: Path | None
    runtime: str | None
    head: Path | None
    save_head: Path | None
    plot: Path | None
    as_json: bool
    shots: int
    seed: int


def stream_options(function: _File) -> _File:
    """Give a command the options below, in this order."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def chosen(context: click.Context, kind: str, options: dict[str, Any]) -> Chosen:
    """Read the options for a source of this kind (a data set, or as `_sources.Kind`).

    Raises:
        click.UsageError: an option was given that says nothing of such a source.
        RecordingError, StreamError: columns or a mount that are none.
    """
    for name in options:
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and name not in _ALWAYS | _GOES_WITH[kind]:
            what = _SPOKEN.get(kind, f"--dataset {kind}")
            raise click.UsageError(f"--{name.replace('_', '-')} does not go with {what}")
    mount = None if options["mount"] is None else mount_of(options["mount"].replace(",", " ").split())
    convention: Convention = options["convention"] or "android"
    sensors = Sensors(options["accelerometer_unit"], options["gyroscope_unit"], convention, mount)
    declared = Declared(tuple(csv_table.chosen(options["columns"])), options["time_unit"], sensors)
    how = How(
        options["hop"],
        smoothing=options["smoothing"],
        reject_below=options["reject_below"],
        rest_gate=options["rest_gate"],
        paced=options["speed"] == "1x",
    )
    same = ("convention", "device", "bundle", "runtime", "head", "save_head", "plot", "as_json", "shots", "seed")
    return Chosen(how=how, declared=declared, mount=mount, **{name: options[name] for name in same})


_OPTIONS = [
    click.option("--dataset", type=click.Choice(["watch", "classyglass", "folder"]),
                 help="watch comes with pip; classyglass: SOURCE is its folder or archive; folder: SOURCE is one of "
                      "your own, <label>/<recording>, or an index recordings.csv with file,label,user."),
    click.option("--bundle", type=_PATH, help="A bundle of primus-export. [default: the released one]"),
    click.option("--runtime", help="onnxruntime, litert, tflite-runtime, ... [default: the first that is installed]"),
    click.option("--hop", type=float, default=1.0, show_default=True, help="Seconds from window to window."),
    click.option("--smoothing", type=click.IntRange(1, 1000), default=1, show_default=True,
                 help="Windows that the probabilities are the mean of."),
    click.option("--reject-below", type=FloatRange(0, 1), default=0.0, show_default=True,
                 help="A label less likely than this is none of these."),
    click.option("--rest-gate", is_flag=True, help="While the head is still, hold the last state and rest as well."),
    click.option("--speed", type=click.Choice(["max", "1x"]), default="max", show_default=True,
                 help="1x: recordings play in their own time."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of the table."),
    click.option("--plot", type=_FILE, help="Draw what was recognised over time, beside what is true (PNG)."),
    click.option("--head", type=_FILE, help="The head that names activities, where none is calibrated."),
    click.option("--shots", type=click.IntRange(1), default=10, show_default=True,
                 help="Windows of each activity to calibrate on."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws people and shots."),
    click.option("--save-head", type=_FILE, help="Keep the calibrated head."),
    click.option("--input", type=click.Choice(["csv", "jsonl"]), help="What stdin holds. [default: csv]"),
    click.option("--columns", default=",".join(csv_table.NAMES), show_default=True, metavar="T,AX,AY,AZ,GX,GY,GZ",
                 help="The CSV's columns, by name or by number from 1."),
    click.option("--time-unit", type=click.Choice(list(csv_table.NANOSECONDS)), default="s", show_default=True),
    click.option("--accelerometer-unit", type=click.Choice(["m/s^2", "g"]), default="m/s^2", show_default=True,
                 help="Gravity included."),
    click.option("--gyroscope-unit", type=click.Choice(["rad/s", "deg/s"]), default="rad/s", show_default=True),
    click.option("--convention", type=click.Choice(["android", "ios"]),
                 help="The sign of acceleration: iOS's is the opposite of nearly all others'. [default: android; of "
                      "Sensor Logger's messages as the app sends them by default]"),
    click.option("--mount", metavar="9 NUMBERS",
                 help="Rotation of the sensor's axes into the training data's, row by row: \"0,-1,0,1,0,0,0,0,1\"."),
    click.option("--device", type=click.Choice(["headphone", "phone"]),
                 help="Whose sensors of Sensor Logger's. [default: the headphone's, where there are]"),
]  # fmt: skip
