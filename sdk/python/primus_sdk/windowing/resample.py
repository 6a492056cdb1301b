"""One sensor's samples, at whatever times they come, brought to the 50 Hz grid while they stream in.

The grid is absolute: its points are the whole multiples of 20 ms of the sensor's clock, so accelerometer and gyroscope
share it without knowing of each other. The point at time t is the mean of the samples within 100 ms of it, weighted by

    sinc(2 c (s - t)) * kaiser((s - t) / 100 ms) * (time that the sample at s stands for),

divided by the sum of the weights (which makes the gain at 0 Hz exactly one). The cutoff c is 25 Hz, or half the
sensor's rate where that is less. The kernel is symmetric, so its phase is linear and its delay nothing. On a steady
clock of 50 Hz or more its gain is within 1.2e-3 of one below 15 Hz and 1e-3 or less above 35 Hz; between, it falls off
through 1/2 at 25 Hz. What slower and uneven clocks cost, `benchmarks/resampling.py` measures.

Everything a point depends on (which samples, their weights, the rate that the cutoff follows) is a function of the
samples and their order of arrival alone, and the sums run sample by sample in the order of time. That is what makes the
result equal, bit for bit, however the samples were cut into pushes.
"""

from __future__ import annotations

import numpy as np

from primus_sdk.windowing.grid import Points, Segment, grid_points
from primus_sdk.windowing.kernel import GRID_NS, HALF_WIDTH_NS, Ints, less
from primus_sdk.windowing.ordering import Orderer, Taken, columns, joined, steps
from primus_sdk.windowing.quality import FaultPolicy

LONGEST_PERIOD_NS = 50_000_000
TALLIES = 5
"""Running counts of a sensor: samples, those at the end of the range, steps of at most 100 ms, the sum of these steps
in microseconds, and the sum of their squares."""

_BLOCK = 16_384  # samples at a time: bounds the working memory
_FIRST_RATE, _RATE = 32, 64  # spacings that the first estimate of the rate, and each later one, is made from
_FILL_NS = 10_000_000
_PERIOD_STEP_NS = 500_000  # what a period is rounded to
_SLOW_PERIOD_STEP_NS = 20_000  # below 50 Hz, where the cutoff follows it


