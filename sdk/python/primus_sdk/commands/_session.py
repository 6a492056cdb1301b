"""A source streamed as a device would deliver it: the stream's options, its pace, and what was left out on the way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from primus_sdk.commands._heard import Heard, Measured
from primus_sdk.errors import RecordingError, WindowError
from primus_sdk.heads.prediction import Prediction
from primus_sdk.recogniser import Recogniser
from primus_sdk.recordings import Recording, Samples
from primus_sdk.recordings.turns import steady
from primus_sdk.streaming.stream import Counts, Push, Recognition
from primus_sdk.windowing.quality import Dropped
from primus_sdk.windowing.sensors import Sensors

NONE = "none of these"
"""What a rejected window counts as; in brackets where it is a label of the head's."""
_FIRST = 1000  # samples, which show whether the first timestamps are wrong
_PIECE_S = 0.2  # as much as a device may collect before it hands samples over


@dataclass(frozen=True)
class How:
    """How a source is streamed: as `Recogniser.stream` takes it, and `paced` in its own time or as fast as it goes."""

    hop: float
    sensors: Sensors = Sensors()
    smoothing: int = 1
    reject_below: float = 0.0
    rest_gate: bool = False
    paced: bool = False

    def options(self) -> dict[str, Any]:
        """The keywords of `Recogniser.stream` and `Recogniser.replay`."""
        rules = {"smoothing": self.smoothing, "reject_below": self.reject_below, "rest_gate": self.rest_gate}
        return {"sensors": self.sensors, **rules}


@dataclass(frozen=True)
class Take:
    """One stretch of streaming: a recording, or what comes until a live source ends.

    Attributes:
        name: the recording's, or the source's.
        source: its samples; a recording is replayed as fast as it goes, pushes are streamed as they come.
        user, true: who wore it and did what, where that is known.
        began_ns: time of the first sample; None: the first window's start stands for it.
    """

    name: str
    source: Recording | Iterable[Push]
    user: str | None = None
    true: str | None = None
    began_ns: int | None = None


@dataclass(frozen=True)
class Step:
    """One window of a take and what it was recognised as; `start_s` in seconds since the take began."""

    take: Take
    recognition: Recognition
    start_s: float

    @property
    def prediction(self) -> Prediction:
        """What the head says; asked for only where there is a head."""
        assert self.recognition.prediction is not None
        return self.recognition.prediction

    @property
    def label(self) -> str:
        """What it was recognised as, or that it was rejected."""
        said = self.prediction
        return (f"({NONE})" if NONE in said.labels else NONE) if said.label is None else said.label

    @property
    def sure(self) -> str:
        """The probability of its label, in brackets with the label that it is of where that was rejected."""
        said = self.prediction
        share = f"{said.probability:.0%}"
        return share if said.label is not None else f"({said.likeliest} {share})"

    @property
    def right(self) -> bool:
        """Whether it was recognised as what it is."""
        return self.prediction.label is not None and self.prediction.label == self.take.true


