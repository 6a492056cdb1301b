"""Windows cut from runs of grid points, each with its quality."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from primus_sdk.windowing import motion
from primus_sdk.windowing.kernel import GRID_NS, Ints
from primus_sdk.windowing.ordering import columns, joined
from primus_sdk.windowing.pairing import Pairs
from primus_sdk.windowing.quality import Quality

WINDOW_SAMPLES = 250
RATE_HZ = 50


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
        held = part if self._held is None else joined([self._held, part])
        begin, points = self._next_start - int(held.number[0]), len(held.number)
        windows: list[Window] = []
        if begin + WINDOW_SAMPLES <= points:
            starts = np.arange(begin, points - WINDOW_SAMPLES + 1, self._hop)
            windows = _windows(held, starts, self._fill_ns, run != self._run_of_last_window)
            self._run_of_last_window, self._windowless = run, False
            begin += len(starts) * self._hop
            self._next_start += len(starts) * self._hop
        self._held = columns(held, slice(begin, None)) if begin < points else None
        return windows


def _windows(run: Pairs, starts: Ints, fill_ns: int, after_reset: bool) -> list[Window]:
    """The windows of one run that start at these points; the first may follow a reset."""
    upto = int(starts[-1]) + WINDOW_SAMPLES
    imu = run.values[:, :upto].astype(np.float32)
    stack = np.ascontiguousarray(sliding_window_view(imu, WINDOW_SAMPLES, axis=1)[:, starts].transpose(1, 0, 2))
    gaps = sliding_window_view(run.gap_ns[:, :upto].max(axis=0), WINDOW_SAMPLES)[starts]
    largest = gaps.max(axis=1)
    covered = np.count_nonzero(gaps <= fill_ns, axis=1) if largest.max() > fill_ns else np.full(len(starts), 250)
    tally = (run.tally[:, starts + WINDOW_SAMPLES - 1] - run.tally[:, starts]).reshape(2, -1, len(starts))
    seen, full, steady, spent, squares = tally.transpose(1, 0, 2)
    rates = seen * (RATE_HZ / (WINDOW_SAMPLES - 1))
    saturated = (full / np.maximum(seen, 1)).max(axis=0)
    # In whole microseconds up to here: the difference of two large numbers is exact.
    variance = (steady * squares - spent * spent) / np.maximum(steady * steady, 1)
    jitter = np.sqrt(variance).max(axis=0) / 1000
    measured = (covered / WINDOW_SAMPLES, largest / 1e9, rates[0], rates[1], jitter, saturated, motion.still(stack))
    resets = [after_reset] + [False] * (len(starts) - 1)
    qualities = map(Quality, *(column.tolist() for column in measured), resets)
    # A kept window must keep no other alive.
    own = [stack[0]] if len(stack) == 1 else [imu.copy() for imu in stack]
    begin = run.number[starts] * GRID_NS
    return list(map(Window, own, begin.tolist(), (begin + WINDOW_SAMPLES * GRID_NS).tolist(), qualities))
