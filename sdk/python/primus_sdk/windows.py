"""Five-second windows from two live sensors: what training, replay and the device all see.

Accelerometer and gyroscope are resampled each by its own timestamps (`primus_sdk.resample`) and joined on a 50 Hz
grid. The rules, each a function of the two sequences of samples alone, never of how they are cut into pushes:

- a gap of up to 100 ms is filled; a longer one too, but the windows over it say so in their quality; after more than a
  second of silence the stream starts anew, and the next window says `after_reset`;
- a clock that steps back by more than a second starts the stream anew; a sample older by less, or one that repeats the
  one before, is dropped and counted in `WindowStream.dropped`;
- only times at which both sensors delivered make windows.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from primus_sdk import pushed
from primus_sdk.errors import StreamError
from primus_sdk.kernel import GRID_NS, HALF_WIDTH_NS
from primus_sdk.pairing import Pairer, Pairs
from primus_sdk.quality import Dropped, FaultPolicy, Quality
from primus_sdk.recordings import Recording
from primus_sdk.resample import SensorResampler, concatenated, rows
from primus_sdk.sensors import Sensors

WINDOW_SAMPLES = 250
RATE_HZ = 50
_LARGEST_VALUE = 1e5  # in SI units; far beyond any sensor, far below what would overflow
_TOGETHER = 4096  # samples: both sensors advance by turns, so that neither's backlog grows with the push


@dataclass(frozen=True)
class Window:
    """Five seconds of both sensors at 50 Hz.

    Attributes:
        imu: float32 (6, 250): accelerometer x y z in m/s^2, gravity included, then gyroscope x y z in rad/s.
        start_ns: time of the first of the 250 points, nanoseconds on the sensors' clock.
        end_ns: 5 s later; the last point is at `end_ns` - 20 ms.
        quality: how much of it was measured.
    """

    imu: NDArray[np.float32]
    start_ns: int
    end_ns: int
    quality: Quality


@dataclass
class WindowStream:
    """Cuts live samples into windows; one instance a device, not shared between threads.

    Memory is bounded, whatever comes in: at most ten minutes of a sensor that runs ahead of the other are kept.

    Attributes:
        hop_seconds: from one window's start to the next one's; a multiple of 0.02 from 0.02 up.
        sensors: what the samples that will be pushed mean.
        policy: what gaps and late samples do.

    Raises:
        StreamError: the hop is out of its range.
    """

    hop_seconds: float = 1.0
    sensors: Sensors = Sensors()
    policy: FaultPolicy = FaultPolicy()

    def __post_init__(self) -> None:
        self._hop = pushed.hop_points(self.hop_seconds)
        self._matrices = (self.sensors.accelerometer_matrix(), self.sensors.gyroscope_matrix())
        self._sensors = (SensorResampler(), SensorResampler())
        self._pairer = Pairer()
        self._held: Pairs | None = None  # of the current run, from the next window's start on
        self._skip = 0  # points to pass before the next window starts, where the hop is longer than a window
        self._run = self._run_of_last_window = 0

    @property
    def dropped(self) -> Dropped:
        """What was left out so far, and why."""
        accelerometer, gyroscope = self._sensors
        return Dropped(
            accelerometer.repeated + gyroscope.repeated, accelerometer.late + gyroscope.late, 0, self._pairer.unpaired
        )

    def push_accelerometer(self, timestamps_ns: ArrayLike, values: ArrayLike) -> list[Window]:
        """Take accelerometer samples: integer nanoseconds (n,) and values (n, 3), or one of each.

        Returns the windows that they complete, oldest first.

        Raises:
            StreamError: shapes or types are wrong, or a value is not finite; none of these samples is then taken.
        """
        return self._take(pushed.times(timestamps_ns), self._values(values, "accelerometer"), None)

    def push_gyroscope(self, timestamps_ns: ArrayLike, values: ArrayLike) -> list[Window]:
        """Take gyroscope samples; as `push_accelerometer`."""
        return self._take(pushed.times(timestamps_ns), None, self._values(values, "gyroscope"))

    def push(self, timestamps_ns: ArrayLike, rows: ArrayLike) -> list[Window]:
        """Take six-axis rows (n, 6), accelerometer then gyroscope, or one row (6,); as `push_accelerometer`."""
        samples = np.atleast_2d(pushed.floats(rows))
        if samples.ndim != 2 or samples.shape[1] != 6:
            raise StreamError(
                f"rows have the shape {samples.shape}; expected (n, 6): accelerometer x y z, gyroscope x y z"
            )
        accelerometer, gyroscope = samples[:, :3], samples[:, 3:]
        return self._take(
            pushed.times(timestamps_ns),
            self._values(accelerometer, "accelerometer"),
            self._values(gyroscope, "gyroscope"),
        )

    def flush(self) -> list[Window]:
        """End the stream (a recording's end, a device gone): return the windows that waited for their last 100 ms.

        Samples pushed afterwards start anew.
        """
        points = [sensor.finish() for sensor in self._sensors]
        windows = self._cut(self._pairer.push(points[0], points[1]))
        self._pairer.forget()
        return windows

    def _take(
        self, times: NDArray[np.int64], accelerometer: NDArray[np.float64] | None, gyroscope: NDArray[np.float64] | None
    ) -> list[Window]:
        for values in (accelerometer, gyroscope):
            if values is not None and len(values) != len(times):
                raise StreamError(f"{len(times)} timestamps for {len(values)} samples; expected as many")
        windows: list[Window] = []
        for start in range(0, len(times), _TOGETHER):
            block = slice(start, start + _TOGETHER)
            points = [
                None if values is None else sensor.push(times[block], values[block])
                for sensor, values in zip(self._sensors, (accelerometer, gyroscope), strict=True)
            ]
            windows += self._cut(self._pairer.push(points[0], points[1]))
        return windows

    def _values(self, values: ArrayLike, sensor: str) -> NDArray[np.float64]:
        """Check one sensor's samples and bring them to SI units and the training data's axes."""
        samples = np.atleast_2d(pushed.floats(values))
        if samples.ndim != 2 or samples.shape[1] != 3:
            raise StreamError(f"{sensor} values have the shape {samples.shape}; expected (n, 3) or (3,)")
        # Spelt out: a matrix product may sum in another order for another number of samples.
        x, y, z = samples.T
        matrix = self._matrices[sensor == "gyroscope"]
        samples = np.stack([row[0] * x + row[1] * y + row[2] * z for row in matrix], axis=1)
        bad = ~(np.abs(samples) <= _LARGEST_VALUE).all(axis=1)
        if bad.any():
            position = int(bad.argmax())
            raise StreamError(
                f"{sensor} sample {position} of this push is {samples[position].tolist()}: not finite, or larger than "
                "any sensor measures; leave such samples out, none of this push was taken"
            )
        return samples

    def _cut(self, pairs: Sequence[Pairs]) -> list[Window]:
        windows: list[Window] = []
        for table in pairs:
            edges = [0, *(np.flatnonzero(np.diff(table.run)) + 1).tolist(), len(table.run)]
            for start, end in itertools.pairwise(edges):
                windows += self._extend_run(rows(table, slice(start, end)))
        return windows

    def _extend_run(self, part: Pairs) -> list[Window]:
        """Add points of one run, and cut what windows are complete."""
        run = int(part.run[0])
        if run != self._run or self._held is None:
            if run != self._run:
                self._skip = 0
            self._run, held = run, part
        else:
            held = concatenated([self._held, part])
        windows: list[Window] = []
        start, points = self._skip, len(held.number)
        imu = held.values.T.astype(np.float32) if start + WINDOW_SAMPLES <= points else np.zeros((6, 0), np.float32)
        while start + WINDOW_SAMPLES <= points:
            after_reset, self._run_of_last_window = run != self._run_of_last_window, run
            windows.append(_window(imu, held, start, after_reset))
            start += self._hop
        kept = min(start, points)
        self._skip = start - kept
        self._held = rows(held, slice(kept, None)) if kept < points else None
        return windows


def windows_of(recording: Recording, hop_seconds: float = 1.0, sensors: Sensors = Sensors()) -> list[Window]:
    """Cut a recording by the very stream that runs live, so that training, replay and device see the same windows.

    Raises:
        StreamError: as `WindowStream`; a recording with values that are not finite is refused whole.
    """
    stream = WindowStream(hop_seconds, sensors)
    accelerometer, gyroscope = recording.accelerometer, recording.gyroscope
    blocks = 1 + max(len(accelerometer.timestamps_ns), len(gyroscope.timestamps_ns)) // _TOGETHER
    windows: list[Window] = []
    for block in range(blocks):
        for sensor, push in ((accelerometer, stream.push_accelerometer), (gyroscope, stream.push_gyroscope)):
            count = len(sensor.timestamps_ns)
            part = slice(block * count // blocks, (block + 1) * count // blocks)
            windows += push(sensor.timestamps_ns[part], sensor.values[part])
    return windows + stream.flush()


def _window(imu: NDArray[np.float32], run: Pairs, start: int, after_reset: bool) -> Window:
    part = slice(start, start + WINDOW_SAMPLES)
    gaps = run.gap_ns[part]
    largest = gaps.max(axis=1)
    rates = (run.seen[part][-1] - run.seen[part][0]) * RATE_HZ / (WINDOW_SAMPLES - 1)
    start_ns = int(run.number[start]) * GRID_NS
    quality = Quality(
        coverage=float(np.count_nonzero(largest <= HALF_WIDTH_NS)) / WINDOW_SAMPLES,
        largest_gap_s=int(largest.max()) / 1e9,
        accelerometer_hz=float(rates[0]),
        gyroscope_hz=float(rates[1]),
        jitter_ms=0.0,
        saturated=0.0,
        still=False,
        after_reset=after_reset,
    )
    return Window(imu[:, part].copy(), start_ns, start_ns + WINDOW_SAMPLES * GRID_NS, quality)
