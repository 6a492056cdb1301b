"""`primus-stream`: recordings and live samples through an exported encoder: what it recognises, as it comes.

The form of `--json` is told in `primus_sdk.commands._record`, that of JSON lines as input in
`primus_sdk.commands._jsonl`, and what a folder of recordings holds in `primus_sdk.recordings.folder`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from primus_sdk import load
from primus_sdk.commands import _live, _now, _options, _plot, _sources, _timeline, _trial
from primus_sdk.commands._cli import click, command, echo
from primus_sdk.commands._destinations import check_head, check_plot
from primus_sdk.commands._kinds import load_head
from primus_sdk.commands._options import Chosen
from primus_sdk.commands._progress import tracked
from primus_sdk.commands._scores import scores
from primus_sdk.commands._session import Session, Step, Take, take_of
from primus_sdk.commands._sources import Opened, Reading
from primus_sdk.commands._text import people
from primus_sdk.errors import HeadError, StreamError
from primus_sdk.recogniser import Recogniser
from primus_sdk.recordings import Recording, Report, classyglass, folder, watch
from primus_sdk.windowing.sensors import Sensors
from primus_sdk.windowing.windows import WindowStream

_NAMED = 5  # recordings without a window that are named
EXAMPLES = """\b
Examples:
  primus-stream --dataset watch
  primus-stream --dataset classyglass classyglass-1AB.tar.xz --plot glasses.png --save-head glasses.safetensors
  primus-stream --dataset folder my-recordings/ --head glasses.safetensors
  primus-stream airpods-2026-11-24.zip --device headphone --head mine.safetensors --plot walk.png
  primus-stream walk.csv --columns t,ax,ay,az,gx,gy,gz --time-unit ms --accelerometer-unit g --head mine.safetensors
  my-sensor | primus-stream - --input jsonl --head mine.safetensors --smoothing 3 --reject-below 0.6 --json

