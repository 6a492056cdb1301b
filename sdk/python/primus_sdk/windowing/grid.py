"""The grid points of a segment of samples: which samples each sees, their weights, and the sums.

Two ways lead to the same bits. Where samples come at one steady pace that fits 20 ms, every point has the same weights:
they are computed once. Everywhere else each point has its own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from primus_sdk.windowing.kernel import GRID_NS, HALF_WIDTH_NS, Floats, Ints, kernel, less

_FEW = 64  # points: below, looking for a steady pace costs more than it saves
_TOGETHER = 512  # points at one pace: what is computed for each at once should stay in the cache
_AT_ONCE = 10_752  # samples seen by all points that have weights of their own: so too, and it is a stream's peak


class Points(NamedTuple):
    """Consecutive grid points of one sensor; the last axis of each column counts them.

    Attributes:
        number: int64 (n,), the point's time in units of 20 ms.
        values: float64 (3, n).
        marks: int64 (7, n): the rows below.
    """

    number: Ints
    values: Floats
    marks: Ints

    @property
    def epoch(self) -> Ints:
        """How often the sensor's clock had been set back when the point came (n,)."""
        row: Ints = self.marks[0]
        return row

    @property
    def gap_ns(self) -> Ints:
        """Distance of the two samples around the point (n,)."""
        row: Ints = self.marks[1]
        return row

    @property
    def tally(self) -> Ints:
        """The sensor's running counts (`resample.TALLIES`) at the point (5, n)."""
        return self.marks[2:]


class Segment(NamedTuple):
    """Samples of an unbroken run that later grid points still need, with filled-in ones in longer gaps.

    Attributes:
        times: int64 (n,), nanoseconds, ascending.
        values: float64 (4, n): three axes, and 1, whose weighted sum is that of the weights.
        marks: int64 (8, n): the rows below.
    """

    times: Ints
    values: Floats
    marks: Ints

    @property
    def step(self) -> Ints:
        """Time since the sample before, filled-in ones included (n,)."""
        row: Ints = self.marks[0]
        return row

    @property
    def period(self) -> Ints:
        """The sensor's sampling period as known when the sample came (n,)."""
        row: Ints = self.marks[1]
        return row

    @property
    def gap_ns(self) -> Ints:
        """Time between the real samples that the entry ends or lies between (n,)."""
        row: Ints = self.marks[2]
        return row

    @property
    def tally(self) -> Ints:
        """Running counts up to the last real sample (5, n)."""
        return self.marks[3:]


