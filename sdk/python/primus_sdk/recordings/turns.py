"""A recording's two sensors handed over by turns, as a stream wants them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from primus_sdk import arguments
from primus_sdk.errors import StreamError
from primus_sdk.recordings import Samples

Turn: TypeAlias = tuple[Literal["accelerometer", "gyroscope"], NDArray[np.int64], NDArray[np.float64]]
"""A sensor, its timestamps (n,) and values (n, 3)."""

_Sensors: TypeAlias = tuple[tuple[Literal["accelerometer", "gyroscope"], Samples], ...]
_PIECE = 16_384  # samples of a sensor pushed at once: with fewer, cutting costs more a window
_LONGEST_NS = 200e9  # of a piece: a stream drops points of a sensor that is ten minutes ahead
_JUMP_NS = 1_000_000_000
_FEW = 64  # samples, to read ahead at least
_LOOKED_AT = 1 << 18  # samples at once
_LOOKED_BACK = 4096  # samples that may be wrong in a row
_LOOKED_BACK_FROM = 20_000  # jumps: of a clock with more, none is taken back
_BEGINNING = 64  # samples: what is wrong with the first ones, nothing before them can tell


def pieces(accelerometer: Samples, gyroscope: Samples) -> Iterator[Turn]:
    """Both sensors' samples in pieces by turns, so that neither runs far ahead of the other's clock.

    Raises:
        StreamError: a sensor has not as many timestamps as values, or these are no arrays `(n,)` and `(n, 3)`.
    """
    sensors: _Sensors = (("accelerometer", _arrays(accelerometer)), ("gyroscope", _arrays(gyroscope)))
    for sensor, samples in sensors:
        if samples.timestamps_ns.size and samples.timestamps_ns.dtype.kind not in "iu":
            raise StreamError(f"{sensor} timestamps are {samples.timestamps_ns.dtype}; expected whole nanoseconds")
        if samples.timestamps_ns.ndim != 1 or samples.values.ndim != 2:
            shapes = f"{samples.timestamps_ns.shape} and {samples.values.shape}"
            raise StreamError(f"{sensor} timestamps and values have the shapes {shapes}; expected (n,) and (n, 3)")
        if len(samples.timestamps_ns) != len(samples.values):
            raise StreamError(
                f"{len(samples.timestamps_ns)} timestamps for {len(samples.values)} {sensor} samples; expected as many"
            )
    return _by_turns(sensors)


def _arrays(samples: Samples) -> Samples:
    values = samples.values
    if np.any(getattr(samples.timestamps_ns, "mask", False)):
        raise StreamError("some timestamps are masked; leave those samples out")
    if np.any(getattr(values, "mask", False)):
        values = arguments.floats(values, "samples", StreamError)
    return Samples(np.asarray(samples.timestamps_ns), np.asarray(values))


def _by_turns(sensors: _Sensors) -> Iterator[Turn]:
    clocks = [_Clock(samples.timestamps_ns) for _, samples in sensors]
    while left := [side for side in (0, 1) if clocks[side].done < len(sensors[side][1].timestamps_ns)]:
        side = min(left, key=lambda side: clocks[side].reached)
        sensor, samples = sensors[side]
        part = clocks[side].next_piece()
        yield sensor, samples.timestamps_ns[part], samples.values[part]


def steady(timestamps_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """When each sample came, nanoseconds `(n,)`, had the clock never been set back, and no timestamp been wrong."""
    begins, places, passed = _followed(timestamps_ns)
    steps = np.diff(timestamps_ns.astype(np.float64))
    steps[places] = passed
    return begins + np.concatenate([np.zeros(min(1, len(timestamps_ns))), steps]).cumsum()


class _Clock:
    """How far one sensor's samples were handed over.

    Attributes:
        done: how many.
        reached: the time of the next one, had its clock never been set back.
    """

    def __init__(self, timestamps_ns: NDArray[np.int64]) -> None:
        self.done = 0
        self._times, self._ahead = timestamps_ns, _PIECE
        self.reached, self._jumps, self._passed = _followed(timestamps_ns)

    def next_piece(self) -> slice:
        """The next samples to hand over, of no more than `_LONGEST_NS` together."""
        start, end = self.done, min(self.done + self._ahead, len(self._times))
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
        self._ahead = min(_PIECE, max(_FEW, 4 * (end - start)))  # where pieces are short, not all that follows is read
        self.done = end
        return slice(start, end)


def _followed(times: NDArray[np.int64]) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
    """Where a clock begins, where it jumps either way (of each pair of samples the first), and what time passed there.

    Where it jumps ahead, as much; where it is set back, none. But where it comes back to what it would show had it gone
    on at its pace, the timestamps between were wrong, and no time passed at any jump from there on.
    """
    if not len(times):
        return 0.0, np.zeros(0, np.int64), np.zeros(0)
    pace, place, step = _jumps(times)
    begins, passed = float(times[0]), np.maximum(step, 0.0)
    looked_at = len(place) if len(place) <= _LOOKED_BACK_FROM else 0
    for number, (at, by) in enumerate(zip(place[:looked_at].tolist(), step.tolist(), strict=False)):
        first = max(at + 1 - _LOOKED_BACK, 0)
        before, after = times[first : at + 1].astype(np.float64), float(times[at + 1])
        away = np.abs(after - before - pace * np.arange(len(before), 0, -1))
        right = np.flatnonzero(away <= _JUMP_NS)
        if len(right):
            if right[-1] < len(before) - 1:
                passed[place.searchsorted(first + right[-1]) : number + 1] = 0
        elif by < 0 and at < _BEGINNING:
            begins, passed[: number + 1] = after - pace * (at + 1), 0
    return begins, place, passed


def _jumps(times: NDArray[np.int64]) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
    """The usual step from sample to sample, and the places and lengths of steps that are far from it."""
    some = np.diff(times[:_LOOKED_AT].astype(np.float64))
    pace = float(np.median(some[some > 0])) if (some > 0).any() else 0.0
    places, steps = [np.zeros(0, np.int64)], [np.zeros(0)]
    for start in range(0, len(times) - 1, _LOOKED_AT):
        step = np.diff(times[start : start + _LOOKED_AT + 1].astype(np.float64))
        far = np.flatnonzero((step <= -_JUMP_NS) | (step >= _JUMP_NS + 2 * pace))
        places.append(far + start)
        steps.append(step[far])
    return pace, np.concatenate(places), np.concatenate(steps)
