"""The grid points of a segment of samples: which samples each sees, their weights, and the sums.

Two ways lead to the same bits. Where samples come at one steady pace that fits 20 ms, every point has the same weights:
they are computed once. Everywhere else each point has its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from primus_sdk.windowing.kernel import GRID_NS, HALF_WIDTH_NS, Floats, Ints, kernel

_FEW = 64  # points: below, looking for a steady pace costs more than it saves
_TOGETHER = 1024  # points: what is computed for each of them at once should stay in the cache


class Points(NamedTuple):
    """Consecutive grid points of one sensor; the last axis of each column counts them.

    Attributes:
        epoch: int64 (n,), how often the sensor's clock had been set back when the point came.
        number: int64 (n,), the point's time in units of 20 ms.
        values: float64 (3, n).
        gap_ns: int64 (n,), distance of the two samples around the point.
        tally: int64 (5, n), the sensor's running counts (`resample.TALLIES`) at the point.
    """

    epoch: Ints
    number: Ints
    values: Floats
    gap_ns: Ints
    tally: Ints


class Segment(NamedTuple):
    """Samples of an unbroken run that later grid points still need, with filled-in ones in longer gaps.

    Attributes:
        times: int64 (n,), nanoseconds, ascending.
        values: float64 (3, n).
        step: int64 (n,), time since the sample before, filled-in ones included.
        gap_ns: int64 (n,), time between the real samples that the entry ends or lies between.
        tally: int64 (5, n), running counts up to the last real sample.
        period: int64 (n,), the sensor's sampling period as known when this sample came.
    """

    times: Ints
    values: Floats
    step: Ints
    gap_ns: Ints
    tally: Ints
    period: Ints


def grid_points(segment: Segment, start: int, stop: int, epoch: int) -> Points:
    """The points `start` to `stop` (exclusive), whose samples are all in the segment."""
    numbers = np.arange(start, stop, dtype=np.int64)
    time = numbers * GRID_NS
    reach = np.maximum.accumulate(segment.times + segment.period)
    if stop - start >= _FEW and (pace := _pace(segment, reach, time[[0, -1]])):
        values, after = _at_one_pace(segment, reach, time, pace)
    else:
        parts = [time[first : first + _TOGETHER] for first in range(0, len(time), _TOGETHER)]
        values = np.concatenate([_each_its_own(segment, reach, part) for part in parts], axis=1)
        after = np.searchsorted(segment.times, time)
    around = np.minimum(after, len(segment.times) - 1)
    upto = np.where(segment.times[around] == time, around, after - 1)
    return Points(
        np.full(stop - start, epoch, np.int64), numbers, values, segment.gap_ns[around], segment.tally[:, upto]
    )


def _taps(segment: Segment, reach: Ints, time: Ints) -> tuple[Ints, Ints]:
    """The first and the last sample that each point sees.

    From 100 ms before it to the first sample after which the next, a period later, would be out of its reach.
    """
    first = np.searchsorted(segment.times, time - HALF_WIDTH_NS)
    last = np.searchsorted(reach, time + HALF_WIDTH_NS, side="right")
    return first, np.minimum(last, len(segment.times) - 1)


def _weights(segment: Segment, time: Ints, first: Ints, last: Ints) -> tuple[Ints, Floats]:
    """Each point's samples and their weights, both (taps, points); where a point has fewer, its last weights are 0."""
    tap = first + np.arange(int((last - first).max()) + 1)[:, None]
    inside = tap <= last
    np.minimum(tap, last, out=tap)
    distance = np.abs(segment.times[tap] - time)
    # The slowest pace in reach: its longest steps, too, must lie well within the kernel's main lobe. With a quicker one
    # the weights could all but cancel out, and a sum near zero be divided by.
    weight = kernel(distance, segment.period[tap].max(axis=0))
    # A sample stands for the time to the middle of its neighbours; the one after the last is not waited for.
    stands = (segment.step + np.append(segment.step[1:], 0))[tap]
    end, point = last - first, np.arange(len(time))
    stands[end, point] = segment.step[last] + segment.period[last]
    weight[end, point] *= distance[end, point] <= HALF_WIDTH_NS  # all others are within reach
    weight *= stands
    weight *= inside
    return tap, weight


def _each_its_own(segment: Segment, reach: Ints, time: Ints) -> Floats:
    """The points' values (3, n)."""
    tap, weight = _weights(segment, time, *_taps(segment, reach, time))
    product = segment.values[:, tap]
    product *= weight
    sums, total = product[:, 0].copy(), weight[0].copy()
    for one in range(1, len(weight)):  # in the order of time: a sum() may pair them up anew
        sums += product[:, one]
        total += weight[one]
    values: Floats = sums / total
    return values


def _pace(segment: Segment, reach: Ints, ends: Ints) -> int:
    """How many samples there are from grid point to grid point, where all points have the same weights; else 0."""
    first, last = _taps(segment, reach, ends)
    step, period = segment.step[first[0] : last[1] + 1], segment.period[first[0] : last[1] + 1]
    pace = GRID_NS // max(int(step[0]), 1)
    if pace * int(step[0]) != GRID_NS or (step != step[0]).any() or (period != period[0]).any():
        return 0
    moved = pace * int(ends[1] - ends[0]) // GRID_NS
    begins_alike = segment.times[first[0]] - ends[0] == segment.times[first[1]] - ends[1]
    return pace if first[1] - first[0] == moved == last[1] - last[0] and begins_alike else 0


def _at_one_pace(segment: Segment, reach: Ints, time: Ints, pace: int) -> tuple[Floats, Ints]:
    """The values (3, n) of points that all have the first one's weights, and of each the first sample not before it."""
    first, last = _taps(segment, reach, time[:1])
    weight = _weights(segment, time[:1], first, last)[1][:, 0].tolist()
    begin, span = int(first[0]), pace * (len(time) - 1) + 1
    values = segment.values[:, begin : begin + span : pace] * weight[0]
    product, total = np.empty_like(values), weight[0]
    for tap, one in enumerate(weight[1:], begin + 1):
        np.multiply(segment.values[:, tap : tap + span : pace], one, out=product)
        values += product
        total += one
    values /= total
    return values, int(np.searchsorted(segment.times, time[0])) + pace * np.arange(len(time))
