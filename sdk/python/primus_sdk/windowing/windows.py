"""Five-second windows from two live sensors: what training, replay and the device all see.

Accelerometer and gyroscope are resampled each by its own timestamps (`windowing.resample`) and joined on a 50 Hz
grid. The contract is `sdk/spec/stream.md`. Its rules are functions of the two sequences of samples alone, never of how
they are cut into pushes; so samples wait until a window can be due, and are then worked on together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from primus_sdk import arguments
from primus_sdk.errors import StreamError
from primus_sdk.windowing import pushed
from primus_sdk.windowing.cutting import WINDOW_SAMPLES, Cutter, Window
from primus_sdk.windowing.intake import Intake
from primus_sdk.windowing.kernel import GRID_NS, HALF_WIDTH_NS, Floats, Ints
from primus_sdk.windowing.pairing import Pairer
from primus_sdk.windowing.quality import Dropped, FaultPolicy, Quality
from primus_sdk.windowing.reach import Reach
from primus_sdk.windowing.resample import LONGEST_PERIOD_NS, SensorResampler
from primus_sdk.windowing.sensors import FACTORS, STANDARD_GRAVITY, Sensors

__all__ = ["WINDOW_SAMPLES", "Quality", "Window", "WindowStream"]

_TOGETHER = 16_384  # samples of a sensor that wait at most
_AT_ONCE = -(1 << 62)
_SMALLEST_G, _SMALLEST_DEG_S = 1.9, 240.0  # the smallest ranges that sensors have are 2 g and 245 deg/s


class WindowStream:
    """Cuts live samples into windows; one instance a device, not shared between threads.

    Memory is bounded, whatever comes in: at most ten minutes of a sensor that runs ahead of the other are kept.

    Attributes:
        hop_seconds: from one window's start to the next one's; a multiple of 0.02 from 0.02 to 86400.
        sensors: what the samples that will be pushed mean.
        policy: what gaps and late samples do.

    Raises:
        StreamError: the hop is out of its range, or one of them is of another type.
    """

    def __init__(
        self, hop_seconds: float = 1.0, sensors: Sensors = Sensors(), policy: FaultPolicy = FaultPolicy()
    ) -> None:
        self.hop_seconds = arguments.number(
            hop_seconds, "the hop", "a multiple of 0.02 s, 0.02 or more and a day at most", StreamError
        )
        self.sensors = arguments.instance(sensors, Sensors, "sensors", StreamError)
        self.policy = arguments.instance(policy, FaultPolicy, "policy", StreamError)
        hop = pushed.hop_points(self.hop_seconds)
        g, radian = FACTORS[sensors.accelerometer_unit], FACTORS[sensors.gyroscope_unit]
        smallest = (_SMALLEST_G * STANDARD_GRAVITY / g, _SMALLEST_DEG_S * FACTORS["deg/s"] / radian)
        reorder, reset = round(policy.reorder_s * 1e9), round(policy.reset_s * 1e9)
        self._reaches = (Reach(reorder, reset), Reach(reorder, reset))
        matrices = sensors.accelerometer_matrix(), sensors.gyroscope_matrix()
        ranges = sensors.accelerometer_range, sensors.gyroscope_range
        self._intakes = (
            Intake("accelerometer", matrices[0], ranges[0], smallest[0], self._reaches[0]),
            Intake("gyroscope", matrices[1], ranges[1], smallest[1], self._reaches[1]),
        )
        self._resamplers = (SensorResampler(policy), SensorResampler(policy))
        self._pairer = Pairer()
        self._cutter = Cutter(hop, round(policy.fill_s * 1e9))
        self._ready: list[Window] = []
        self._due = _AT_ONCE  # no window can be complete before both sensors reach beyond it

    @property
    def dropped(self) -> Dropped:
        """What was left out so far, and why."""
        self._ready += self._work()
        accelerometer, gyroscope = self._resamplers
        return Dropped(
            accelerometer.repeated + gyroscope.repeated,
            accelerometer.late + gyroscope.late,
            self._intakes[0].invalid + self._intakes[1].invalid,
            self._pairer.unpaired,
            self._cutter.short + accelerometer.alone + gyroscope.alone,
        )

    @property
    def newest_ns(self) -> int | None:
        """The latest time of a finite sample of either sensor, since its clock was last set back; None before any."""
        return max((reach.newest for reach in self._reaches if reach.newest is not None), default=None)

    def push_accelerometer(
        self, timestamps_ns: ArrayLike, values: ArrayLike, gravity: ArrayLike | None = None
    ) -> list[Window]:
        """Take accelerometer samples: integer nanoseconds (n,) and values (n, 3), or one of each.

        Where a device reports gravity apart from the acceleration of the movement, `gravity` has the values' shape and
        unit, and is added. Samples that are not finite, or beyond any sensor, are dropped and counted.

        Returns the windows that they complete, oldest first.

        Raises:
            StreamError: shapes or types are wrong; none of these samples is then taken.
        """
        if gravity is not None or not self._intakes[0].add_plain(timestamps_ns, values):
            times = pushed.times(timestamps_ns)
            self._take(times, self._accelerations(times, values, gravity), None)
        return self._windows()

    def push_gyroscope(self, timestamps_ns: ArrayLike, values: ArrayLike) -> list[Window]:
        """Take gyroscope samples; as `push_accelerometer`."""
        if not self._intakes[1].add_plain(timestamps_ns, values):
            times = pushed.times(timestamps_ns)
            self._take(times, None, self._intakes[1].check(times, values))
        return self._windows()

    def push(self, timestamps_ns: ArrayLike, rows: ArrayLike, gravity: ArrayLike | None = None) -> list[Window]:
        """Take six-axis rows (n, 6), accelerometer then gyroscope, or one row (6,); as `push_accelerometer`."""
        if gravity is None and type(rows) is np.ndarray and rows.ndim == 2 and rows.shape[1] == 6:
            first, second = self._intakes
            if first.add_plain(timestamps_ns, rows[:, :3]):
                if not second.add_plain(timestamps_ns, rows[:, 3:]):  # some value is beyond any sensor
                    second.add(pushed.times(timestamps_ns), rows[:, 3:].copy())
                return self._windows()
        times, samples = pushed.times(timestamps_ns), pushed.floats(rows)
        if samples.ndim == 1 and samples.size:
            samples = samples.reshape(1, -1)
        if (samples.ndim != 2 or samples.shape[1] != 6) and samples.size:
            raise StreamError(
                f"rows have the shape {samples.shape}; expected (n, 6): accelerometer x y z, gyroscope x y z"
            )
        samples = samples.reshape(-1, 6)
        self._take(times, self._accelerations(times, samples[:, :3], gravity), samples[:, 3:])
        return self._windows()

    def flush(self) -> list[Window]:
        """End the stream (a recording's end, a device gone): return the windows that waited for their last 100 ms.

        Samples pushed afterwards start anew.
        """
        windows = self._ready + self._work()
        self._ready = []
        accelerometer, gyroscope = (resampler.finish() for resampler in self._resamplers)
        windows += self._cutter.cut(self._pairer.push(accelerometer, gyroscope))
        self._cutter.finish()
        self._pairer.forget()
        for reach in self._reaches:
            reach.forget()
        self._due = _AT_ONCE
        return windows

    def _accelerations(self, times: Ints, values: ArrayLike, gravity: ArrayLike | None) -> Floats:
        """Checked accelerometer samples (n, 3), gravity added where it comes apart."""
        samples = self._intakes[0].check(times, values)
        if gravity is None:
            return samples
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is dropped and counted later
            return samples + self._intakes[0].check(times, gravity)

    def _take(self, times: Ints, accelerometer: Floats | None, gyroscope: Floats | None) -> None:
        """Keep checked samples. Of many, both sensors' are worked on by turns, so that neither's backlog grows."""
        for start in range(0, len(times), _TOGETHER):
            if start:
                self._ready += self._work()
            part = times[start : start + _TOGETHER]
            for side, samples in enumerate((accelerometer, gyroscope)):
                if samples is not None:
                    self._intakes[side].add(part, samples[start : start + _TOGETHER])

    def _windows(self) -> list[Window]:
        """The windows that are complete."""
        if self._may_be_due():
            self._ready += self._work()
        if not self._ready:
            return []
        windows, self._ready = self._ready, []
        return windows

    def _may_be_due(self) -> bool:
        """Whether a window may be complete, or so much waits that it has to be worked on."""
        (first, second), (one, other) = self._reaches, self._intakes
        if self._due == _AT_ONCE or first.unsure or second.unsure:
            return True
        if one.waiting >= _TOGETHER or other.waiting >= _TOGETHER:
            return True
        soonest = self._due - LONGEST_PERIOD_NS
        if first.newest is None or first.newest <= soonest or second.newest is None or second.newest <= soonest:
            return False
        return (
            first.until(self._resamplers[0], one.waiting) > self._due
            and second.until(self._resamplers[1], other.waiting) > self._due
        )

    def _work(self) -> list[Window]:
        """Bring all samples that wait to the grid, and cut what windows are complete."""
        if not (self._intakes[0].waiting or self._intakes[1].waiting):
            return []
        points = []
        for intake, resampler in zip(self._intakes, self._resamplers, strict=True):
            samples = intake.drain()
            points.append(None if samples is None else resampler.push(samples))
        windows = self._cutter.cut(self._pairer.push(points[0], points[1]))
        self._due = self._next_due()
        for reach, resampler in zip(self._reaches, self._resamplers, strict=True):
            reach.worked(resampler)
        return windows

    def _next_due(self) -> int:
        """No window can be complete before both sensors' points may be complete up to this time."""
        first, second = self._resamplers
        if not self._pairer.in_step(first.restarts, second.restarts):
            return _AT_ONCE
        end = self._cutter.next_end_ns
        if end is None:
            ahead = [self._pairer.next_number(side) for side in (0, 1)]
            numbers = [r.next_number if n is None else n for n, r in zip(ahead, self._resamplers, strict=True)]
            if None in numbers:
                return _AT_ONCE
            end = (max(number for number in numbers if number is not None) + WINDOW_SAMPLES) * GRID_NS
        return end - GRID_NS + HALF_WIDTH_NS
