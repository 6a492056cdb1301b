"""Labelled recordings as takes: their windows by the very stream that runs live, a hop apart."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from primus_models.errors import DataSetError, NoWindowError
from primus_models.preparation.prepared import Take
from primus_models.preparation.sources.base import TakeWindows
from primus_models.preparation.sources.documents import stamp
from primus_sdk.errors import RecordingError, StreamError
from primus_sdk.recordings import Recording, Report, Samples, csv_table
from primus_sdk.recordings.windows import windows_of
from primus_sdk.windowing import pushed

HOP_S = 5.0
"""Windows side by side, none of which shares a sample with another."""

_LEAST_GRAVITY, _MOST_GRAVITY = 5.0, 30.0  # m/s^2, of the median size: running and jumping are beyond 9.8


def checked_hop(hop_s: float) -> None:
    """See that a hop is one.

    Raises:
        DataSetError: no multiple of 0.02 s, or outside of 0.02 s to a day.
    """
    try:
        pushed.hop_points(hop_s)
    except (StreamError, TypeError, ValueError, OverflowError) as error:
        raise DataSetError(f"the hop of windows cannot be used: {error}") from error


def checked_gravity(accelerometer: Samples) -> None:
    """See that acceleration is in m/s^2 and has gravity in it, by its usual size.

    Raises:
        DataSetError: it is as in g, without gravity, or missing.
    """
    size = float(np.median(np.linalg.norm(accelerometer.values, axis=1)))
    if not _LEAST_GRAVITY <= size <= _MOST_GRAVITY:
        raise DataSetError(f"its acceleration has a usual size of {size:.3g}; expected about 9.8 m/s^2")


def take_windows(recording: Recording, hop_s: float, captions: bool) -> TakeWindows:
    """The windows of one recording, all of its label; with `captions`, each is said to be "a person is <label>".

    Raises:
        NoWindowError: it has none, since it is shorter than 5 s or broken by gaps. DataSetError: it cannot be cut.
    """
    try:
        windows = windows_of(recording, hop_s)
    except StreamError as error:
        raise DataSetError(f"{recording.name} cannot be cut: {error}") from error
    if not windows:
        raise NoWindowError(
            f"{recording.name} is shorter than 5 s, or has gaps of over 1 s in every 5 s (accelerometer "
            f"{recording.accelerometer.duration_s:.2f} s, gyroscope {recording.gyroscope.duration_s:.2f} s)"
        )
    caption = f"a person is {recording.label}" if captions and recording.label else None
    return TakeWindows(
        np.stack([window.imu for window in windows]),
        np.array([window.start_ns for window in windows], np.int64),
        (recording.label or None,) * len(windows),
        (caption,) * len(windows),
    )


def together(parts: list[TakeWindows], left_out: dict[str, str]) -> TakeWindows:
    """Several recordings of one take, one after the other."""
    return TakeWindows(
        np.concatenate([part.windows for part in parts]),
        np.concatenate([part.start_ns for part in parts]),
        tuple(label for part in parts for label in part.labels),
        tuple(caption for part in parts for caption in part.captions),
        left_out=left_out,
    )


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What data sets of labelled recordings can be told.

    Attributes:
        hop_s: from one window's start to the next one's, seconds.
        captions: each window with a label is also said to be "a person is <label>".
    """

    hop_s: float = HOP_S
    captions: bool = False

    def __post_init__(self) -> None:
        checked_hop(self.hop_s)


@dataclass(frozen=True)
class ReadWhole(Recorded, abc.ABC):
    """A data set that a reader of the SDK reads in one pass, at `path`: for the list of its takes, and for each."""

    path: Path | None

    @abc.abstractmethod
    def recordings(self, report: Report) -> Iterable[Recording]:
        """All of them, by the SDK's reader."""

    def takes(self) -> Iterable[Take]:
        """Every recording; all are read for it, since the reader tells no other way what there is."""
        return self.collected().takes

    def read(self, take: Take) -> TakeWindows:
        """The windows of one recording."""
        return self.collected().read(take)

    def collected(self) -> Collected:
        """All of it, read once; a file that has changed is read again, a folder stays as it was first looked at."""
        return _collected(self, stamp(self.path) if self.path is not None and self.path.is_file() else None)


@dataclass(frozen=True, eq=False)
class Collected:
    """A whole data set of the SDK's readers, as windows; `unusable` says why a take has none.

    final: those of the unusable that are whole, and that no second reading mends.
    """

    takes: tuple[Take, ...]
    windows: dict[str, TakeWindows]
    unusable: dict[str, str]
    final: frozenset[str] = frozenset()

    def read(self, take: Take) -> TakeWindows:
        """One take of it.

        Raises:
            NoWindowError: it is too short. DataSetError: it is not there, or could not be read.
        """
        if take.name in self.windows:
            return self.windows[take.name]
        kind = NoWindowError if take.name in self.final else DataSetError
        raise kind(self.unusable.get(take.name, f"{take.name} is not there"))


@lru_cache(maxsize=1)
def _collected(data: ReadWhole, _: object) -> Collected:
    return collect(data.recordings, data.hop_s, data.captions)


def collect(read: Callable[[Report], Iterable[Recording]], hop_s: float, captions: bool) -> Collected:
    """Read all recordings that a reader of the SDK gives, and keep their windows alone: a tenth of their size or less.

    Raises:
        DataSetError: the reader gives nothing.
    """
    report, takes, short = Report(), dict[str, Take](), set[str]()
    windows, unusable = dict[str, TakeWindows](), dict[str, str]()
    try:
        for recording in read(report):
            takes[recording.name] = Take(recording.name, recording.user)
            try:
                windows[recording.name] = take_windows(recording, hop_s, captions)
            except DataSetError as error:
                unusable[recording.name] = str(error)
                if isinstance(error, NoWindowError):
                    short.add(recording.name)
    except RecordingError as error:
        raise DataSetError(str(error)) from error
    for name, note in report.notes.items():
        if name in windows:
            windows[name] = replace(windows[name], left_out={f"{name}: note": note})
    for name, why in report.skipped.items():
        takes.setdefault(name, Take(name, name))
        unusable[name] = why
    # A file that ends within a row may be half a download.
    final = frozenset(name for name in short if csv_table.CUT_SHORT not in report.notes.get(name, ""))
    return Collected(tuple(takes.values()), windows, unusable, final)
