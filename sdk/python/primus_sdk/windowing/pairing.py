"""Two sensors' grid points joined into one run of six-axis points, whichever of the two comes first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from primus_sdk.windowing.grid import Points
from primus_sdk.windowing.kernel import Floats, Ints, less
from primus_sdk.windowing.ordering import columns, joined, steps

_PATIENCE = 50  # grid points (1 s) to wait for the other sensor's clock to step back as well
_LONGEST_LEAD = 30_000  # grid points (10 min) by which one sensor may run ahead of the other


class Pairs(NamedTuple):
    """Grid points that both sensors reached; the last axis of each column counts them.

    Attributes:
        number: int64 (n,), the point's time in units of 20 ms.
        values: float64 (6, n), accelerometer then gyroscope.
        marks: int64 (13, n): the rows below.
    """

    number: Ints
    values: Floats
    marks: Ints

    @property
    def run(self) -> Ints:
        """Number of the unbroken run that the point belongs to (n,); runs are numbered from 0."""
        row: Ints = self.marks[0]
        return row

    @property
    def gap_ns(self) -> tuple[Ints, Ints]:
        """Each sensor's gap around the point, both (n,)."""
        return self.marks[1], self.marks[7]

    @property
    def tally(self) -> tuple[Ints, Ints]:
        """Each sensor's running counts at the point, both (5, n)."""
        return self.marks[2:7], self.marks[8:]


class Pairer:
    """Joins the points of equal time, waiting for whichever sensor is behind.

    What comes out depends on the two sequences of points alone, not on which of them was ahead: no point is decided
    upon before both sensors have one. Only a sensor that runs ahead by more than ten minutes loses its oldest points.

    Attributes:
        unpaired: points left out since the other sensor has none at their time.
    """

    def __init__(self) -> None:
        self.unpaired = 0
        self._run, self._previous = -1, (0, 0)  # the last pair's run, and its epoch and number
        self._queues: list[Points | None] = [None, None]
        self.forget()

    def forget(self) -> None:
        """Drop what waits for a partner, counted; the next pair begins a new run."""
        self.unpaired += sum(len(waiting.number) for waiting in self._queues if waiting is not None)
        self._queues = [None, None]
        self._shift = [0, 0]  # added to a sensor's epochs, once its clock has gone its own way
        self._ignored = 0  # points in a row that waited for the other clock's step back
        self._anew = True

    def in_step(self, *epochs: int) -> bool:
        """Whether no sensor's clock has gone its own way since the last pair: both are at it, and at these epochs."""
        shifted = {epoch + shift for epoch, shift in zip(epochs, self._shift, strict=True)}
        return len(shifted) == 1 and (self._anew or shifted == {self._previous[0]})

    def next_number(self, side: int) -> int | None:
        """The oldest point of a sensor that waits for the other; None where none does."""
        waiting = self._queues[side]
        return None if waiting is None else int(waiting.number[0])

    def push(self, accelerometer: Points | None, gyroscope: Points | None) -> list[Pairs]:
        """Take new points of either sensor, or both, and return the pairs that they complete, in order."""
        for side, points in enumerate((accelerometer, gyroscope)):
            if points is not None and len(points.number):
                waiting = self._queues[side]
                self._queues[side] = points if waiting is None else joined([waiting, points])
        pairs = []
        while (first := self._queues[0]) is not None and (second := self._queues[1]) is not None:
            if (pair := self._step(first, second)) is not None:
                pairs.append(pair)
        for side in (0, 1):
            waiting = self._queues[side]
            if waiting is not None and len(waiting.number) > _LONGEST_LEAD:
                self._drop(side, len(waiting.number) - _LONGEST_LEAD)
        return pairs

    def _step(self, first: Points, second: Points) -> Pairs | None:
        """Join what matches at the heads of the two queues, or drop what cannot find a partner."""
        if (pair := self._step_in_step(first, second)) is not None:
            return pair
        epochs = (first.epoch + self._shift[0], second.epoch + self._shift[1])
        if epochs[0][0] != epochs[1][0]:
            self._await_epoch(0 if epochs[0][0] < epochs[1][0] else 1, epochs)
            return None
        self._ignored = 0
        shorter = min(len(first.number), len(second.number))
        joined = _first(
            (first.number[:shorter] ^ second.number[:shorter]) | (epochs[0][:shorter] ^ epochs[1][:shorter])
        )
        if joined == 0:
            behind = 0 if first.number[0] < second.number[0] else 1
            ahead = (second, first)[behind].number[0]
            queue = (first, second)[behind]
            self._drop(behind, _first(~less(queue.number, int(ahead)) | (epochs[behind] ^ epochs[1 - behind][0])))
            return None
        pair = self._join(first, second, epochs[0], joined)
        for side, queue in enumerate((first, second)):
            self._queues[side] = _rest(queue, joined)
        return pair

    def _step_in_step(self, first: Points, second: Points) -> Pairs | None:
        """As `_step`, where both queues go on where the last pair was, each without a break; None elsewhere."""
        epoch, number = self._previous
        for side, queue in enumerate((first, second)):
            epochs, numbers, last = queue.marks[0], queue.number, len(queue.number) - 1
            if (
                int(numbers[0]) != number + 1
                or int(numbers[last]) != number + 1 + last
                or int(epochs[0]) + self._shift[side] != epoch
                or int(epochs[last]) + self._shift[side] != epoch
            ):
                return None
        if self._anew:
            return None
        self._ignored = 0
        count = min(len(first.number), len(second.number))
        self._previous = (epoch, number + count)
        pair = _side_by_side(first, second, count, self._run)
        self._queues = [_rest(first, count), _rest(second, count)]
        return pair

    def _await_epoch(self, behind: int, epochs: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
        """Drop points of a clock that has yet to step back; if it does not within a second, the other was wrong."""
        count = min(_first(~less(epochs[behind], int(epochs[1 - behind][0]))), _PATIENCE - self._ignored)
        self._ignored += count
        if self._ignored == _PATIENCE:
            self._shift[behind] += int(epochs[1 - behind][0] - epochs[behind][count - 1])
            self._ignored = 0
        self._drop(behind, count)

    def _drop(self, side: int, count: int) -> None:
        queue = self._queues[side]
        if queue is not None:
            self.unpaired += count
            self._queues[side] = _rest(queue, count)

    def _join(self, first: Points, second: Points, epoch: NDArray[np.int64], count: int) -> Pairs:
        number, epoch = first.number[:count], epoch[:count]
        breaks = np.sign((steps(number, self._previous[1]) ^ 1) | steps(epoch, self._previous[0])) & 1
        breaks[0] |= self._anew
        run = self._run + np.cumsum(breaks)
        self._run, self._anew = int(run[-1]), False
        self._previous = (int(epoch[-1]), int(number[-1]))
        return _side_by_side(first, second, count, run)


def _first(values: Ints) -> int:
    """Where the first value is that is not 0; past the last one where all are."""
    found = values.nonzero()[0]
    return int(found[0]) if len(found) else len(values)


def _side_by_side(first: Points, second: Points, count: int, run: Ints | int) -> Pairs:
    """The first points of both sensors as pairs of this run, or of these."""
    marks = np.empty((13, count), np.int64)
    marks[0] = run
    marks[1:7], marks[7:] = first.marks[1:, :count], second.marks[1:, :count]
    values = np.concatenate([first.values[:, :count], second.values[:, :count]])
    return Pairs(first.number[:count], values, marks)


def _rest(points: Points, count: int) -> Points | None:
    if count >= len(points.number):
        return None
    return columns(points, slice(count, None))
