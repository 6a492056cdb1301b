"""Windows cut from runs of grid points, each with its quality."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from primus_sdk.windowing import motion
from primus_sdk.windowing.kernel import GRID_NS, Floats, Ints
from primus_sdk.windowing.ordering import columns, joined
from primus_sdk.windowing.pairing import Pairs
from primus_sdk.windowing.quality import Quality

WINDOW_SAMPLES = 250
RATE_HZ = 50
_LONG = 8 * WINDOW_SAMPLES  # points: to join fewer to what is held costs less than to cut twice
_TOGETHER = 64  # windows: what is computed for each of them at once should stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Five seconds of both sensors at 50 Hz.

    Attributes:
        imu: float32 (6, 250): accelerometer x y z in m/s^2, gravity included, then gyroscope x y z in rad/s.
        start_ns: time of the first of the 250 points, nanoseconds on the sensors' clock.
        end_ns: 5 s later; the last point is at `end_ns` - 20 ms.
        quality: how well it was measured.
    """

    imu: NDArray[np.float32]
    start_ns: int
    end_ns: int
    quality: Quality


class Cutter:
    """Cuts the points of each run into windows a hop apart.

    Attributes:
        short: points of runs that were over before they had a window.
    """

    def __init__(self, hop: int, fill_ns: int) -> None:
        """`hop` in grid points; gaps of up to `fill_ns` count as measured."""
        self._hop, self._fill_ns = hop, fill_ns
        self._held: Pairs | None = None  # of the current run, from the next window's start on
        self._next_start: int | None = None  # grid point of the next window, in the current run
        self._run = self._run_of_last_window = 0
        self._windowless = True  # the current run, so far
        self.short = 0

    @property
    def next_end_ns(self) -> int | None:
        """When the next window of the current run ends; None where no run has begun."""
        return None if self._next_start is None else (self._next_start + WINDOW_SAMPLES) * GRID_NS

    def cut(self, pairs: Sequence[Pairs]) -> list[Window]:
        """Take points, and return the windows that they complete."""
        windows: list[Window] = []
        for table in pairs:
            if table.run[0] == table.run[-1]:
                windows += self._extend(table)
                continue
            edges = [0, *(np.flatnonzero(np.diff(table.run)) + 1).tolist(), len(table.run)]
            for start, end in itertools.pairwise(edges):
                windows += self._extend(columns(table, slice(start, end)))
        return windows

    def finish(self) -> None:
        """Know that the current run is over."""
        if self._windowless and self._held is not None:
            self.short += len(self._held.number)
        self._next_start, self._held = None, None

    def _extend(self, part: Pairs) -> list[Window]:
        """Add points of one run."""
        run = int(part.run[0])
        if run != self._run or self._next_start is None:
            self.finish()
            self._run, self._next_start, self._windowless = run, int(part.number[0]), True
        windows: list[Window] = []
        if self._held is None:
            held = part
        elif len(part.number) < _LONG:
            held = joined([self._held, part])
        else:  # the few windows that begin in what was held, and all others without another copy of it all
            few = joined([self._held, columns(part, slice(0, WINDOW_SAMPLES - 1))])
            windows = self._cut(few, self._next_start)
            held = part
        windows += self._cut(held, self._next_start)
        begin = self._next_start - int(held.number[0])
        self._held = columns(held, slice(begin, None)) if begin < len(held.number) else None
        return windows

    def _cut(self, table: Pairs, start: int) -> list[Window]:
        """The windows that lie within these points of the current run, from the next one, at `start`, on."""
        begin, run = start - int(table.number[0]), int(table.run[0])
        starts = np.arange(begin, len(table.number) - WINDOW_SAMPLES + 1, self._hop)
        if not len(starts):
            return []
        windows = _windows(table, starts, self._fill_ns, run != self._run_of_last_window)
        self._run_of_last_window, self._windowless = run, False
        self._next_start = start + len(starts) * self._hop
        return windows


def _windows(run: Pairs, starts: Ints, fill_ns: int, after_reset: bool) -> list[Window]:
    """The windows of one run that start at these points; the first may follow a reset."""
    windows: list[Window] = []
    for begin in range(0, len(starts), _TOGETHER):
        windows += _some_windows(run, starts[begin : begin + _TOGETHER], fill_ns, after_reset and not begin)
    return windows


def _some_windows(run: Pairs, starts: Ints, fill_ns: int, after_reset: bool) -> list[Window]:
    first, stop = int(starts[0]), int(starts[-1]) + WINDOW_SAMPLES
    values = run.values[:, first:stop].astype(np.float32, order="C")
    # Each an array of its own: a kept window must keep no other alive.
    imus = [values[:, start : start + WINDOW_SAMPLES].copy() for start in (starts - first).tolist()]
    gap_ns = np.maximum(*(gaps[first:stop] for gaps in run.gap_ns))
    # All windows' gaps (n, 250) and values (n, 6, 250), seen where they are and not copied.
    hop, count = int(starts[1] - starts[0]) if len(starts) > 1 else 1, len(starts)
    gaps = np.ndarray((count, WINDOW_SAMPLES), np.int64, gap_ns, 0, (8 * hop, 8))
    seen = np.ndarray((count, 6, WINDOW_SAMPLES), np.float32, values, 0, (4 * hop, values.strides[0], 4))
    ends = starts + (WINDOW_SAMPLES - 1)
    measured = [_measured(of.take(ends, axis=1) - of.take(starts, axis=1)) for of in run.tally]
    (hz, saturated, jitter), (hz_too, saturated_too, jitter_too) = measured
    qualities = zip(
        [1.0] * len(starts) if gap_ns.max() <= fill_ns else ((gaps <= fill_ns).sum(axis=1) / WINDOW_SAMPLES).tolist(),
        (gaps.max(axis=1) / 1e9).tolist(),
        hz.tolist(),
        hz_too.tolist(),
        np.maximum(jitter, jitter_too).tolist(),
        np.maximum(saturated, saturated_too).tolist(),
        motion.still(seen).tolist(),
        [after_reset, *itertools.repeat(False, len(starts) - 1)],
        strict=True,
    )
    begins = (run.number.take(starts) * GRID_NS).tolist()
    return [
        Window(imu, begin, begin + WINDOW_SAMPLES * GRID_NS, Quality(*quality))
        for imu, begin, quality in zip(imus, begins, qualities, strict=True)
    ]


def _measured(counts: Ints) -> tuple[Floats, Floats, Floats]:
    """One sensor's rate in Hz, share of saturated samples and jitter in ms, from its counts in the windows (5, n)."""
    seen, full, steady, spent, squares = counts
    # In whole microseconds up to here: the difference of two large numbers is exact.
    variance = (steady * squares - spent * spent) / np.maximum(steady * steady, 1)
    return seen * (RATE_HZ / (WINDOW_SAMPLES - 1)), full / np.maximum(seen, 1), np.sqrt(variance) / 1000
