"""Made sensor streams, their faults, and what compares two runs of windows; shared by several test files."""

from __future__ import annotations

import os

import numpy as np

from primus_sdk.windowing.windows import Window, WindowStream

MS = 1_000_000
START = 1_600_000_000_000_000_000


def examples(usual: int, thorough: int) -> int:
    """How many examples Hypothesis tries: the larger number in `make fuzz`."""
    return thorough if os.environ.get("PRIMUS_THOROUGH") else usual


def samples(
    rate: float, seconds: float, *, start: int = START, jitter: float = 0.0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    times = start + (np.arange(int(rate * seconds)) * 1e9 / rate).astype(np.int64)
    times = times + (random.uniform(-jitter, jitter, len(times)) * 1e9).astype(np.int64)
    return times, random.normal(0, 2, (len(times), 3)) + np.array([0, 9.8, 0])


def run(stream: WindowStream, accelerometer, gyroscope, turns) -> list[Window]:
    """Push two sensors' samples in the given turns (sensor, count; one sample as plain numbers), the rest, the end."""
    windows, done = [], [0, 0]
    pushes = (stream.push_accelerometer, stream.push_gyroscope)
    for side, count in [*turns, (0, len(accelerometer[0])), (1, len(gyroscope[0]))]:
        times, values = (accelerometer, gyroscope)[side]
        part = slice(done[side], done[side] + count)
        if count == 1 and part.start < len(times):
            windows += pushes[side](int(times[part][0]), values[part][0].tolist())
        else:
            windows += pushes[side](times[part], values[part])
        done[side] += count
    return windows + stream.flush()


def assert_same(first: list[Window], second: list[Window]) -> None:
    assert [(w.start_ns, w.end_ns, w.quality) for w in first] == [(w.start_ns, w.end_ns, w.quality) for w in second]
    for one, other in zip(first, second, strict=True):
        assert one.imu.tobytes() == other.imu.tobytes()


def faulty(times: np.ndarray, values: np.ndarray, faults) -> tuple[np.ndarray, np.ndarray]:
    """Apply (kind, position, size) to a stream."""
    values = values.copy()
    for kind, where, size in faults:
        position = int(where * (len(times) - 2)) + 1
        if kind == "gap":
            keep = np.r_[:position, min(position + size, len(times)) : len(times)]
            times, values = times[keep], values[keep]
        elif kind == "nan":
            values[position : position + size % 20] = np.nan
        elif kind == "swap":  # each of these comes a few samples late
            order = np.arange(len(times), dtype=np.float64)
            order[position : position + size : 5] += 0.7 + size % 6
            times, values = times[np.argsort(order, kind="stable")], values[np.argsort(order, kind="stable")]
        elif kind == "shift":  # the clock jumps, forward or back
            times = np.r_[times[:position], times[position:] + (size - 150) * 20 * MS]
        elif kind == "spike":  # one timestamp is off
            times = np.r_[times[:position], times[position] + (size - 150) * 20 * MS, times[position + 1 :]]
        else:  # samples repeat
            again = np.r_[:position, max(0, position - size % 7) : len(times)]
            times, values = times[again], values[again]
        if len(times) < 3:
            break
    return times, values