def grid_points(segment: Segment, reach: Ints, start: int, stop: int, epoch: int) -> Points:
    """The points `start` to `stop` (exclusive), whose samples are all in the segment.

    reach: of each sample, the latest that any up to it ends, a period after its time.
    """
    numbers = np.arange(start, stop, dtype=np.int64)
    time = numbers * GRID_NS
    marks = np.empty((7, len(time)), np.int64)
    marks[0] = epoch
    if stop - start >= _FEW and (pace := _pace(segment, reach, time[[0, -1]])):
        values = _at_one_pace(segment, reach, time, pace)
        after, span = int(segment.times.searchsorted(time[0])), pace * (len(time) - 1) + 1
        upto_first = after if segment.times[after] == time[0] else after - 1
        marks[1] = segment.gap_ns[after : after + span : pace]
        marks[2:] = segment.tally[:, upto_first : upto_first + span : pace]
        return Points(numbers, values, marks)
    together = max(_FEW, _AT_ONCE // (2 * HALF_WIDTH_NS // int(segment.period[-1]) + 1))
    parts = [_each_its_own(segment, reach, time[first : first + together]) for first in range(0, len(time), together)]
    values = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
    around = np.minimum(segment.times.searchsorted(time), len(segment.times) - 1)
    upto = around + less(time, segment.times.take(around))  # the last sample not after the point
    segment.gap_ns.take(around, out=marks[1], mode="clip")
    segment.tally.take(upto, axis=1, out=marks[2:], mode="clip")
    return Points(numbers, values, marks)


def _taps(segment: Segment, reach: Ints, time: Ints) -> tuple[Ints, Ints]:
    """The first and the last sample that each point sees.

    From 100 ms before it to the first sample after which the next, a period later, would be out of its reach.
    """
    first = _places(segment.times, time - HALF_WIDTH_NS, "left")
    last = _places(reach, time + HALF_WIDTH_NS, "right")
    return first, np.minimum(last, len(segment.times) - 1)


def _places(ascending: Ints, wanted: Ints, side: Literal["left", "right"]) -> Ints:
    """As `ascending.searchsorted(wanted, side)`, for ascending numbers; many are looked for between the outer ones."""
    if len(wanted) < _FEW:
        places: Ints = ascending.searchsorted(wanted, side)
        return places
    begin, end = ascending.searchsorted(wanted[[0, -1]], side).tolist()
    places = ascending[begin:end].searchsorted(wanted, side)
    places += begin
    return places


def _weights(segment: Segment, time: Ints, first: Ints, last: Ints) -> tuple[Ints, Floats]:
    """Each point's samples and their weights, both (taps, points); where a point has fewer, its last weights are 0."""
    end = last - first
    tap = first + np.arange(int(end.max()) + 1)[:, None]
    # From here on some points see no more: the last sample stands in for others, where the kernel is zero.
    some = int(end.min()) + 1
    beyond = tap[some:] - last
    np.maximum(beyond, 0, out=beyond)
    tap[some:] -= beyond
    beyond *= GRID_NS * HALF_WIDTH_NS
    distance = segment.times.take(tap)
    distance -= time
    np.abs(distance, out=distance)
    distance[some:] += beyond
    # The slowest pace in reach: its longest steps, too, must lie well within the kernel's main lobe. With a quicker one
    # the weights could all but cancel out, and a sum near zero be divided by.
    seen = segment.period[int(first[0]) : int(last[-1]) + 1]
    slowest = int(seen.max())
    weight = kernel(distance, slowest if seen.min() == slowest else segment.period.take(tap).max(axis=0))
    # A sample stands for the time to the middle of its neighbours; the one after the last is not waited for.
    step = segment.step
    both = step.astype(np.float64)  # exact, and multiplied without a cast of each
    both[:-1] += step[1:]
    stands = both.take(tap)
    point = np.arange(len(time))
    within = 1 + less(HALF_WIDTH_NS, distance[end, point])  # all others are within reach
    stands[end, point] = (step + segment.period).take(last) * within
    weight *= stands
    return tap, weight


@lru_cache(maxsize=4)  # of a steady clock the next point's are those of the one before
def _weights_of_one(offsets: bytes, marks: bytes, last: int) -> tuple[float, ...]:
    """The weights of one point at 0; the samples' times, their steps and periods, and the last that it sees."""
    times = np.frombuffer(offsets, np.int64)
    segment = Segment(times, np.zeros((4, 0)), np.frombuffer(marks, np.int64).reshape(2, -1))
    none = np.zeros(1, np.int64)
    return tuple(_weights(segment, none, none, none + last)[1][:, 0].tolist())


def _each_its_own(segment: Segment, reach: Ints, time: Ints) -> Floats:
    """The points' values (3, n)."""
    first, last = _taps(segment, reach, time)
    # What lies further off costs time as well; of the last sample the next one's step is wanted.
    begin, stop = int(first[0]), int(last[-1]) + 2
    segment = Segment(segment.times[begin:stop], segment.values[:, begin:stop], segment.marks[:, begin:stop])
    tap, weight = _weights(segment, time, first - begin, last - begin)
    products = np.empty((4, *weight.shape))
    segment.values[:3].take(tap, axis=1, out=products[:3], mode="clip")
    products[:3] *= weight
    products[3] = weight
    sums = summed(products)
    values: Floats = sums[:3] / sums[3]
    return values


def summed(products: Floats) -> Floats:
    """The sums (4, points) over the taps of products (4, taps, points): in the order of time, for however many points.

    Of several points NumPy adds one tap's row to the next. Of one alone the taps lie side by side in memory, where a
    reduction would pair them up. From 0 on, so that no sum is a negative zero: whether one were could hang on the
    zeros of taps that a point only has because another sees more.
    """
    if products.shape[2] == 1:
        return 0.0 + np.add.accumulate(products, axis=1)[:, -1]
    sums: Floats = np.add.reduce(products, axis=1, initial=0.0)
    return sums


def _pace(segment: Segment, reach: Ints, ends: Ints) -> int:
    """How many samples there are from grid point to grid point, where all points have the same weights; else 0."""
    first, last = _taps(segment, reach, ends)
    step, period = segment.step[first[0] : last[1] + 1], segment.period[first[0] : last[1] + 1]
    pace = GRID_NS // max(int(step[0]), 1)
    if pace * int(step[0]) != GRID_NS or step.min() != step.max() or period.min() != period.max():
        return 0
    moved = pace * int(ends[1] - ends[0]) // GRID_NS
    begins_alike = segment.times[first[0]] - ends[0] == segment.times[first[1]] - ends[1]
    return pace if first[1] - first[0] == moved == last[1] - last[0] and begins_alike else 0


def _at_one_pace(segment: Segment, reach: Ints, time: Ints, pace: int) -> Floats:
    """The values (3, n) of points that all have the first one's weights."""
    first, last = _taps(segment, reach, time[:1])
    begin, stop = int(first[0]), int(last[0]) + 2
    offsets, marks = segment.times[begin:stop] - time[0], segment.marks[:2, begin:stop]
    weight = _weights_of_one(offsets.tobytes(), marks.tobytes(), int(last[0]) - begin)
    count, total = len(time), weight[0]
    values = np.empty((3, count))
    # Of many points an axis at a time, which the cache holds; of few the calls would cost more.
    for axes in [slice(0, 1), slice(1, 2), slice(2, 3)] if count > _TOGETHER else [slice(0, 3)]:
        # Every pace-th sample, so that those which one tap sees of neighbouring points lie side by side.
        phases = [np.ascontiguousarray(segment.values[axes, begin + phase :: pace]) for phase in range(pace)]
        sums = values[axes]
        product = np.multiply(phases[0][:, :count], weight[0], out=sums).copy()
        sums += 0.0  # as `summed`
        for tap, one in enumerate(weight[1:], 1):
            later = tap // pace
            np.multiply(phases[tap % pace][:, later : later + count], one, out=product)
            sums += product
    for one in weight[1:]:
        total += one
    values /= total
    return values
