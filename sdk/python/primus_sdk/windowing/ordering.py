"""One sensor's samples put in the order of their times, as far as a small reorder window reaches.

A sample is held back until one that is newer by the reorder window R shows that nothing earlier is to be expected. Let
N be the newest time so far; then, for each sample that comes:

- older than N by more than the reset: the clock was set back; what is held goes out, and all begins anew with it;
- older than the horizon H: late, dropped, counted;
- less than 0.1 ms from one that was taken: repeated, dropped, counted (that bounds what can come in within a time);
- else it is taken. If it is the newest, H becomes N, where N moved by more than 2 R (a sensor so slow, or a gap, has
  nothing to reorder), and otherwise at least N - R. What is not newer than H goes out, in the order of time.

So samples that were shuffled by less than R come out as if they had never been, and what comes out, in which order, is
a function of the samples and their order of arrival alone.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from primus_sdk.windowing.kernel import Floats, Ints, less

MIN_STEP_NS = 100_000
_NEVER = -(1 << 62)
_Columns = TypeVar("_Columns", bound=tuple[NDArray[Any], ...])


class Taken(NamedTuple):
    """Samples of one sensor; the last axis of each column counts them.

    Attributes:
        times: int64 (n,), nanoseconds.
        values: float64 (3, n), SI units, the training data's axes.
        full: int64 (n,), 1 where the sensor was at the end of its range, else 0.
    """

    times: Ints
    values: Floats
    full: Ints


class Orderer:
    """Puts one sensor's samples in order.

    Attributes:
        late: samples dropped since they came too late to be put in their place.
        repeated: samples dropped since they came within 0.1 ms of another.
        newest: the newest time taken since the clock was last set back, or None before the first sample.
    """

    def __init__(self, reorder_ns: int, reset_ns: int) -> None:
        self.late = self.repeated = 0
        self.newest: int | None = None
        self._reorder, self._reset = reorder_ns, reset_ns
        self._horizon = 0
        self._held: Taken | None = None
        self._last_out = _NEVER

    def held_times(self) -> Ints:
        """The times of the samples that are held back, ascending."""
        return np.zeros(0, np.int64) if self._held is None else self._held.times

    def push(self, samples: Taken) -> list[Taken]:
        """Take samples (at least one) as they came, and return what goes out.

        That is in parts, some empty: before each but the first, the clock was set back.
        """
        if self.newest is not None:
            moved = steps(samples.times, self.newest)
            if moved.min() >= MIN_STEP_NS:
                return [self._take_ascending(samples, moved)]
        parts: list[Taken] = []
        while True:
            newest = self.newest if self.newest is not None else int(samples.times[0])
            reached = np.maximum.accumulate(np.concatenate([[newest], samples.times]))
            behind = reached[:-1] - samples.times
            count = int(less(self._reset, behind).argmin()) if behind.max() > self._reset else len(samples.times)
            if count:
                parts.append(self._take(columns(samples, slice(0, count)), reached[: count + 1]))
            else:
                parts.append(columns(samples, slice(0, 0)))
            if count == len(samples.times):
                return parts
            parts[-1] = joined([parts[-1], *self.flush()])
            samples = columns(samples, slice(count, None))

    def flush(self) -> list[Taken]:
        """Let everything out that is held; the next sample is the first of a new clock."""
        held = [] if self._held is None else [self._held]
        self._held, self.newest, self._last_out = None, None, _NEVER
        return held

    def _take_ascending(self, samples: Taken, moved: Ints) -> Taken:
        """Take samples each of which is the newest; `moved` (n,) by how much. As `_take`, which takes any."""
        newest = int(samples.times[-1])
        horizon = max(self._horizon, newest - self._reorder)
        if moved.max() > 2 * self._reorder:
            horizon = max(horizon, int(samples.times[np.flatnonzero(less(2 * self._reorder, moved))[-1]]))
        self.newest, self._horizon = newest, horizon
        return self._let_out(samples if self._held is None else joined([self._held, samples]))

    def _take(self, samples: Taken, reached: Ints) -> Taken:
        """Take samples among which the clock is not set back; `reached` (n + 1) are the newest times before each."""
        moved = reached[1:] - reached[:-1]
        far = 2 * self._reorder  # moved by more, a sample has nothing to reorder
        horizons = reached[1:] - (self._reorder & less(moved, far + 1))
        if self.newest is None:
            self._horizon = int(reached[0]) - self._reorder
        horizon = np.maximum.accumulate(np.concatenate([[self._horizon], horizons]))
        self.newest, self._horizon = int(reached[-1]), int(horizon[-1])
        late = np.maximum(horizon[:-1], samples.times) - samples.times if moved.min() <= 0 else None  # by how much
        if late is not None and late.max():
            kept = np.flatnonzero(less(late, 1))
            self.late += len(late) - len(kept)
            samples = Taken(samples.times[kept], samples.values[:, kept], samples.full[kept])
        waiting = samples if self._held is None else joined([self._held, samples])
        order = np.argsort(waiting.times, kind="stable") if moved.min() <= 0 else None
        times = waiting.times if order is None else waiting.times[order]
        if np.diff(times, prepend=self._last_out).min(initial=MIN_STEP_NS) < MIN_STEP_NS:
            order = self._apart(waiting.times, len(waiting.times) - len(samples.times))
        if order is not None:
            waiting = Taken(waiting.times[order], waiting.values[:, order], waiting.full[order])
        return self._let_out(waiting)

    def _let_out(self, waiting: Taken) -> Taken:
        """Of samples in order, give those up to the horizon, and hold the rest."""
        out = int(waiting.times.searchsorted(self._horizon, side="right"))
        if out:
            self._last_out = int(waiting.times[out - 1])
        if out == len(waiting.times):
            self._held = None
            return waiting
        self._held = columns(waiting, slice(out, None))
        return Taken(waiting.times[:out], waiting.values[:, :out], waiting.full[:out])

    def _apart(self, times: Ints, held: int) -> Ints:
        """The order of those samples that are not within 0.1 ms of one that came before them; the first are held."""
        taken = [self._last_out, *times[:held].tolist()]
        order = list(range(-1, held))
        for position, time in enumerate(times[held:].tolist(), held):
            place = bisect_left(taken, time)
            near = taken[max(place - 1, 0) : place + 1]
            if all(abs(time - other) >= MIN_STEP_NS for other in near):
                taken.insert(place, time)
                order.insert(place, position)
        self.repeated += len(times) - len(order) + 1
        return np.array(order[1:], np.int64)


def joined(parts: list[_Columns]) -> _Columns:
    """Join tables of the same columns, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return type(parts[0])(*(np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)))


def columns(table: _Columns, part: slice) -> _Columns:
    """Take a part of a table; copied, so that the rest can be forgotten."""
    return type(table)(*(column[..., part].copy() for column in table))


def steps(values: Ints, before: int) -> Ints:
    """Differences of each value to the one before it; `before` comes before the first."""
    differences = np.empty(len(values), np.int64)
    differences[0] = values[0] - before
    np.subtract(values[1:], values[:-1], out=differences[1:])
    return differences