class Session:
    """Streams takes through a recogniser, each through a stream of its own, and counts what was left out.

    Attributes:
        refused: windows whose values cannot be what they were declared to be.
        refusal: why the first of them was refused.
        dropped: samples that no window shows, of all takes.
        heard: the rows that came, of all takes.
    """

    def __init__(self, recogniser: Recogniser, how: How, units_declared: bool = False) -> None:
        """Stream so; `units_declared`: whether options of the command say what units the samples are in."""
        self._recogniser, self._how, self._units_declared = recogniser, how, units_declared
        self.refused, self.refusal = 0, ""
        self.dropped = Dropped()
        self.heard = Heard()
        self._measured = Measured()

    def steps(self, take: Take) -> Iterator[Step]:
        """The windows of a take, as they are recognised; one that is refused is counted, the others go on."""
        began = take.began_ns
        for recognition in self._recognitions(take.source):
            began = recognition.window.start_ns if began is None else began
            self._measured.add(recognition.window.quality)
            yield Step(take, recognition, (recognition.window.start_ns - began) / 1e9)

    def left_out(self) -> str:
        """What was left out, in words; empty where nothing was."""
        counts = [f"{count} {name}" for name, count in self.dropped._asdict().items() if count]
        words = [f"samples dropped: {', '.join(counts)}"] if counts else []
        words += [f"windows refused: {self.refused}; the first: {self.refusal}"] if self.refused else []
        return "; ".join(words)

    def warning(self) -> str:
        """What a person must know of the windows that came; mostly empty."""
        return self._measured.warning(self.dropped.repeated, self.heard.rows)

    def _recognitions(self, source: Recording | Iterable[Push]) -> Iterator[Recognition]:
        how, failed = self._how, None
        if isinstance(source, Recording):
            self.heard.recording(source)
            replay = self._recogniser.replay(source, how.hop, **how.options())
            try:
                yield from self._kept(lambda: replay)
            finally:  # also where it is stopped
                self._add(replay.dropped, replay.counts)
            return
        stream, pushes = self._recogniser.stream(how.hop, **how.options()), self.heard.pushes(source)
        try:
            yield from self._kept(lambda: stream.over(pushes))
        except RecordingError as error:  # what came before it is not lost
            failed = error
            yield from self._kept(lambda: stream.over(()))
        finally:
            self._add(stream.dropped, stream.counts)
        if failed is not None:
            raise failed

    def _kept(self, again: Callable[[], Iterator[Recognition]]) -> Iterator[Recognition]:
        """What an iterator gives; a window that it refuses is counted, and it is asked again for the others."""
        while True:
            try:
                yield from again()
            except WindowError as error:
                self.refusal = self.refusal or self._why(str(error))
            else:
                return

    def _why(self, refusal: str) -> str:
        """A refusal, with the option that may be wrong."""
        sensor = {"acceleration": "accelerometer", "rotation": "gyroscope"}
        wrong = [f"; is --{name}-unit right?" for word, name in sensor.items() if word in refusal]
        return refusal + "".join(wrong[:1] if self._units_declared else [])

    def _add(self, dropped: Dropped, counts: Counts) -> None:
        self.refused += counts.windows - counts.encoded - counts.held
        self.dropped = Dropped(*(before + more for before, more in zip(self.dropped, dropped, strict=True)))


def take_of(recording: Recording, *, paced: bool, labelled: bool = True) -> Take:
    """A recording in pieces, as a device would deliver it."""
    start = min(_began(sensor.timestamps_ns) for sensor in (recording.accelerometer, recording.gyroscope))
    user, true = (recording.user, recording.label) if labelled else (None, None)
    return Take(recording.name, _paced(recording, start) if paced else recording, user, true, start)


def _began(times: NDArray[np.int64]) -> int:
    """A sensor's first timestamp, or where that is wrong, as those after it show, what it should be."""
    first, shown = int(times[0]), round(float(steady(times[:_FIRST])[0]))
    return first if abs(shown - first) < 1_000_000_000 else shown


def _paced(recording: Recording, start: int) -> Iterator[Push]:
    began = time.monotonic()
    for until, accelerometer, gyroscope in _pieces(recording, start):
        yield "accelerometer", accelerometer.timestamps_ns, accelerometer.values
        yield "gyroscope", gyroscope.timestamps_ns, gyroscope.values
        time.sleep(max(0.0, began + until - time.monotonic()))


def _pieces(recording: Recording, start: int) -> Iterator[tuple[float, Samples, Samples]]:
    """Both sensors' samples, and the second until which they reach, counted from the recording's start."""
    sensors = (recording.accelerometer, recording.gyroscope)
    # By running maxima, so that a timestamp out of order stays where it came.
    reached = [np.maximum.accumulate(steady(sensor.timestamps_ns)) - start for sensor in sensors]
    done, piece = [0, 0], 0
    while left := [times[at] for times, at in zip(reached, done, strict=True) if at < len(times)]:
        piece = max(piece + 1, int(min(left) / (_PIECE_S * 1e9)) + 1)  # a gap is passed over, not counted off
        upto = [int(np.searchsorted(times, piece * _PIECE_S * 1e9)) for times in reached]
        parts = [
            Samples(sensor.timestamps_ns[a:b], sensor.values[a:b])
            for sensor, a, b in zip(sensors, done, upto, strict=True)
        ]
        done = upto
        yield piece * _PIECE_S, parts[0], parts[1]
