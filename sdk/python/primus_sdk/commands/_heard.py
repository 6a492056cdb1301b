"""What came from a source, for the words that explain why no window did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from primus_sdk.recordings import Recording
from primus_sdk.streaming.stream import Push

_KEPT = 1000  # times, from the first on
_ENOUGH = 100  # rows: 5 s at 20 Hz


class Heard:
    """Counts the rows of sources, and keeps the times of the first of them; of two sensors the accelerometer's."""

    def __init__(self) -> None:
        self.rows = 0
        self._times: list[int] = []
        self._last = 0

    def recording(self, recording: Recording) -> None:
        """Take a recording that is read whole."""
        self._add(recording.accelerometer.timestamps_ns)

    def pushes(self, source: Iterable[Push]) -> Iterator[Push]:
        """What a live source gives, as it comes."""
        for push in source:
            if push[0] != "gyroscope":
                self._add(push[1])
            yield push

    @property
    def enough(self) -> bool:
        """Whether there were so many rows that a window should have come of them."""
        return self.rows >= _ENOUGH

    def __str__(self) -> str:
        if self.rows < 2:
            return f"{self.rows} rows came"
        times = np.array(self._times, np.float64)
        span, step = (self._last - self._times[0]) / 1e9, float(np.median(np.diff(times))) / 1e9
        return f"{self.rows} rows came, over {span:.6g} s, usually {step:.3g} s apart"

    def _add(self, times: Any) -> None:
        stamps = np.atleast_1d(np.asarray(times))
        if len(stamps):
            self.rows += len(stamps)
            self._times += stamps[: _KEPT - len(self._times)].tolist() if len(self._times) < _KEPT else []
            self._last = int(stamps[-1])