\b
A line of --json holds recording, start_s, start_ns, end_ns, label (null where rejected), likeliest, probability,
probabilities, held and quality (coverage, largest_gap_s, accelerometer_hz, gyroscope_hz, jitter_ms, saturated, still,
after_reset); user and true where they are known; embedding where there is no head.
A line of --input jsonl: {"sensor": "accelerometer" | "gyroscope" | "both", "t_ns": 0, "values": [0, 9.8, 0]}, or a
message that Sensor Logger pushes.
"""


@command(epilog=EXAMPLES)
@click.argument("source", required=False)
@_options.stream_options
def main(source: str | None, dataset: str | None, **options: Any) -> None:
    """Recognise activities from head- or body-worn IMU recordings, as they stream.

    SOURCE is a CSV, JSON lines, or an export of the app Sensor Logger (a zip or folder: AirPods are a head-worn IMU),
    or - for stdin. With --dataset: calibrates a head from a few shots of each activity on some of the people, streams
    the recordings of the others through it, and says how often it was right; a folder of one person's recordings, or
    one with --head, is streamed through that head.
    """
    source = source or None
    if dataset is None and source is None:
        raise click.UsageError("give a CSV file, an export of Sensor Logger, - for stdin, or --dataset watch")
    kind = None if dataset is not None or source is None else _sources.kind_of(source, options["input"])
    chosen = _options.chosen(click.get_current_context(), dataset or kind or "", options)
    WindowStream(chosen.how.hop)  # a wrong hop is said before anything is read
    check_plot(chosen.plot)
    check_head(chosen.save_head)
    with load(chosen.bundle, chosen.runtime) as recogniser:
        if kind is not None and source is not None:
            _check_head(recogniser, chosen)
            reading = Reading(chosen.declared, chosen.convention, chosen.device, chosen.how.paced, _say)
            with _sources.opened(source, kind, reading) as opened:
                _stream(recogniser, opened, source, chosen)
            return
        recordings = _recordings(dataset or "", source, chosen)
        if dataset == "folder" and (chosen.head is not None or len(_trial.people(recordings)) < 2):
            _check_head(recogniser, chosen)
            takes = [take_of(recording, paced=chosen.how.paced) for recording in recordings]
            _stream(recogniser, Opened(takes, Sensors(mount=chosen.mount)), str(source), chosen)
        else:
            _try(recogniser, recordings, dataset or "", chosen)


def _say(text: str) -> None:
    echo(text, err=True)


def _recordings(dataset: str, source: str | None, chosen: Chosen) -> list[Recording]:
    if dataset == "watch":
        return watch.read(source)
    if source is None:
        raise click.UsageError(
            "--dataset classyglass needs its folder, or its .tar.xz archive"
            if dataset == "classyglass"
            else "--dataset folder needs the folder of recordings"
        )
    report = Report()
    if dataset == "classyglass":
        recordings = list(tracked(classyglass.read(source, report), "reading recordings", chosen.as_json))
    else:
        recordings = folder.read(source, report, chosen.device)
    if not chosen.as_json or report.skipped:
        _say(str(report))
    return recordings


def _check_head(recogniser: Recogniser, chosen: Chosen) -> None:
    if chosen.save_head is not None:
        raise click.UsageError("--save-head keeps a head that a data set of two or more people calibrates")
    if chosen.head is not None:
        recogniser.head = load_head(chosen.head)
    if recogniser.head is None and (not chosen.as_json or chosen.plot is not None):
        raise HeadError(
            "there is no head to name activities with: give --head (--dataset ... --save-head makes one), "
            "or --json for the bare embeddings"
        )


def _stream(recogniser: Recogniser, opened: Opened, source: str, chosen: Chosen) -> None:
    """Stream takes one after the other through the head; what came before an error or Ctrl-C is shown as well."""
    session = Session(recogniser, replace(chosen.how, sensors=opened.sensors), opened.units_declared)
    streamed = _Streamed()
    try:
        with _now.display(chosen.as_json) as display:
            for take in opened.takes:
                streamed.through(display, session, take, chosen.plot is not None)
    finally:
        left_out = "; ".join(filter(None, (session.left_out(), opened.left_out())))
        if streamed.count:
            streamed.tell(left_out, chosen)
            _warn(session)
        if streamed.steps and chosen.plot is not None:
            _timeline.draw(chosen.plot, streamed.steps, chosen.how.hop, f"{source}, {recogniser.runtime}")
            _written(chosen)
    if not streamed.count:
        name = "stdin" if source == "-" else source
        raise StreamError(
            session.refusal
            or f"{name} ended before the first window: {session.heard}; 5 s of samples at 20 Hz or more are needed"
            + (f"; {opened.doubt}" if opened.doubt and session.heard.doubtful else "")
            + (f" ({left_out})" if left_out else "")
        )


class _Streamed:
    """What went through so far; the steps are kept for the plot alone, for a live stream may never end."""

    def __init__(self) -> None:
        self.count, self._known, self._right = 0, 0, 0
        self.steps: list[Step] = []
        self._without: list[str] = []

    def through(self, display: _now.Display, session: Session, take: Take, keep: bool) -> None:
        before = self.count
        display.open(take)
        try:
            for step in session.steps(take):
                self.count += 1
                if keep:
                    self.steps.append(step)
                if take.true is not None and step.recognition.prediction is not None:
                    self._known, self._right = self._known + 1, self._right + step.right
                display.step(step)
        finally:
            if self.count > before:
                display.close(take)
            else:
                self._without.append(take.name)

    def tell(self, left_out: str, chosen: Chosen) -> None:
        if left_out:
            _say(left_out)
        if self._without:
            more = len(self._without) - _NAMED
            _say(f"no window in {', '.join(self._without[:_NAMED])}{f' and {more} more' if more > 0 else ''}")
        if self._known and not chosen.as_json:
            echo(f"{self._right} of {self._known} windows right ({self._right / self._known:.1%})")


def _try(recogniser: Recogniser, recordings: list[Recording], dataset: str, chosen: Chosen) -> None:
    """Calibrate on some of the people, and stream the others."""
    how = replace(chosen.how, sensors=Sensors(mount=chosen.mount))
    provenance = recogniser.manifest.provenance
    known, unseen = _trial.split(recordings, chosen.seed, provenance if dataset == "classyglass" else {})
    unproven = dataset == "classyglass" and not set(unseen) <= set(provenance.get("users_held_out") or ())
    whom = f"{people(len(unseen))} {'its head' if unproven else 'it'} has not seen"
    if unproven and not chosen.as_json:
        _say("the bundle does not say that its encoder was trained without these people")
    calibration = [recording for recording in recordings if recording.user in known]
    windows, labels = _trial.shots(calibration, chosen.shots, chosen.seed, how.sensors)
    head = recogniser.calibrate(windows, labels)
    if chosen.save_head is not None:
        head.save(chosen.save_head)
    view = _live.view(chosen.as_json, head.labels)
    view.begin(_live.Trial(dataset, recogniser.runtime, known, unseen, whom, len(windows)))
    session = Session(recogniser, how)
    steps: list[Step] = []
    try:
        with view:
            for recording in sorted((r for r in recordings if r.user in unseen), key=_by_user):
                take = take_of(recording, paced=how.paced)
                view.open(take)
                for step in session.steps(take):
                    steps.append(step)
                    view.step(step)
                view.close()
    finally:  # after Ctrl-C as well, of what came until then
        if steps:
            result = scores([step.take.true or "" for step in steps], [step.label for step in steps])
            view.summary(result)
            if session.left_out():
                _say(session.left_out())
            _warn(session)
            if chosen.plot is not None:
                title = f"{dataset}: {chosen.shots} shots an activity, {recogniser.runtime}"
                _plot.draw(chosen.plot, steps, result, how.hop, title, whom)
                _written(chosen)
    if not steps:
        raise StreamError(session.refusal or f"no recording of {', '.join(unseen)} has a window: {session.heard}")


def _warn(session: Session) -> None:
    if warning := session.warning():
        _say(warning)


def _written(chosen: Chosen) -> None:
    if not chosen.as_json:
        echo(f"wrote {chosen.plot}")


def _by_user(recording: Recording) -> tuple[int, str, str, str]:
    return len(recording.user), recording.user, recording.label, recording.name
