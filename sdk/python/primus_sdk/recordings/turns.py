"""A recording's two sensors handed over by turns, as a stream wants them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from primus_sdk.errors import StreamError
from primus_sdk.recordings import Samples

Turn: TypeAlias = tuple[Literal["accelerometer", "gyroscope"], NDArray[np.int64], NDArray[np.float64]]
"""A sensor, its timestamps (n,) and values (n, 3)."""

_Sensors: TypeAlias = tuple[tuple[Literal["accelerometer", "gyroscope"], Samples], ...]
_PIECE = 16_384  # samples of a sensor pushed at once: with fewer, cutting costs more a window
_LONGEST_NS = 200e9  # of a piece: a stream drops points of a sensor that is ten minutes ahead
_JUMP_NS = 1_000_000_000
_REMEMBERED = 64  # jumps ahead, to be taken back
_LOOKED_AT = 1 << 18  # samples at once


def pieces(accelerometer: Samples, gyroscope: Samples) -> Iterator[Turn]:
    """Both sensors' samples in pieces by turns, so that neither runs far ahead of the other's clock.

    Raises:
        StreamError: a sensor has not as many timestamps as values, or these are no arrays `(n,)` and `(n, 3)`.
    """
    sensors: _Sensors = (("accelerometer", _arrays(accelerometer)), ("gyroscope", _arrays(gyroscope)))
    for sensor, samples in sensors:
        if samples.timestamps_ns.ndim != 1 or samples.values.ndim != 2:
            shapes = f"{samples.timestamps_ns.shape} and {samples.values.shape}"
            raise StreamError(f"{sensor} timestamps and values have the shapes {shapes}; expected (n,) and (n, 3)")
        if len(samples.timestamps_ns) != len(samples.values):
            raise StreamError(
                f"{len(samples.timestamps_ns)} timestamps for {len(samples.values)} {sensor} samples; expected as many"
            )
    return _by_turns(sensors)


def _arrays(samples: Samples) -> Samples:
    return Samples(np.asarray(samples.timestamps_ns), np.asarray(samples.values))


def _by_turns(sensors: _Sensors) -> Iterator[Turn]:
    clocks = [_Clock(samples.timestamps_ns) for _, samples in sensors]
    while left := [side for side in (0, 1) if clocks[side].done < len(sensors[side][1].timestamps_ns)]:
        side = min(left, key=lambda side: clocks[side].reached)
        sensor, samples = sensors[side]
        part = clocks[side].next_piece()
        yield sensor, samples.timestamps_ns[part], samples.values[part]


class _Clock:
    """How far one sensor's samples were handed over.

    Attributes:
        done: how many.
        reached: the time of the next one, had its clock never been set back.
    """

    def __init__(self, timestamps_ns: NDArray[np.int64]) -> None:
        self.done = 0
        self._times = timestamps_ns
        self._jumps, self._passed = _jumps(timestamps_ns)
        first = 1 if len(self._jumps) and self._jumps[0] == 0 and timestamps_ns[1] < timestamps_ns[0] else 0  # wrong
        self.reached = float(timestamps_ns[first]) if len(timestamps_ns) else 0.0

    def next_piece(self) -> slice:
        """The next samples to hand over, of no more than `_LONGEST_NS` together."""
        start, end = self.done, min(self.done + _PIECE, len(self._times))
        times = self._times[start : end + 1].astype(np.float64)
        jumps = slice(*self._jumps.searchsorted([start, start + len(times) - 1]))
        if jumps.start == jumps.stop and times[-1] - times[0] <= _LONGEST_NS:
            self.reached += float(times[-1] - times[0])
        else:
            steps = np.diff(times)
            steps[self._jumps[jumps] - start] = self._passed[jumps]
            passed = steps.cumsum()
            if len(passed) and passed.max() > _LONGEST_NS:
                end = start + 1 + int(np.argmax(passed > _LONGEST_NS))
            self.reached += float(passed[end - start - 1 : end - start].sum()) if end < len(self._times) else 0.0
        self.done = end
        return slice(start, end)


def _jumps(times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where a clock jumps by a second or more, either way (of each pair of samples the first), and what time passed.

    Where it jumps ahead, as much; where it is set back, none. But of two jumps as long, one ahead and one back, as
    around a wrong timestamp, the later takes the earlier back: then no time passed at either.
    """
    places, steps = [np.zeros(0, np.int64)], [np.zeros(0)]
    for start in range(0, len(times) - 1, _LOOKED_AT):
        step = np.diff(times[start : start + _LOOKED_AT + 1].astype(np.float64))
        far = np.flatnonzero(np.abs(step) >= _JUMP_NS)
        places.append(far + start)
        steps.append(step[far])
    place, step = np.concatenate(places), np.concatenate(steps)
    passed = np.maximum(step, 0)
    if len(step) and step.min() < 0:
        before: deque[int] = deque(maxlen=_REMEMBERED)
        for number in range(len(step)):
            together = 0.0
            for count, jump in enumerate(reversed(before), 1):
                together += step[jump]
                if min(abs(step[jump] + step[number]), abs(together + step[number])) <= 2 * _JUMP_NS:
                    passed[[number, *(before.pop() for _ in range(count))]] = 0
                    break
            else:
                before.append(number)
    return place, passed
