"""One sensor's samples, at whatever times they come, brought to the 50 Hz grid while they stream in.

The grid is absolute: its points are the whole multiples of 20 ms of the sensor's clock, so accelerometer and gyroscope
share it without knowing of each other. The point at time t is the mean of the samples within 100 ms of it, weighted by

    sinc(2 c (s - t)) * kaiser((s - t) / 100 ms) * (time that the sample at s stands for),

divided by the sum of the weights (which makes the gain at 0 Hz exactly one). The cutoff c is 25 Hz, or half the
sensor's rate where that is less. The kernel is symmetric, so its phase is linear and its delay nothing. From 50 Hz up,
its gain is within 1e-3 of one below 15 Hz and 1e-3 or less above 35 Hz; between, it falls off through 1/2 at 25 Hz.

Everything a point depends on (which samples, their weights, the rate that the cutoff follows) is a function of the
sequence of samples alone, and the sums run sample by sample in the order of time. That is what makes the result equal,
bit for bit, however the samples were cut into pushes.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from primus_sdk.kernel import GRID_NS, HALF_WIDTH_NS, kernel

RESET_GAP_NS = 1_000_000_000
"""A longer silence, or a longer step back of the clock, starts the stream anew."""

MIN_STEP_NS = 100_000  # closer samples count as one repeated: bounds what 200 ms can hold, whatever comes in
_BLOCK = 4096  # samples at a time: bounds the working memory, and keeps it in the cache
_POINTS = 512  # grid points at a time, for the same reason
_FIRST_RATE, _RATE = 32, 64  # spacings that the first estimate of the rate, and each later one, is made from
_FILL_NS = 10_000_000
_LONGEST_PERIOD_NS, _PERIOD_STEP_NS = 50_000_000, 500_000

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_Columns = TypeVar("_Columns", bound=tuple[NDArray[Any], ...])


class Points(NamedTuple):
    """Consecutive grid points of one sensor.

    Attributes:
        epoch: int64 (n,), how often the sensor's clock had stepped back when the point came.
        number: int64 (n,), the point's time in units of 20 ms.
        values: float64 (n, 3).
        gap_ns: int64 (n,), distance of the two samples around the point.
        seen: int64 (n,), samples up to the point since the sensor last started anew.
    """

    epoch: Ints
    number: Ints
    values: Floats
    gap_ns: Ints
    seen: Ints


class _Segment(NamedTuple):
    """Samples of an unbroken run that later grid points still need, with filled-in ones in longer gaps."""

    times: Ints
    values: Floats
    step: Ints  # since the sample before, filled-in ones included
    gap_ns: Ints  # between the real samples that the entry ends or lies between
    seen: Ints  # real samples up to this one
    period: Ints  # the sensor's sampling period as known when this sample came


class SensorResampler:
    """The streaming resampler of one sensor.

    Attributes:
        repeated: samples dropped since they came no later than 0.1 ms after the one before.
        late: samples dropped since they were older than the one before, by up to a second.
        restarts: steps back of the clock by more than a second.
    """

    def __init__(self) -> None:
        self.repeated = self.late = self.restarts = 0
        self._last: int | None = None
        self._start_segment()

    def push(self, times: Ints, values: Floats) -> Points:
        """Take samples, int64 (n,) ns and finite float64 (n, 3), and return the grid points that they complete."""
        done: list[Points] = []
        for start in range(0, len(times), _BLOCK):
            self._push_block(times[start : start + _BLOCK], values[start : start + _BLOCK], done)
        return concatenated(done) if done else _no_points()

    def finish(self) -> Points:
        """End the run: return the points up to the last sample; the next sample starts anew."""
        done: list[Points] = []
        self._close(done)
        self._last = None
        return concatenated(done) if done else _no_points()

    def _push_block(self, times: Ints, values: Floats, done: list[Points]) -> None:
        if self._last is None:
            self._last = int(times[0]) - MIN_STEP_NS
        apart = steps(times, self._last)
        if apart.min() >= MIN_STEP_NS and apart.max() <= RESET_GAP_NS:  # as good as always
            self._last = int(times[-1])
            self._extend(times, values, done)
            return
        taken: list[int] = []
        for position, time in enumerate(times.tolist()):
            step = time - self._last
            if step > RESET_GAP_NS or step < -RESET_GAP_NS:
                self._extend(times[taken], values[taken], done)
                self._close(done)
                self.restarts += step < 0
                taken = []
            elif step < 0:
                self.late += 1
                continue
            elif step < MIN_STEP_NS:
                self.repeated += 1
                continue
            taken.append(position)
            self._last = time
        self._extend(times[taken], values[taken], done)

    def _start_segment(self) -> None:
        self._count = 0  # real samples of the segment so far
        self._period = 0  # 0: not known yet
        self._waiting: list[tuple[Ints, Floats]] = []  # not yet in the segment
        self._waiting_count = 0
        self._spacings = np.zeros(0, np.int64)  # the last ones, for the next estimate
        self._until_renewal = _FIRST_RATE + _RATE  # the first estimate holds for its own spacings and 64 more
        self._next = 0  # grid index of the next point
        none = np.zeros(0, np.int64)
        self._segment = _Segment(none, np.zeros((0, 3)), none, none, none, none)

    def _extend(self, times: Ints, values: Floats, done: list[Points]) -> None:
        """Continue the segment by samples that are in order and less than a second apart."""
        if len(times) == 0:
            return
        self._waiting.append((times, values))
        self._waiting_count += len(times)
        if self._period == 0:
            if self._waiting_count > _FIRST_RATE:
                self._process(done)
        # Samples that complete no grid point can wait; until a renewal, their period is known without a look at them.
        elif (
            self._waiting_count > self._until_renewal
            or int(times[-1]) + self._period - HALF_WIDTH_NS > self._next * GRID_NS
        ):
            self._process(done)

    def _close(self, done: list[Points]) -> None:
        if self._period > 0 or self._waiting_count > 1:
            self._process(done)
            self._emit(int(self._segment.times[-1]) // GRID_NS, done)
        self._start_segment()

    def _process(self, done: list[Points]) -> None:
        """Put the waiting samples into the segment, and compute the grid points that they complete."""
        if self._waiting:
            times, values = (np.concatenate(column) for column in zip(*self._waiting, strict=True))
            self._waiting, self._waiting_count = [], 0
            if self._period == 0:
                self._period = _period(np.diff(times[: _FIRST_RATE + 1]))
            self._append(times, values)
        # The last point whose samples are all there: one more, a period later, would be out of its reach.
        reach = int((self._segment.times + self._segment.period).max())
        self._emit((reach - HALF_WIDTH_NS - 1) // GRID_NS, done)

    def _append(self, times: Ints, values: Floats) -> None:
        """Put real samples into the segment, filling longer gaps between them by straight lines."""
        segment, first = self._segment, self._count == 0
        spacing = steps(times, int(times[0]) if first else int(segment.times[-1]))
        period = self._periods(spacing[1:] if first else spacing, first)
        gap = spacing
        if first:
            self._next = -(-int(times[0]) // GRID_NS)
            spacing = np.r_[period[:1], spacing[1:]]  # the first sample stands for as much time as any
        seen = self._count + 1 + np.arange(len(times))
        self._count += len(times)
        added = _Segment(times, values, spacing, gap, seen, period)
        # A kernel of this cutoff cannot bridge much more than its own spacing.
        if (long := 4 * spacing > 5 * np.maximum(GRID_NS, period)).any():
            added = _filled(added, values[:1] if first else segment.values[-1:], long)
        self._segment = concatenated([segment, added])

    def _periods(self, spacing: Ints, first: bool) -> Ints:
        """The period that holds at each sample: renewed every 64 samples, from the 64 spacings before."""
        periods = np.empty(len(spacing) + first, np.int64)
        filled = int(first)
        periods[:filled] = self._period
        while len(spacing):
            taken, spacing = spacing[: self._until_renewal], spacing[self._until_renewal :]
            periods[filled : filled + len(taken)] = self._period
            filled += len(taken)
            self._spacings = np.concatenate([self._spacings, taken])[-_RATE:]
            self._until_renewal -= len(taken)
            if self._until_renewal == 0:
                self._period, self._until_renewal = _period(self._spacings), _RATE
        return periods

    def _emit(self, last: int, done: list[Points]) -> None:
        """Compute the grid points up to this index, and forget the samples that no later one needs."""
        segment = self._segment
        while self._next <= last:
            numbers = np.arange(self._next, min(last + 1, self._next + _POINTS), dtype=np.int64)
            done.append(_points(segment, numbers, self.restarts))
            self._next += len(numbers)
        needed = int(np.searchsorted(segment.times, self._next * GRID_NS - HALF_WIDTH_NS)) - 1
        if needed > 0:
            self._segment = rows(segment, slice(needed, None))


def concatenated(parts: list[_Columns]) -> _Columns:
    """Join tables of the same columns, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return type(parts[0])(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def steps(values: Ints, before: int) -> Ints:
    """Differences of each value to the one before it; `before` comes before the first."""
    differences = np.empty(len(values), np.int64)
    differences[0] = values[0] - before
    np.subtract(values[1:], values[:-1], out=differences[1:])
    return differences


def rows(table: _Columns, part: slice) -> _Columns:
    """Take some rows of a table; copied, so that the rest can be forgotten."""
    return type(table)(*(column[part].copy() for column in table))


def _no_points() -> Points:
    none = np.zeros(0, np.int64)
    return Points(none, none, np.zeros((0, 3)), none, none)


def _filled(samples: _Segment, before: Floats, long: NDArray[np.bool_]) -> _Segment:
    """Put samples on straight lines into the long steps; `before` (1, 3) is the sample ahead of them all."""
    pieces = np.where(long, -(-samples.step // np.maximum(_FILL_NS, samples.period)), 1)
    last = np.repeat(np.arange(len(pieces)), pieces)
    piece = np.arange(len(last)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + 1
    whole = piece == pieces[last]
    start = np.concatenate([before, samples.values[:-1]])[last]
    line = start + (piece / pieces[last])[:, None] * (samples.values[last] - start)
    since = piece * samples.step[last] // pieces[last]
    return _Segment(
        samples.times[last] - samples.step[last] + since,
        np.where(whole[:, None], samples.values[last], line),
        since - (piece - 1) * samples.step[last] // pieces[last],
        samples.gap_ns[last],
        samples.seen[last] - ~whole,
        samples.period[last],
    )


def _period(spacings: Ints) -> int:
    """Mean spacing, gaps aside, in half milliseconds (a cutoff that wavers with the jitter helps nobody)."""
    steady = spacings[spacings <= HALF_WIDTH_NS]
    mean = int(steady.sum()) // len(steady) if len(steady) else _LONGEST_PERIOD_NS
    steps = (mean + _PERIOD_STEP_NS // 2) // _PERIOD_STEP_NS
    return min(max(steps, 1) * _PERIOD_STEP_NS, _LONGEST_PERIOD_NS)


def _points(segment: _Segment, numbers: Ints, epoch: int) -> Points:
    times, time = segment.times, numbers * GRID_NS
    first = np.searchsorted(times, time - HALF_WIDTH_NS)
    reach = np.maximum.accumulate(times + segment.period)
    last = np.minimum(np.searchsorted(reach, time + HALF_WIDTH_NS, side="right"), len(times) - 1)
    tap = first + np.arange(int((last - first).max()) + 1)[:, None]  # (taps, points)
    inside, tap = tap <= last, np.minimum(tap, last)
    # A sample stands for the time to the middle of its neighbours; the one after the last is not waited for.
    after = np.where(tap < last, segment.step[np.minimum(tap + 1, last)], segment.period[last])
    weight = kernel(np.abs(times[tap] - time), segment.period[last]) * (segment.step[tap] + after) * inside
    product = weight[:, :, None] * segment.values[tap]
    values, total = np.zeros((len(numbers), 3)), np.zeros(len(numbers))
    for values_of_tap, weight_of_tap in zip(product, weight, strict=True):  # in order: a sum() may pair them up anew
        values += values_of_tap
        total += weight_of_tap
    return Points(
        np.full(len(numbers), epoch, np.int64),
        numbers,
        values / total[:, None],
        segment.gap_ns[np.minimum(np.searchsorted(times, time), len(times) - 1)],
        segment.seen[np.searchsorted(times, time, side="right") - 1],
    )
