"""Labelled recordings as the commands learn from them: good windows, embedded, each with its label, person and time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from primus_sdk.calibration.admission import poor
from primus_sdk.commands._cli import echo
from primus_sdk.commands._progress import phase, tracked
from primus_sdk.errors import RecordingError, WindowError
from primus_sdk.recogniser import Recogniser
from primus_sdk.recordings import Recording, Report, classyglass, folder, watch
from primus_sdk.recordings.windows import windows_of
from primus_sdk.windowing.sensors import Sensors

DATASETS = ("folder", "watch", "classyglass")
_BATCH = 64  # windows embedded together


@dataclass(frozen=True, eq=False)
class Labelled:
    """n windows of labelled recordings.

    Attributes:
        embeddings: float32 (n, 512).
        labels: what was done in each.
        users: who did it.
        recordings: the name of the recording that each is of.
        times_ns: int64 (n, 2), start and end; no two recordings share a time.
        left_out: windows too poor to learn from, by reason.
    """

    embeddings: NDArray[np.float32]
    labels: list[str]
    users: list[str]
    recordings: list[str]
    times_ns: NDArray[np.int64]
    left_out: dict[str, int]


def read(dataset: str, data: str | None, quiet: bool) -> list[Recording]:
    """The recordings of a data set; says on stderr what was left out.

    Raises:
        RecordingError: they cannot be read.
    """
    if dataset == "watch":
        return watch.read(data)
    assert data is not None  # the command refused that
    report = Report()
    if dataset == "folder":
        with phase("reading recordings", quiet):
            found = folder.read(data, report)
    else:
        found = list(tracked(classyglass.read(data, report), "reading recordings", quiet))
    if report.skipped or (report.notes and not quiet):
        echo(report, err=True)
    return found


def embedded(
    recogniser: Recogniser,
    recordings: list[Recording],
    hop: float,
    *,
    mount: NDArray[np.float64] | None = None,
    least_hz: float,
    quiet: bool,
) -> Labelled:
    """Cut the recordings into windows, leave the poor ones out, and embed the others.

    Raises:
        RecordingError: no window is good enough, or a recording is in other units than it says.
    """
    sensors = Sensors(mount=mount)
    rows: list[NDArray[np.float32]] = []
    labels: list[str] = []
    users: list[str] = []
    names: list[str] = []
    times: list[tuple[int, int]] = []
    left_out: Counter[str] = Counter()
    began = 0
    for recording in tracked(recordings, "embedding recordings", quiet):
        windows = windows_of(recording, hop, sensors)
        reasons = [poor(window.quality, least_hz) for window in windows]
        left_out.update(reason for reason in reasons if reason)
        good = [window for window, reason in zip(windows, reasons, strict=True) if reason is None]
        if not good:
            continue
        try:
            rows += [recogniser.embed(good[start : start + _BATCH]) for start in range(0, len(good), _BATCH)]
        except WindowError as error:
            raise RecordingError(f"{recording.name}: {error}") from error
        labels += [recording.label] * len(good)
        users += [recording.user] * len(good)
        names += [recording.name] * len(good)
        # One recording after the other on one clock: each was timed by its own.
        first = min(window.start_ns for window in good)
        times += [(began + window.start_ns - first, began + window.end_ns - first) for window in good]
        began = max(end for _, end in times) + 1
    if not rows:
        raise RecordingError(_nothing(left_out, least_hz))
    return Labelled(np.concatenate(rows), labels, users, names, np.array(times, np.int64), dict(left_out))


def _nothing(left_out: Counter[str], least_hz: float) -> str:
    if not left_out:
        return "no recording is long enough for one window of 5 s"
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    slow = f"; sensors slower than {least_hz:g} Hz need --least-hz" if "slow" in left_out else ""
    return f"no window is good enough to learn from ({reasons}){slow}"