class SensorResampler:
    """The streaming resampler of one sensor.

    Attributes:
        restarts: steps back of the clock by more than the policy's reset, since the run began.
        period: the sampling period, nanoseconds, as known now; 0 while it is not.
        reach: a period beyond the samples of the segment so far, up to where they can complete points; 0 while the
            period is not known.
        alone: samples of segments that gave no point: of one sample, or between two points of the grid.
    """

    def __init__(self, policy: FaultPolicy = FaultPolicy()) -> None:
        self.restarts = self.period = self.alone = 0
        self._reset = round(policy.reset_s * 1e9)
        self._orderer = Orderer(round(policy.reorder_s * 1e9), self._reset)
        self._tally = np.zeros(TALLIES, np.int64)
        self._last: int | None = None
        self._start_segment()

    @property
    def late(self) -> int:
        """Samples dropped since they came too late to be put in their place."""
        return self._orderer.late

    @property
    def repeated(self) -> int:
        """Samples dropped since they came within 0.1 ms of another."""
        return self._orderer.repeated

    @property
    def next_number(self) -> int | None:
        """The grid point to come next, where a segment has begun."""
        return self._next if self._count else None

    def may_renew(self, waiting: int) -> bool:
        """Whether the period may become another with so many samples more."""
        until_renewed = _RATE + _FIRST_RATE * self._unrenewed - len(self._spacings)
        return waiting + len(self._orderer.held_times()) >= until_renewed

    def longest_step(self) -> int:
        """The longest step of those that the next period is made from, as far as they are known, nanoseconds."""
        longest = int(self._spacings.max()) if len(self._spacings) else 0
        held = self._orderer.held_times()
        if len(held) and self._last is not None:
            longest = max(longest, int(steps(held, self._last).max()))
        return longest

    def push(self, samples: Taken) -> Points | None:
        """Take samples as they come, and return the grid points that they complete."""
        done: list[Points] = []
        for start in range(0, len(samples.times), _BLOCK):
            stop = start + _BLOCK
            block = Taken(samples.times[start:stop], samples.values[:, start:stop], samples.full[start:stop])
            for position, part in enumerate(self._orderer.push(block)):
                if position:
                    self._close(done)
                    self.restarts += 1
                    self._last = None
                self._take(part, done)
        return joined(done) if done else None

    def finish(self) -> Points | None:
        """End the run: return the points up to the last sample; the next sample starts anew."""
        done: list[Points] = []
        for part in self._orderer.flush():
            self._take(part, done)
        self._close(done)
        self._last, self.restarts = None, 0
        return joined(done) if done else None

    def _take(self, samples: Taken, done: list[Points]) -> None:
        """Take samples in order, and start anew where the sensor was silent for too long."""
        if len(samples.times) == 0:
            return
        apart = steps(samples.times, int(samples.times[0]) if self._last is None else self._last)
        self._last = int(samples.times[-1])
        begin = 0
        for silent in np.flatnonzero(less(self._reset, apart)).tolist() if apart.max() > self._reset else ():
            self._extend(columns(samples, slice(begin, silent)), apart[begin:silent], done)
            self._close(done)
            begin = silent
        self._extend(columns(samples, slice(begin, None)) if begin else samples, apart[begin:], done)

    def _start_segment(self) -> None:
        self._count = 0  # real samples of the segment so far
        self.period = self.reach = 0
        self._waiting: list[Taken] = []  # the first ones, until the period is known
        self._spacings = np.zeros(0, np.int64)  # since the last estimate
        self._unrenewed = True  # the first estimate holds for its own spacings and 64 more
        self._next = self._begun = 0  # grid index of the next point, and of the segment's first
        none = np.zeros(0, np.int64)
        self._segment = Segment(none, np.zeros((4, 0)), np.zeros((3 + TALLIES, 0), np.int64))

    def _extend(self, samples: Taken, apart: Ints, done: list[Points]) -> None:
        """Continue the segment by samples in order and no reset apart; `apart` (n,), from the one before each."""
        if len(samples.times) == 0:
            return
        if self.period == 0:
            self._waiting.append(columns(samples, slice(None)))
            if sum(len(waiting.times) for waiting in self._waiting) <= _FIRST_RATE:
                return
            self._process(joined(self._waiting), None, done)
        else:
            self._process(samples, apart, done)

    def _close(self, done: list[Points]) -> None:
        if self.period == 0 and self._waiting:
            waiting = joined(self._waiting)
            if len(waiting.times) > 1:
                self._process(waiting, None, done)
            else:
                self.alone += 1
        if self._count:
            self._emit(int(self._segment.times[-1]) // GRID_NS, _reach(self._segment), done)
            if self._next == self._begun:
                self.alone += self._count
        self._start_segment()

    def _process(self, samples: Taken, spacing: Ints | None, done: list[Points]) -> None:
        """Put samples into the segment (`spacing` as in `_append`), and compute the grid points that they complete."""
        if self.period == 0:
            self._waiting = []
            self.period = int(_periods_of(np.diff(samples.times[: _FIRST_RATE + 1])[np.newaxis])[0])
        self._append(samples, spacing)
        reach = _reach(self._segment)
        self.reach = int(reach[-1])
        # The last point whose samples are all there: one more, a period later, would be out of its reach.
        self._emit((self.reach - HALF_WIDTH_NS - 1) // GRID_NS, reach, done)

    def _append(self, samples: Taken, spacing: Ints | None) -> None:
        """Put real samples into the segment, filling longer gaps between them by straight lines.

        spacing: of each from the one before (n,); None where these are the segment's first.
        """
        segment, first, times = self._segment, spacing is None, samples.times
        if spacing is None:
            spacing = steps(times, int(times[0]))
        longest, left = int(spacing.max()), len(segment.times)
        values, marks = np.empty((4, left + len(times))), np.empty((3 + TALLIES, left + len(times)), np.int64)
        values[:, :left], marks[:, :left] = segment.values, segment.marks
        values[:3, left:], values[3, left:] = samples.values, 1
        whole = Segment(np.concatenate([segment.times, times]), values, marks)
        marks = marks[:, left:]
        added = Segment(times, values[:, left:], marks)
        marks[1] = self._periods(spacing[1:] if first else spacing, first)
        marks[0] = marks[2] = spacing
        self._count_up(samples, spacing, first, longest, added.tally)
        if first:
            self._next = self._begun = -(-int(times[0]) // GRID_NS)
            marks[0, 0] = marks[1, 0]  # the first sample stands for as much time as any
            longest = max(longest, int(marks[0, 0]))
        self._count += len(times)
        # A kernel of this cutoff cannot bridge much more than its own spacing.
        if 4 * longest > 5 * GRID_NS and (long := less(5 * np.maximum(GRID_NS, added.period), 4 * added.step)).any():
            before = columns(added if first else segment, slice(0, 1) if first else slice(-1, None))
            whole = joined([segment, _filled(before, added, long)])
        self._segment = whole

    def _count_up(self, samples: Taken, spacing: Ints, first: bool, longest: int, counts: Ints) -> None:
        """Set the running counts at each sample (5, n)."""
        counted, full, steady, spent, squares = counts
        counted[:] = np.arange(1, len(spacing) + 1)
        full[:] = samples.full.cumsum() if samples.full.max() else 0
        alike = not first and longest <= HALF_WIDTH_NS and int(spacing.min()) == longest
        if alike:  # to the nanosecond, as in a data set that was resampled: multiplied, not summed
            micros = longest // 1000
            steady[:] = counted
            np.multiply(counted, micros, out=spent)
            np.multiply(counted, micros * micros, out=squares)
            counts += self._tally[:, np.newaxis]
            self._tally = counts[:, -1].copy()
            return
        np.floor_divide(spacing, 1000, out=spent)
        if first:
            spent[0] = 0
        if longest > HALF_WIDTH_NS:
            gap = less(HALF_WIDTH_NS, spacing)
            spent &= ~gap
            np.add(gap, 1, out=steady)
            if first:
                steady[0] = 0
            np.add.accumulate(steady, out=steady)
        else:
            np.subtract(counted, first, out=steady)
        np.multiply(spent, spent, out=squares)
        np.add.accumulate(counts[3:], axis=1, out=counts[3:])
        counts += self._tally[:, np.newaxis]
        self._tally = counts[:, -1].copy()

    def _periods(self, spacing: Ints, first: bool) -> Ints | int:
        """The period that holds at each sample, or at all: renewed every 64 samples, from the 64 spacings before."""
        known = np.concatenate([self._spacings, spacing])
        before = len(self._spacings)  # of the spacings since the last renewal, and at first all
        ends = range(_FIRST_RATE + _RATE if self._unrenewed else _RATE, len(known) + 1, _RATE)
        if not ends:
            self._spacings = known
            return self.period
        renewed = _periods_of(known[ends[0] - _RATE : ends[-1]].reshape(-1, _RATE))
        held = np.concatenate([[self.period], renewed])
        self.period, self._unrenewed, self._spacings = int(held[-1]), False, known[ends[-1] :].copy()
        if renewed.min() == held[0] == renewed.max():
            return self.period
        return np.repeat(held, np.diff([before - first, *ends, len(known)]))

    def _emit(self, last: int, reach: Ints, done: list[Points]) -> None:
        """Compute the grid points up to this index, and forget the samples that no later one needs."""
        segment = self._segment
        if self._next <= last:
            done.append(grid_points(segment, reach, self._next, last + 1, self.restarts))
            self._next = last + 1
        needed = int(segment.times.searchsorted(self._next * GRID_NS - HALF_WIDTH_NS)) - 1
        if needed > 0:
            self._segment = columns(segment, slice(needed, None))


def _reach(segment: Segment) -> Ints:
    """Of each sample, the latest that any up to it ends, a period after its time (n,)."""
    reach: Ints = segment.times + segment.period
    if segment.period.min() == segment.period.max():  # times ascend
        return reach
    return np.maximum.accumulate(reach, out=reach)


def _filled(before: Segment, samples: Segment, long: Ints) -> Segment:
    """Put samples on straight lines into the steps that are `long` (-1); `before` is the sample ahead of them all."""
    step = samples.step
    pieces = 1 + (long & (-(-step // np.maximum(_FILL_NS, samples.period)) - 1))
    last = np.repeat(np.arange(len(pieces)), pieces)
    piece = np.arange(len(last)) - np.repeat(np.cumsum(pieces) - pieces, pieces) + 1
    whole = np.cumsum(pieces) - 1  # the samples themselves, each the last piece of its step
    start = np.concatenate([before.values, samples.values[:, :-1]], axis=1)[:, last]
    line = start + (piece / pieces[last]) * (samples.values[:, last] - start)
    since = piece * step[last] // pieces[last]
    marks = samples.marks[:, last]
    marks[0] = since - (piece - 1) * step[last] // pieces[last]
    tally = np.concatenate([before.tally, samples.tally[:, :-1]], axis=1)[:, last]
    tally[:, whole] = samples.tally
    marks[3:] = tally
    line[:, whole] = samples.values
    return Segment(samples.times[last] - step[last] + since, line, marks)


def _periods_of(spacings: Ints) -> Ints:
    """Each row's mean, gaps aside, rounded: to where the cutoff is right, and the same kernel serves for long."""
    counts: Ints | int = spacings.shape[1]
    if int(spacings.max()) > HALF_WIDTH_NS:
        gap = less(HALF_WIDTH_NS, spacings)
        counts, spacings = counts + np.add.reduce(gap, axis=1), spacings & ~gap
    totals = np.add.reduce(spacings, axis=1)
    means = np.where(counts, totals // np.maximum(counts, 1), LONGEST_PERIOD_NS)
    step = np.where(means < GRID_NS, _PERIOD_STEP_NS, _SLOW_PERIOD_STEP_NS)
    periods: Ints = np.minimum(np.maximum((means + step // 2) // step, 1) * step, LONGEST_PERIOD_NS)
    return periods
