"""A recording's two sensors handed over by turns, as a stream wants them."""

from __future__ import annotations

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
_SET_BACK_NS = 1_000_000_000


def pieces(accelerometer: Samples, gyroscope: Samples) -> Iterator[Turn]:
    """Both sensors' samples in pieces by turns, so that neither runs far ahead of the other's clock.

    Raises:
        StreamError: a sensor has not as many timestamps as values.
    """
    sensors: _Sensors = (("accelerometer", accelerometer), ("gyroscope", gyroscope))
    for sensor, samples in sensors:
        if len(samples.timestamps_ns) != len(samples.values):
            raise StreamError(
                f"{len(samples.timestamps_ns)} timestamps for {len(samples.values)} {sensor} samples; expected as many"
            )
    return _by_turns(sensors)


def _by_turns(sensors: _Sensors) -> Iterator[Turn]:
    done = [0, 0]
    counts = [len(samples.timestamps_ns) for _, samples in sensors]
    reached = [float(samples.timestamps_ns[0]) if len(samples.timestamps_ns) else 0.0 for _, samples in sensors]
    while left := [side for side in (0, 1) if done[side] < counts[side]]:
        side = min(left, key=reached.__getitem__)
        sensor, samples = sensors[side]
        start, end = done[side], min(done[side] + _PIECE, counts[side])
        times = samples.timestamps_ns[start : end + 1]
        whole = times.dtype == np.int64 and (times[1:] >= times[:-1]).all()
        if whole and (passed_ns := int(times[-1]) - int(times[0])) <= _LONGEST_NS:
            reached[side] += passed_ns
            done[side] = end
            yield sensor, samples.timestamps_ns[start:end], samples.values[start:end]
            continue
        # By the time that passed: where the clock is set back, the sensors still go together.
        steps = np.diff(times.astype(np.float64))
        steps[steps <= -_SET_BACK_NS] = 0
        if steps.sum() > _LONGEST_NS:
            passed = steps.cumsum()
            if passed[-1] > _LONGEST_NS:
                end = start + 1 + int(np.argmax(passed > _LONGEST_NS))
        reached[side] += float(steps[: end - start].sum())
        done[side] = end
        yield sensor, samples.timestamps_ns[start:end], samples.values[start:end]
