"""A recording replayed: the windows that a live stream would have cut, embedded in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from primus_sdk import arguments
from primus_sdk.errors import PrimusError, StreamError
from primus_sdk.recordings import Recording, Samples
from primus_sdk.recordings.turns import pieces
from primus_sdk.streaming.recognition import DEFAULT_BATCH, Counts, Embedder, Recognition, Rules, SequenceRecogniser
from primus_sdk.streaming.stream import Push, push_to
from primus_sdk.windowing import pushed
from primus_sdk.windowing.quality import Dropped
from primus_sdk.windowing.windows import Window, WindowStream

Source: TypeAlias = Recording | tuple[Samples, Samples] | Iterable[Push]
"""A recording, accelerometer and gyroscope samples, or anything that gives pushes as `Stream.over` takes them."""

_LARGEST_BATCH = 4096


class Replay:
    """An iterator over a recording's recognitions, in order; made by `Recogniser.replay`.

    It reads on only when it is asked: a recording of a day is at no time in the memory as windows. It raises what
    `Stream` raises, at the place where it happens; asked again, it goes on after the push or window that it was about.
    """

    def __init__(
        self,
        recogniser: Embedder,
        windows: WindowStream,
        source: Source,
        rules: Rules,
        mount: NDArray[np.float64] | None = None,
        batch: int = DEFAULT_BATCH,
    ) -> None:
        """Recognise each window that `windows` cuts of `source`; see `Recogniser.replay`."""
        self._windows = windows
        self._sequence = SequenceRecogniser(recogniser, rules, mount)
        self._batch = arguments.whole(
            batch, "the batch", f"1 to {_LARGEST_BATCH} windows", StreamError, 1, _LARGEST_BATCH
        )
        self._source: Iterator[Push] | None = _pushes(source)
        self._waiting: deque[Window] = deque()
        self._alone = 0  # of those that wait, how many to embed one by one, as together they gave an error
        self._done: deque[Recognition] = deque()

    @property
    def dropped(self) -> Dropped:
        """Samples so far that no window will show, counted."""
        return self._windows.dropped

    @property
    def counts(self) -> Counts:
        """Windows recognised so far, and for how many of them the encoder was run."""
        return self._sequence.counts

    def __iter__(self) -> Iterator[Recognition]:
        return self

    def __next__(self) -> Recognition:
        while not self._done:
            if self._alone:
                self._alone -= 1
                return self._sequence.one(self._waiting.popleft())
            if self._source is not None and len(self._waiting) < self._batch:
                self._read(self._source)
            elif self._waiting:
                self._recognise(min(self._batch, len(self._waiting)))
            else:
                raise StopIteration
        return self._done.popleft()

    def _read(self, source: Iterator[Push]) -> None:
        try:
            sensor, times, values = pushed.parts(next(source))
        except StopIteration:
            self._source = None
            self._waiting.extend(self._windows.flush())
            return
        self._waiting.extend(push_to(self._windows, sensor, times, values))

    def _recognise(self, count: int) -> None:
        windows = [self._waiting[position] for position in range(count)]
        try:
            self._done.extend(self._sequence.several(windows))
        except PrimusError:  # of one of them: it is raised when that one's turn comes
            self._alone = count
        else:
            for _ in windows:
                self._waiting.popleft()


def _pushes(source: Source) -> Iterator[Push]:
    match source:
        case Recording():
            return pieces(source.accelerometer, source.gyroscope)
        case (Samples() as accelerometer, Samples() as gyroscope):
            return pieces(accelerometer, gyroscope)
        case Iterable():
            return iter(source)
        case _:
            expected = "a Recording, two Samples, or pushes (sensor, timestamps_ns, values)"
            raise arguments.wrong(source, "the source", expected, StreamError)
