"""`primus-stream`: real recordings, or a CSV as it comes, through an exported encoder: what it recognises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from primus_sdk import load
from primus_sdk.commands import _live, _plot, _table, _trial
from primus_sdk.commands._cli import click, command
from primus_sdk.commands._scores import scores
from primus_sdk.errors import HeadError, StreamError
from primus_sdk.head import Head
from primus_sdk.recogniser import Recogniser
from primus_sdk.recordings import Recording, Report, classyglass, watch
from primus_sdk.sensors import AccelerometerUnit, GyroscopeUnit, Sensors
from primus_sdk.windows import Window, WindowStream

EXAMPLES = """\b
Examples:
  primus-stream --dataset watch
  primus-stream --dataset classyglass classyglass-1AB.tar.xz --plot glasses.png --save-head glasses.safetensors
  primus-stream --dataset watch --shots 3 --json > windows.jsonl
  primus-stream walk.csv --columns t,ax,ay,az,gx,gy,gz --time-unit ms --accelerometer-unit g --head mine.safetensors
  my-sensor | primus-stream - --head mine.safetensors --json
"""
_ROWS = 500  # of a file, pushed at once


@command(epilog=EXAMPLES)
@click.argument("source", required=False)
@click.option("--dataset", type=click.Choice(["watch", "classyglass"]),
              help="Calibrate on some of a data set's people, stream the others. watch comes with pip; for "
                   "classyglass SOURCE is its folder or archive.")  # fmt: skip
@click.option(
    "--bundle", type=click.Path(path_type=Path), help="A bundle of primus-export. [default: the released one]"
)
@click.option("--runtime", help="onnxruntime, litert, tflite-runtime, ... [default: the first that is installed]")
@click.option("--hop", type=float, default=1.0, show_default=True, help="Seconds from window to window.")
@click.option("--speed", type=click.Choice(["max", "1x"]), default="max", show_default=True,
              help="1x: recordings of a data set play in their own time.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of the table.")
@click.option("--shots", type=click.IntRange(1), default=10, show_default=True,
              help="Windows of each activity to calibrate on.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Draws the people and the shots.")
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw recognised beside true over time (PNG)."
)
@click.option("--save-head", type=click.Path(path_type=Path, dir_okay=False), help="Keep the calibrated head.")
@click.option(
    "--head", type=click.Path(path_type=Path, dir_okay=False), help="For a CSV: the head that names activities."
)
@click.option("--columns", default=",".join(_table.NAMES), show_default=True, metavar="T,AX,AY,AZ,GX,GY,GZ",
              help="The CSV's columns, by name or by number from 1.")  # fmt: skip
@click.option("--time-unit", type=click.Choice(list(_table.NANOSECONDS)), default="s", show_default=True)
@click.option("--accelerometer-unit", type=click.Choice(["m/s^2", "g"]), default="m/s^2", show_default=True,
              help="Gravity included.")  # fmt: skip
@click.option("--gyroscope-unit", type=click.Choice(["rad/s", "deg/s"]), default="rad/s", show_default=True)
def main(source: str | None, dataset: str | None, bundle: Path | None, runtime: str | None, **options: Any) -> None:
    """Recognise activities from head- or body-worn IMU recordings, as they stream.

    With --dataset: calibrates a head from a few shots of each activity on some of the people, streams the recordings of
    the others through it, and says how often it was right. Without: SOURCE is a CSV ("-" is stdin) of one device.
    """
    if dataset is None and source is None:
        raise click.UsageError("give a CSV file, - for stdin, or --dataset watch")
    wrong = {None: ("plot", "save_head"), "watch": ("head",), "classyglass": ("head",)}[dataset]
    for name in wrong:
        if options[name] is not None:
            raise click.UsageError(
                f"--{name.replace('_', '-')} goes {'with' if dataset is None else 'without'} --dataset"
            )
    with load(bundle, runtime) as recogniser:
        if dataset is None:
            assert source is not None  # refused above
            _stream_rows(recogniser, source, **options)
        else:
            _stream_dataset(recogniser, _recordings(dataset, source, options["as_json"]), dataset, **options)


def _recordings(dataset: str, source: str | None, quiet: bool) -> list[Recording]:
    if dataset == "watch":
        return watch.read(source)
    if source is None:
        raise click.UsageError("--dataset classyglass needs its folder, or its .tar.xz archive")
    report = Report()
    recordings = list(classyglass.read(source, report))
    if not quiet:
        click.echo(report, err=True)
    return recordings


def _stream_dataset(
    recogniser: Recogniser,
    recordings: list[Recording],
    dataset: str,
    *,
    shots: int,
    seed: int,
    hop: float,
    speed: Literal["max", "1x"],
    as_json: bool,
    plot: Path | None,
    save_head: Path | None,
    **_of_a_csv: Any,
) -> None:
    WindowStream(hop)  # a wrong hop is said before the calibration, not after
    provenance = recogniser.manifest.provenance
    known, unseen = _trial.split(recordings, seed, provenance if dataset == "classyglass" else {})
    unproven = dataset == "classyglass" and not set(unseen) <= set(provenance.get("users_held_out") or ())
    whom = f"{len(unseen)} people {'its head' if unproven else 'it'} has not seen"
    if unproven and not as_json:
        click.echo("the bundle does not say that its encoder was trained without these people", err=True)
    windows, labels = _trial.shots([r for r in recordings if r.user in known], shots, seed)
    head = recogniser.calibrate(windows, labels)
    if save_head is not None:
        head.save(save_head)
    view = _live.view(as_json, head.labels)
    view.begin(_live.Trial(dataset, recogniser.runtime, known, unseen, whom, len(windows)))
    steps: list[_trial.Step] = []
    with view:
        for recording in sorted((r for r in recordings if r.user in unseen), key=_by_user):
            view.open(recording)
            for step in _trial.stream(recording, recogniser, hop, paced=speed == "1x"):
                steps.append(step)
                view.step(step)
            view.close()
    result = scores([step.recording.label for step in steps], [step.prediction.label for step in steps])
    view.summary(result)
    if plot is not None:
        _plot.draw(plot, steps, result, hop, f"{dataset}: {shots} shots an activity, {recogniser.runtime}", whom)
        if not as_json:
            click.echo(f"wrote {plot}")


def _by_user(recording: Recording) -> tuple[int, str, str, str]:
    return len(recording.user), recording.user, recording.label, recording.name


def _stream_rows(
    recogniser: Recogniser,
    source: str,
    *,
    head: Path | None,
    columns: str,
    time_unit: str,
    accelerometer_unit: AccelerometerUnit,
    gyroscope_unit: GyroscopeUnit,
    hop: float,
    as_json: bool,
    **_of_a_dataset: Any,
) -> None:
    if head is not None:
        recogniser.head = Head.load(head)
    if recogniser.head is None and not as_json:
        raise HeadError(
            "there is no head to name activities with: give --head (--dataset ... --save-head makes one), "
            "or --json for the bare embeddings"
        )
    windows = WindowStream(hop, Sensors(accelerometer_unit, gyroscope_unit))
    rows = _table.read_rows(source, _table.chosen(columns), time_unit)
    began, shown = None, 0
    for window in _windows(windows, rows, 1 if source == "-" else _ROWS):
        began, shown = window.start_ns if began is None else began, shown + 1
        click.echo(_line(recogniser, window, began, as_json))
    dropped = windows.dropped
    if dropped.repeated or dropped.late:
        click.echo(f"dropped {dropped.repeated} repeated and {dropped.late} late samples", err=True)
    if not shown:
        raise StreamError(f"{source} ended before the first window: 5 s of samples at 20 Hz or more are needed")


def _windows(
    stream: WindowStream, rows: Iterator[tuple[int, np.ndarray[Any, np.dtype[np.float64]]]], size: int
) -> Iterator[Window]:
    times: list[int] = []
    values: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    for time, row in rows:
        times.append(time)
        values.append(row)
        if len(times) >= size:
            yield from stream.push(times, np.stack(values))
            times, values = [], []
    if times:
        yield from stream.push(times, np.stack(values))
    yield from stream.flush()


def _line(recogniser: Recogniser, window: Window, began: int, as_json: bool) -> str:
    start, quality = (window.start_ns - began) / 1e9, window.quality
    record: dict[str, Any] = {"start_ns": window.start_ns, "end_ns": window.end_ns, "coverage": quality.coverage}
    if recogniser.head is None:
        return json.dumps(record | {"embedding": [round(float(x), 6) for x in recogniser.embed(window)]})
    prediction = recogniser.predict(window)
    if as_json:
        probabilities = {label: round(p, 4) for label, p in prediction.probabilities.items()}
        return json.dumps(record | {"label": prediction.label, "probabilities": probabilities})
    poor = f"  {quality.coverage:.0%} measured" if quality.coverage < 1 else ""
    return f"{start:8.2f} s  {prediction.label:<24} {prediction.probability:4.0%}{poor}"
