"""A live stream: sensor samples in, recognitions out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import prediction
from primus_sdk.head import Head
from primus_sdk.prediction import Prediction
from primus_sdk.quality import Dropped
from primus_sdk.windows import Window, WindowStream


class Embedder(Protocol):
    """What a stream needs of a recogniser."""

    @property
    def head(self) -> Head | None:
        """The head in use at this moment."""

    def embed(self, windows: ArrayLike, /) -> NDArray[np.float32]:
        """The embedding `(512,)` of a window `(6, 250)`."""


@dataclass(frozen=True, eq=False)
class Recognition:
    """One window of a stream: when it was and how good, its embedding `(512,)`, and the label where there is a head."""

    window: Window
    prediction: Prediction | None
    embedding: NDArray[np.float32]


class Stream:
    """Takes samples as they come, cuts them into windows, and recognises each; made by `Recogniser.stream`.

    Each window is embedded alone, so that recognitions are the same bit for bit however the samples are cut into
    pushes. A stream is for one thread at a time; a recogniser may serve several streams.

    Every push and `flush` raises StreamError as `WindowStream` does, WindowError where a window's values are not in
    m/s^2 with gravity and rad/s, and ClosedError once the recogniser was closed. After the latter two that one window
    is passed over; whatever else the push completed comes with the next push or `flush`.
    """

    def __init__(self, recogniser: Embedder, windows: WindowStream) -> None:
        """Recognise each window that `windows` gives."""
        self._recogniser = recogniser
        self._windows = windows
        self._waiting: deque[Window] = deque()
        self._done: list[Recognition] = []

    @property
    def dropped(self) -> Dropped:
        """Samples that no window will show, counted."""
        return self._windows.dropped

    def push_accelerometer(self, timestamps_ns: ArrayLike, values: ArrayLike) -> list[Recognition]:
        """Add accelerometer samples: timestamps `(n,)` in ns and values `(n, 3)`, or one of each."""
        return self._recognise(self._windows.push_accelerometer(timestamps_ns, values))

    def push_gyroscope(self, timestamps_ns: ArrayLike, values: ArrayLike) -> list[Recognition]:
        """Add gyroscope samples: timestamps `(n,)` in ns and values `(n, 3)`, or one of each."""
        return self._recognise(self._windows.push_gyroscope(timestamps_ns, values))

    def push(self, timestamps_ns: ArrayLike, rows: ArrayLike) -> list[Recognition]:
        """Add samples of both sensors: timestamps `(n,)` in ns and rows `(n, 6)`, or one of each."""
        return self._recognise(self._windows.push(timestamps_ns, rows))

    def flush(self) -> list[Recognition]:
        """End the stream: recognise the windows that were waiting for their last samples. It may be used anew."""
        return self._recognise(self._windows.flush())

    def _recognise(self, windows: list[Window]) -> list[Recognition]:
        self._waiting.extend(windows)
        while self._waiting:
            self._done.append(self._recognition(self._waiting.popleft()))
        done, self._done = self._done, []
        return done

    def _recognition(self, window: Window) -> Recognition:
        embedding = self._recogniser.embed(window.imu)
        head = self._recogniser.head
        return Recognition(window, prediction.predict(head, embedding) if head else None, embedding)
