"""A trial on a data set: calibrate a head on some people, then stream the others through it as if live."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from primus_sdk.errors import RecordingError
from primus_sdk.prediction import Prediction
from primus_sdk.recogniser import Recogniser
from primus_sdk.recordings import Recording, Samples
from primus_sdk.windows import Window, WindowStream, windows_of

LEAST_COVERAGE = 0.9
"""Windows that were measured less than this are not calibrated on."""
_PIECE_S = 0.2  # as much as a device may collect before it hands samples over


@dataclass(frozen=True)
class Step:
    """One window of a streamed recording and what it was recognised as; times in seconds since the recording began."""

    recording: Recording
    window: Window
    start_s: float
    prediction: Prediction

    @property
    def right(self) -> bool:
        return self.prediction.label == self.recording.label


def split(recordings: list[Recording], seed: int, provenance: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Split the people into those to calibrate on and those to stream.

    Where the encoder's provenance names the people that its own training held out, these are streamed, so that neither
    encoder nor head has seen them; else a third, drawn by the seed.

    Raises:
        RecordingError: there are fewer than two people.
    """
    users = sorted({recording.user for recording in recordings}, key=lambda user: (len(user), user))
    if len(users) < 2:
        raise RecordingError(
            f"recordings of {len(users)} person are there; two or more are needed to test on the unseen"
        )
    held_out = provenance.get("users_held_out")
    if isinstance(held_out, list | tuple) and set(held_out) & set(users) and set(users) - set(held_out):
        unseen = [user for user in users if user in held_out]
    else:
        drawn = np.random.default_rng(seed).permutation(len(users))[: max(1, len(users) // 3)]
        unseen = [users[position] for position in sorted(drawn)]
    return [user for user in users if user not in unseen], unseen


def shots(recordings: list[Recording], count: int, seed: int) -> tuple[list[Window], list[str]]:
    """Draw up to `count` windows of each label, side by side, spread evenly over the people.

    Raises:
        RecordingError: no label has a window.
    """
    by_label: dict[str, dict[str, list[Window]]] = defaultdict(lambda: defaultdict(list))
    for recording in sorted(recordings, key=lambda recording: recording.name):
        windows = [w for w in windows_of(recording, 5.0) if w.quality.coverage >= LEAST_COVERAGE]
        by_label[recording.label][recording.user] += windows
    random = np.random.default_rng(seed)
    taken: list[Window] = []
    labels: list[str] = []
    for label, by_user in sorted(by_label.items()):
        shuffled = [[windows[i] for i in random.permutation(len(windows))] for windows in by_user.values()]
        random.shuffle(shuffled)
        turns = [windows[turn] for turn in range(count) for windows in shuffled if turn < len(windows)][:count]
        taken += turns
        labels += [label] * len(turns)
    if not taken:
        raise RecordingError("no recording is long enough for one window of 5 s")
    return taken, labels


def stream(recording: Recording, recogniser: Recogniser, hop: float, *, paced: bool) -> Iterator[Step]:
    """Stream a recording in pieces, as a device would deliver it; `paced` in its own time, else as fast as it goes."""
    stream, start = WindowStream(hop), min(s.timestamps_ns[0] for s in (recording.accelerometer, recording.gyroscope))
    began = time.monotonic()
    for until, accelerometer, gyroscope in _pieces(recording, int(start), _PIECE_S if paced else 10.0):
        windows = stream.push_accelerometer(accelerometer.timestamps_ns, accelerometer.values)
        windows += stream.push_gyroscope(gyroscope.timestamps_ns, gyroscope.values)
        for window in windows:
            yield Step(recording, window, (window.start_ns - int(start)) / 1e9, recogniser.predict(window))
        if paced:
            time.sleep(max(0.0, began + until - time.monotonic()))
    for window in stream.flush():
        yield Step(recording, window, (window.start_ns - int(start)) / 1e9, recogniser.predict(window))


def _pieces(recording: Recording, start: int, seconds: float) -> Iterator[tuple[float, Samples, Samples]]:
    sensors = (recording.accelerometer, recording.gyroscope)
    # By running maxima, so that a timestamp out of order stays where it came.
    reached = [np.maximum.accumulate(sensor.timestamps_ns) - start for sensor in sensors]
    end = max(int(times[-1]) for times in reached)
    done = [0, 0]
    for piece in range(1, int(end / (seconds * 1e9)) + 2):
        upto = [int(np.searchsorted(times, piece * seconds * 1e9)) for times in reached]
        parts = [
            Samples(sensor.timestamps_ns[a:b], sensor.values[a:b])
            for sensor, a, b in zip(sensors, done, upto, strict=True)
        ]
        done = upto
        yield piece * seconds, parts[0], parts[1]
