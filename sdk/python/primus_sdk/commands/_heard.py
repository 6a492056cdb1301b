"""What came from a source, for the words that explain why no window did, or why those that did mean little."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from primus_sdk.recordings import Recording
from primus_sdk.streaming.stream import Push
from primus_sdk.windowing.quality import Quality

_KEPT = 1000  # times, from the first on
_ENOUGH = 100  # rows: 5 s at 20 Hz
_STEPS_S = (0.0005, 0.5)  # between a sensor's samples; in a wrong unit, a thousand times off, they are out of it
_DISORDER = 0.01  # share of rows that a transport may deliver late
_NEEDED_HZ = 20
_SLOW_HZ = 0.98 * _NEEDED_HZ  # a little under, since no clock is exact
_REPEATED = 0.5  # share of the rows


class Heard:
    """Counts the rows of sources, and keeps the times of the first of them; of two sensors the accelerometer's."""

    def __init__(self) -> None:
        self.rows = 0
        self._backward = 0
        self._times: list[int] = []
        self._last: int | None = None  # none before a source's first row
        self._span_ns = 0

    def recording(self, recording: Recording) -> None:
        """Take a recording that is read whole."""
        self._last = None
        self._add(recording.accelerometer.timestamps_ns)

    def pushes(self, source: Iterable[Push]) -> Iterator[Push]:
        """What a live source gives, as it comes."""
        self._last = None
        for push in source:
            if push[0] != "gyroscope":
                self._add(push[1])
            yield push

    @property
    def doubtful(self) -> bool:
        """Whether a window should have come of so many rows, and their times are not as far apart as a sensor's are."""
        return self.rows >= _ENOUGH and not self._disordered and not _STEPS_S[0] <= self._step_s() <= _STEPS_S[1]

    def __str__(self) -> str:
        if self.rows < 2:
            return f"{self.rows} rows came"
        if self._disordered:
            return (
                f"{self.rows} rows came, out of time order ({self._backward} of them earlier than the row before): "
                "sort them by time"
            )
        return f"{self.rows} rows came, over {self._span_ns / 1e9:.6g} s, usually {self._step_s():.3g} s apart"

    @property
    def _disordered(self) -> bool:
        return self._backward > _DISORDER * self.rows

    def _step_s(self) -> float:
        return float(np.median(np.diff(np.array(self._times, np.float64)))) / 1e9

    def _add(self, times: Any) -> None:
        stamps = np.atleast_1d(np.asarray(times))
        if len(stamps):
            self.rows += len(stamps)
            self._times += stamps[: _KEPT - len(self._times)].tolist() if len(self._times) < _KEPT else []
            before = int(stamps[0]) if self._last is None else self._last
            self._backward += int(stamps[0] < before) + int(np.count_nonzero(stamps[1:] < stamps[:-1]))
            self._last = int(stamps[-1])
            self._span_ns += self._last - before


class Measured:
    """Counts the windows, and those of them that were measured too seldom to be recognised."""

    def __init__(self) -> None:
        self._windows = self._slow = 0
        self._slowest = float("inf")

    def add(self, quality: Quality) -> None:
        """Take a window."""
        hertz = min(quality.accelerometer_hz, quality.gyroscope_hz)
        self._windows += 1
        if hertz < _SLOW_HZ:
            self._slow, self._slowest = self._slow + 1, min(self._slowest, hertz)

    def warning(self, repeated: int, rows: int) -> str:
        """What a person must know of them, where so many of the rows were dropped as repeated; mostly empty."""
        if not self._slow:
            return ""
        coarse = repeated > _REPEATED * rows
        return (
            f"warning: {self._slow} of {self._windows} windows were measured below the {_NEEDED_HZ} Hz that "
            f"recognition needs (the slowest at {self._slowest:.3g} Hz): what is recognised in them means little"
            + (f"; {repeated} samples share another's time: are the times rounded too coarsely?" if coarse else "")
        )
